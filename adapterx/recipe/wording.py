"""pydantic's validation errors in the words of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from adapterx.recipe.document import resolve
from adapterx.recipe.libraries import LIBRARIES, Adapters, Peft
from adapterx.recipe.methods import Bottleneck, Full, Head, Lora
from adapterx.recipe.problems import Finding, Location, did_you_mean
from adapterx.recipe.prune import Prune
from adapterx.recipe.schema import (
    Backbone,
    Compare,
    Evaluate,
    Intermediate,
    PrefixCache,
    Recipe,
    Sampling,
    Skip,
    Target,
)
from adapterx.recipe.training import EarlyStopping, Train, TrainFields
from adapterx.recipe.transfers import Continue, Fuse, Merge, Stack

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KEYS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Recipe,
    ("backbones", "*"): Backbone,
    ("methods", "*", "lora"): Lora,
    ("methods", "*", "bottleneck"): Bottleneck,
    ("methods", "*", "full"): Full,
    ("methods", "*", "head"): Head,
    ("methods", "*", "peft"): Peft,
    ("methods", "*", "adapters"): Adapters,
    ("intermediates", "*"): Intermediate,
    ("transfers", "*", "continue"): Continue,
    ("transfers", "*", "stack"): Stack,
    ("transfers", "*", "fuse"): Fuse,
    ("transfers", "*", "merge"): Merge,
    ("intermediates", "*", "sampling"): Sampling,
    ("targets", "*"): Target,
    ("train",): Train,
    ("train", "intermediate"): TrainFields,
    ("train", "target"): TrainFields,
    ("train", "early_stopping"): EarlyStopping,
    ("train", "intermediate", "early_stopping"): EarlyStopping,
    ("train", "target", "early_stopping"): EarlyStopping,
    ("train", "prune"): Prune,
    ("train", "intermediate", "prune"): Prune,
    ("train", "target", "prune"): Prune,
    ("evaluate",): Evaluate,
    ("prefix_cache",): PrefixCache,
    ("skip", "*"): Skip,
    ("compare",): Compare,
}
"""The model at each mapping of a recipe, for the keys it knows."""

NAME_RULE = "names are letters, digits, '-' and '_', beginning with a letter or digit, at most 64"
KINDS = ("lora", "bottleneck", "full", "head", "peft", "adapters")
TRANSFER_KINDS = ("continue", "stack", "fuse", "merge")


def findings(errors: Iterable[ErrorDetails]) -> list[Finding]:
    """pydantic's errors as findings, less those that only follow from another (a list left short by a bad item)."""
    found = [finding(error) for error in errors if error["type"] != "too_short" or not error["input"]]
    return [replace(one, location=_untagged(one.location)) for one in found]


def _untagged(location: Location) -> Location:
    """A location without the kind that pydantic names in it, where a key of the method's bears the same name."""
    return (*location[:2], *location[3:]) if location[0] == "methods" and location[2:3] in _TAGS else location


_TAGS = tuple((name,) for name in LIBRARIES)


def finding(error: ErrorDetails) -> Finding:
    """One pydantic error as a finding, with a hint where one can be given."""
    location, kind = error["loc"], error["type"]
    if location == ("adapterx",):
        return _version(location, error)
    if special := _SPECIAL.get("[key]" if location[-1:] == ("[key]",) else kind):
        return special(error)
    wording = _WORDING.get(kind)
    message = wording(error.get("ctx", {})) if wording else error["msg"][:1].lower() + error["msg"][1:]
    return Finding(location, message + _got(kind, error["input"]), _advice(kind, location, error["input"]))


def _extra(error: ErrorDetails) -> Finding:
    key = error["loc"][-1]
    hint = did_you_mean(key, _known_keys(error["loc"][:-1]))
    return Finding(error["loc"], f"unknown key '{key}'", hint, at_key=True)


def _missing(error: ErrorDetails) -> Finding:
    return Finding(error["loc"], "is missing")


def _bad_key(error: ErrorDetails) -> Finding:
    return Finding(error["loc"][:-1], NAME_RULE, at_key=True)


