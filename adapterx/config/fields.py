"""The kinds of value a recipe's fields share: names, lists that may be written as one item, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from types import NoneType, UnionType
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from adapterx.wording import shown

T = TypeVar("T", bound=Hashable)

ALL_LANGUAGES = ("all",)
"""What `languages: all` is read as: every language the task has."""


class Model(BaseModel):
    """The base of every part of a recipe: immutable, no unknown keys, no conversion between types.

    A null, as a section whose lines are all comments leaves it, counts as not given, except where null is a value of
    the field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or not cls._defaulted(key)}

    @classmethod
    def _defaulted(cls, name: object) -> bool:
        """Whether a field has a default and no null among its values."""
        field = cls.model_fields.get(str(name))
        if field is None or field.is_required():
            return False
        nullable = get_origin(field.annotation) in (Union, UnionType) and NoneType in get_args(field.annotation)
        return not nullable


def listed(value: object) -> object:
    """One item written where a list is expected stands for the list of that item."""
    return (value,) if isinstance(value, str | int | float) else value


def unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values as they are; ValueError naming those that occur more than once."""
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"lists {', '.join(shown(value) for value in repeated[:5])} more than once")
    return values


def _all_alone(values: tuple[str, ...]) -> tuple[str, ...]:
    if "all" in values and values != ALL_LANGUAGES:
        raise ValueError("'all' already means every language: write it alone, or list languages without it")
    return values


PositiveInt = Annotated[int, Field(gt=0, le=10**12)]
"""A count, of examples say, with a bound that no data set reaches."""

PositiveFloat = Annotated[float, Field(gt=0.0, le=1e9)]
"""A rate or a factor; above the bound float32 arithmetic is not finite."""

NonNegativeFloat = Annotated[float, Field(ge=0.0, le=1e9)]

Size = Annotated[int, Field(gt=0, le=65_536)]
"""A rank or a width: no encoder's hidden states are wider."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
"""A name the user gives to an entry of an axis. It becomes part of directory names, so it stays plain."""

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$")]

Strings = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...],
    Field(strict=False, min_length=1),
    AfterValidator(unique),
    BeforeValidator(listed),
]
"""A list of distinct strings, or one string."""

Languages = Annotated[
    tuple[LanguageCode, ...],
    Field(strict=False, min_length=1),
    AfterValidator(_all_alone),
    AfterValidator(unique),
    BeforeValidator(listed),
]
"""A list of distinct language codes, one code, or `all` (read as ALL_LANGUAGES)."""

Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**63)], ...],
    Field(strict=False, min_length=1),
    AfterValidator(unique),
]
"""A list of distinct seeds; each is one repetition of the whole grid."""


def shorthand(value: object, key: str) -> object:
    """A bare string stands for the mapping with that string under `key`; anything else is left as it is."""
    return {key: value} if isinstance(value, str) else value
