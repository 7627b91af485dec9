"""pydantic's validation errors in the words of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adapterx.config import keys
from adapterx.config.document import resolve
from adapterx.config.problems import Finding, Location, did_you_mean
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

CODE_RULE = "is not a language code such as en, pt-BR or zh-Hans"
NAME_RULE = "names are letters, digits, '-' and '_', beginning with a letter or digit, at most 64"


def findings(errors: Iterable[ErrorDetails], schema: type[BaseModel]) -> list[Finding]:
    """pydantic's errors as findings, less those that only follow from another (a list left short by a bad item).

    Args:
        schema: what was validated: a recipe, or a task.
    """
    found = [finding(error, schema) for error in errors if error["type"] != "too_short" or not error["input"]]
    mistyped = {one.hint for one in found if one.at_key and len(one.location) == 1}
    return [
        replace(one, location=keys.untagged(schema, one.location))
        for one in found
        # A section under a mistyped key is not missing too.
        if not (one.message == "is missing" and f"did you mean '{one.location[0]}'?" in mistyped)
    ]


def finding(error: ErrorDetails, schema: type[BaseModel]) -> Finding:
    """One pydantic error as a finding, with a hint where one can be given."""
    location, kind = error["loc"], error["type"]
    if location == ("adapterx",):
        return _version(location, error, "task" if "task" in schema.__name__.lower() else "recipe")
    if asks_schema := _BY_SCHEMA.get(kind):
        return asks_schema(error, schema)
    if special := _SPECIAL.get("[key]" if location[-1:] == ("[key]",) else kind):
        return special(error)
    wording = _WORDING.get(kind)
    message = wording(error.get("ctx", {})) if wording else error["msg"][:1].lower() + error["msg"][1:]
    # An error of ours may say which part of the value it is about.
    location += getattr(error.get("ctx", {}).get("error"), "location", ())
    return Finding(location, message + _got(kind, error["input"]), _advice(kind, location, error["input"]))


def _extra(error: ErrorDetails, schema: type[BaseModel]) -> Finding:
    key = str(error["loc"][-1])
    hint = keys.hint(schema, error["loc"][:-1], key)
    return Finding(error["loc"], f"unknown key '{plain(key)}'", hint, at_key=True)


def _missing(error: ErrorDetails) -> Finding:
    return Finding(error["loc"], "is missing")


def _bad_key(error: ErrorDetails) -> Finding:
    location = error["loc"][:-1]
    if error["type"] == "literal_error":
        return replace(_literal(error), location=location, at_key=True)
    code = location[-2:-1] == ("codes",)
    return Finding(location, f"{_show(error['input'])} {CODE_RULE}" if code else NAME_RULE, at_key=True)


def _bad_text(error: ErrorDetails) -> Finding:
    languages = any("languages" in str(part) for part in error["loc"])
    rule = CODE_RULE if languages else f"is not a name: {NAME_RULE}"
    return Finding(error["loc"], f"{_show(error['input'])} {rule}")


def _no_kind(error: ErrorDetails, schema: type[BaseModel]) -> Finding:
    known = ", ".join(keys.kinds(schema, error["loc"]))
    return Finding((*error["loc"], "kind"), "is missing", f"known: {known}")


def _unknown_kind(error: ErrorDetails, schema: type[BaseModel]) -> Finding:
    if isinstance(error["input"], Mapping) and error["input"].get("kind") is None:
        return _no_kind(error, schema)
    tag, known = str(error["ctx"]["tag"]), keys.kinds(schema, error["loc"])
    of_method = {"method", "methods"} & {str(part) for part in error["loc"]}
    hint = keys.method_hint(tag, known) if of_method else did_you_mean(tag, known)
    return Finding((*error["loc"], "kind"), f"unknown kind '{plain(tag)}'", hint)


def _literal(error: ErrorDetails) -> Finding:
    expected = str(error["ctx"]["expected"])
    names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
    near = did_you_mean(error["input"], names)
    message = f"{_show(error['input'])} is not one of {expected}"
    return Finding(error["loc"], message, near if near.startswith("did you mean") else "")


def _version(location: Location, error: ErrorDetails, noun: str) -> Finding:
    from adapterx import __version__

    if error["type"] == "missing":
        return Finding(location, "is missing", f"begin the {noun} with 'adapterx: 1', the version of its format")
    written = error["input"]
    if isinstance(written, int) and not isinstance(written, bool) and written > 1:
        message = (
            f"this {noun} is written in version {shown(written, 20)} of the format, and adapterx {__version__} reads"
            " version 1"
        )
        return Finding(location, message, "upgrade adapterx")
    return Finding(location, f"{_show(written)} is not a version of the {noun} format", "write 'adapterx: 1'")


def _show(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else shown(value)


def _got(kind: str, value: object) -> str:
    """What was written, for errors of type and range; a rule's own message already says it."""
    return "" if kind in ("value_error", "too_short") else f", not {_show(value)}"


def _advice(kind: str, location: Location, value: object) -> str:
    if kind == "string_type" and (isinstance(value, int | float)):
        return "quote it to make it text"
    if kind in ("dict_type", "model_type") and location == ("targets",):
        return "or a list of task names"
    if kind == "tuple_type" and isinstance(value, int | float | str):
        return f"write [{plain(str(value))}]"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return _numeric(value)
    return ""


def _numeric(text: str) -> str:
    """How text that looks like a number is written as one: without quotes, or without separators of thousands."""
    if isinstance(resolve(text), int | float):
        return "without quotes it is a number"
    bare = text.replace("_", "").replace(",", "").replace(" ", "")
    return f"write {plain(bare)}" if bare != text and isinstance(resolve(bare), int | float) else ""


def _number(value: float) -> str:
    """A bound as a user would write it: 100, 100,000, 1e+12, 0.5."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e10 else f"{value:g}"


_SPECIAL: dict[str, Callable[[ErrorDetails], Finding]] = {
    "[key]": _bad_key,
    "string_pattern_mismatch": _bad_text,
    "missing": _missing,
    "literal_error": _literal,
}

_BY_SCHEMA: dict[str, Callable[[ErrorDetails, type[BaseModel]], Finding]] = {
    "extra_forbidden": _extra,
    "union_tag_not_found": _no_kind,
    "union_tag_invalid": _unknown_kind,
}

_WORDING: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda _: "should be text",
    "string_too_short": lambda _: "should not be empty text",
    "string_too_long": lambda c: f"should be at most {c['max_length']} characters",
    "int_type": lambda _: "should be a whole number",
    "int_from_float": lambda _: "should be a whole number",
    "float_type": lambda _: "should be a number",
    "finite_number": lambda _: "should be a finite number",
    "greater_than": lambda c: f"should be greater than {_number(c['gt'])}",
    "greater_than_equal": lambda c: f"should be at least {_number(c['ge'])}",
    "less_than": lambda c: f"should be less than {_number(c['lt'])}",
    "less_than_equal": lambda c: f"should be at most {_number(c['le'])}",
    "dict_type": lambda _: "should be a mapping",
    "model_type": lambda _: "should be a mapping",
    "model_attributes_type": lambda _: "should be a mapping",
    "tuple_type": lambda _: "should be a list",
    "too_short": lambda _: "should not be empty",
    "value_error": lambda c: str(c["error"]),
}
