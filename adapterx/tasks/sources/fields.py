"""Settings that several kinds of source share: columns, folds, paths, and what becomes of incomplete rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Protocol, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, model_validator

from adapterx import places
from adapterx.config.fields import Model, Strings, listed
from adapterx.errors import AdapterxError
from adapterx.tasks.examples import Split

Column = int | str
"""A position (tsv, conll), a key (jsonl), or a text with {keys} in it."""
Columns: TypeAlias = Column | tuple[Column, ...]

Misplaced = Literal["refuse", "nearest", "drop"]
"""What becomes of an answer that does not stand where its `answer_start` says: an error; the occurrence nearest to it
(an error where there is none); or its question is left out, which is for training data."""

Missing = Literal["refuse", "drop", "keep"]
"""What becomes of a row that lacks a text, a word or a label: an error that names it; or it is left out and counted.
`keep` takes blank texts as they are, where published results count them; null and unknown labels are refused still."""


def several(value: Any) -> Any:
    """One mapping stands for the list of it."""
    return (value,) if isinstance(value, dict) else listed(value)


def listed_values(value: Any) -> Any:
    """One value of whatever type stands for the list of it."""
    return value if isinstance(value, list | tuple) else (value,)


def _at_home(value: str) -> str:
    try:
        return os.fspath(places.expanded(value)) if value.startswith("~") else value
    except AdapterxError as error:
        raise ValueError(str(error)) from None


DataPath = Annotated[str, AfterValidator(_at_home)]
"""Seen from the data directory, unless it is absolute or begins with `~`."""
DataPaths = Annotated[Strings, AfterValidator(lambda paths: tuple(map(_at_home, paths)))]


class Fold(Model):
    """Every `of`-th row (of extractive QA, passage): those whose number, modulo `of`, is in `keep`."""

    of: Annotated[int, Field(ge=2)]
    keep: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    by: str | None = None
    """A column that ends in a number, to go by that in place of the row's: where languages lack rows, say."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        if any(not 0 <= remainder < self.of for remainder in self.keep):
            raise ValueError(f"keep lists remainders below {self.of}")
        return self


class _Part(Protocol):
    """What one split is read from in some languages, all of the task's where None."""

    @property
    def languages(self) -> tuple[str, ...] | None: ...


AnyPart = TypeVar("AnyPart", bound=_Part)


def part(splits: Mapping[Split, tuple[AnyPart, ...]], language: str, split: Split) -> AnyPart | None:
    """The first part of a split that is for a language, None where there is none."""
    found = splits.get(split, ())
    return next((one for one in found if one.languages is None or language in one.languages), None)


def first_languages(splits: Mapping[Split, Iterable[_Part]]) -> tuple[str, ...]:
    """The first language of each part that is for some languages alone."""
    return tuple(one.languages[0] for parts in splits.values() for one in parts if one.languages)
