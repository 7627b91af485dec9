"""Every key that a schema of pydantic models knows, each in a document of its own: a new key is there by itself."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Wrap = Callable[[Any], Any]
"""A value → the document that has it at one place."""


@dataclass(frozen=True)
class Key:
    """One key of a schema."""

    path: tuple[str, ...]
    """From the top of the document down; a union's members follow the name of their model."""
    wrap: Wrap

    @property
    def name(self) -> str:
        """Of the key alone, as a message should have it."""
        return next(part for part in reversed(self.path) if not part.isdigit())

    def __str__(self) -> str:
        return ".".join(self.path)


class Walk:
    """Goes through a schema, filling what it does not ask about with the smallest values that fit.

    Args:
        words: texts by the name of the key that wants one.
        parts: by the name of a model, keys that it does not require but cannot do without.
        word: for every other text; it should pass as a name and as a language.
    """

    def __init__(self, words: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]], word: str = "en") -> None:
        self.words = words
        self.parts = parts
        self.word = word

    def keys(self, model: type[BaseModel], base: Mapping[str, Any]) -> Iterator[Key]:
        """The keys of a schema, `base` being a whole document that is right."""
        yield from self._of_model(model, lambda value: value, base, ())

    def _of_model(
        self, model: type[BaseModel], wrap: Wrap, base: Mapping[str, Any], path: tuple[str, ...]
    ) -> Iterator[Key]:
        for name, field in model.model_fields.items():
            inner = _placed(wrap, base, name)
            yield Key((*path, name), inner)
            yield from self._of_type(field.annotation, inner, (*path, name))

    def _of_type(self, annotation: Any, wrap: Wrap, path: tuple[str, ...]) -> Iterator[Key]:
        origin, inner = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            yield from self._of_type(inner[0], wrap, path)
        elif origin in (Union, types.UnionType):
            members = [one for one in inner if one is not type(None)]
            for member in members:
                named = _model(member)
                where = (*path, named.__name__) if named is not None and len(members) > 1 else path
                yield from self._of_type(member, wrap, where)
        elif origin is tuple:
            for member in dict.fromkeys(one for one in inner if one is not ...):
                yield from self._of_type(member, lambda value: wrap([value]), (*path, "0"))
        elif origin is dict:
            entry = str(self._smallest(inner[0]))
            yield from self._of_type(inner[1], lambda value: wrap({entry: value}), (*path, entry))
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from self._of_model(annotation, wrap, self._smallest(annotation), path)

    def _smallest(self, annotation: Any, name: str = "") -> Any:
        """A value of the type: required keys alone, of alternatives the first."""
        origin, inner = get_origin(annotation), get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields.items()
            found = {key: self._smallest(one.annotation, key) for key, one in fields if _wanted(key, one)}
            return {**found, **self.parts.get(annotation.__name__, {})}
        if name in self.words:
            return self.words[name]
        if origin in (Annotated, Union, types.UnionType):
            return self._smallest(inner[0], name)
        if origin is dict:
            return {str(self._smallest(inner[0])): self._smallest(inner[1], name)}
        if origin in (tuple, Literal):
            return [self._smallest(inner[0], name)] if origin is tuple else inner[0]
        return {str: self.word, bool: True, int: 2, float: 1.0}.get(annotation)


def _placed(wrap: Wrap, base: Mapping[str, Any], name: str) -> Wrap:
    return lambda value: wrap({**base, name: value})


def _wanted(key: str, field: FieldInfo) -> bool:
    """Whether a document needs the key: required, or what tells alternatives apart."""
    return field.is_required() or (key == "kind" and get_origin(field.annotation) is Literal)


def _model(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def yaml(document: Any) -> str:
    """JSON is YAML, except for numbers that are not finite."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return text.replace(": Infinity", ": .inf").replace(": NaN", ": .nan").replace("[Infinity", "[.inf")


def nested(depth: int) -> Any:
    """Lists within lists."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus one": -1,
    "huge": 10**30,
    "a fraction": 1.5,
    "a large fraction": 1e308,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "an empty text": "",
    "a number as text": "1",
    "no such name": "no such thing",
    "a path upwards": "../../etc/passwd",
    "a long text": "x" * 5000,
    "an escape sequence": "a\x1b[31mb\u202ec",
    "an empty list": [],
    "a list of null": [None],
    "a list of lists": [["en"]],
    "a list twice the same": ["en", "en"],
    "a mixed list": ["en", 1, {}, None],
    "nested lists": nested(20),
    "an empty mapping": {},
    "a mapping of null": {"en": None},
    "an unknown key": {"no such key": {"x": [1]}},
}
"""What no key expects, or few."""
