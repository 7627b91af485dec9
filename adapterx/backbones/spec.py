"""What a recipe says of a backbone; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from adapterx.backbones.precisions import DEFAULT, PRECISIONS
from adapterx.backbones.precisions.automatic import AUTO
from adapterx.config.fields import Model, shorthand

if TYPE_CHECKING:
    PrecisionName: TypeAlias = str
else:
    PrecisionName = Literal[(*PRECISIONS, AUTO)]


class Backbone(Model):
    """A pretrained encoder, frozen. A bare string is short for `{model: ...}`."""

    model: Annotated[str, Field(min_length=1, max_length=4096)]
    """`embedded/e5-small`, `embedded/e5-small@6` (its first six layers), a Hub id, or a local directory."""
    revision: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Commit of the Hub repository."""
    load: PrecisionName = DEFAULT
    """Number format of the frozen weights; `auto` is settled when a recipe is planned."""
    vocabulary: Literal["all", "used"] = "all"
    """Whose embeddings are in memory: those of all tokens, or of the tokens that a run reads. It changes no result."""

    @model_validator(mode="before")
    @classmethod
    def _bare_string(cls, data: object) -> object:
        return shorthand(data, "model")