def _bad_text(error: ErrorDetails) -> Finding:
    languages = any("languages" in str(part) for part in error["loc"])
    rule = "is not a language code such as en, pt-BR or zh-Hans" if languages else f"is not a name: {NAME_RULE}"
    return Finding(error["loc"], f"{_show(error['input'])} {rule}")


def _no_kind(error: ErrorDetails) -> Finding:
    return Finding((*error["loc"], "kind"), "is missing", f"known: {', '.join(_kinds(error))}")


def _unknown_kind(error: ErrorDetails) -> Finding:
    tag = str(error["ctx"]["tag"])
    return Finding((*error["loc"], "kind"), f"unknown kind '{tag}'", did_you_mean(tag, _kinds(error)))


def _kinds(error: ErrorDetails) -> tuple[str, ...]:
    return TRANSFER_KINDS if error["loc"][0] == "transfers" else KINDS


def _literal(error: ErrorDetails) -> Finding:
    expected = str(error["ctx"]["expected"])
    names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
    near = did_you_mean(error["input"], names)
    message = f"{_show(error['input'])} is not one of {expected}"
    return Finding(error["loc"], message, near if near.startswith("did you mean") else "")


def _version(location: Location, error: ErrorDetails) -> Finding:
    from adapterx import __version__

    if error["type"] == "missing":
        return Finding(location, "is missing", "begin the recipe with 'adapterx: 1', the version of its format")
    written = error["input"]
    if isinstance(written, int) and not isinstance(written, bool) and written > 1:
        message = (
            f"this recipe is written in version {written} of the format, and adapterx {__version__} reads version 1"
        )
        return Finding(location, message, "upgrade adapterx")
    return Finding(location, f"{_show(written)} is not a version of the recipe format", "write 'adapterx: 1'")


def _known_keys(location: Location) -> list[str]:
    for pattern, model in _KEYS.items():
        if len(pattern) == len(location) and all(
            p in ("*", str(part)) for p, part in zip(pattern, location, strict=True)
        ):
            return list(model.model_fields)
    return []


def _show(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else repr(value)


def _got(kind: str, value: object) -> str:
    """What was written, for errors of type and range; a rule's own message already says it."""
    return "" if kind in ("value_error", "too_short") else f", not {_show(value)}"


def _advice(kind: str, location: Location, value: object) -> str:
    if kind == "string_type" and (isinstance(value, int | float)):
        return "quote it to make it text"
    if kind in ("dict_type", "model_type") and location == ("targets",):
        return "or a list of task names"
    if kind == "tuple_type" and isinstance(value, int | float | str):
        return f"write [{value}]"
    if kind in ("int_type", "float_type") and isinstance(value, str) and isinstance(resolve(value), int | float):
        return "without quotes it is a number"
    return ""


_SPECIAL: dict[str, Callable[[ErrorDetails], Finding]] = {
    "[key]": _bad_key,
    "string_pattern_mismatch": _bad_text,
    "extra_forbidden": _extra,
    "missing": _missing,
    "union_tag_not_found": _no_kind,
    "union_tag_invalid": _unknown_kind,
    "literal_error": _literal,
}

_WORDING: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda _: "should be text",
    "string_too_short": lambda _: "should not be empty text",
    "string_too_long": lambda c: f"should be at most {c['max_length']} characters",
    "int_type": lambda _: "should be a whole number",
    "int_from_float": lambda _: "should be a whole number",
    "float_type": lambda _: "should be a number",
    "finite_number": lambda _: "should be a finite number",
    "greater_than": lambda c: f"should be greater than {c['gt']:g}",
    "greater_than_equal": lambda c: f"should be at least {c['ge']:g}",
    "less_than": lambda c: f"should be less than {c['lt']:g}",
    "less_than_equal": lambda c: f"should be at most {c['le']:g}",
    "dict_type": lambda _: "should be a mapping",
    "model_type": lambda _: "should be a mapping",
    "model_attributes_type": lambda _: "should be a mapping",
    "tuple_type": lambda _: "should be a list",
    "too_short": lambda _: "should not be empty",
    "value_error": lambda c: str(c["error"]),
}
