"""How a retrieval target turns texts into vectors and compares them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapterx.config.fields import Model
from adapterx.recipe.contrastive import Prefix


class RetrievalSettings(Model):
    """Which hidden states stand for a text, and what is near."""

    layer: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How many layers the hidden states have passed, 0 for the embeddings. By default 7/12 of all: layer 14 of 24, as
    XTREME has it for XLM-R large."""
    pooling: Literal["mean", "cls"] = "mean"
    """The mean over a text's tokens, or its <s>."""
    special_tokens: bool = True
    """Whether <s> and </s> count in a mean, as in XTREME."""
    similarity: Literal["cosine", "margin"] | None = None
    """Cosine, or the ratio of a pair's cosine to those of its neighbours; by default margin where pairs are mined."""
    query_prefix: Prefix = ""
    """Words before every query."""
    candidate_prefix: Prefix = ""
    """Words before every candidate."""
    neighbours: Annotated[int, Field(gt=0, le=10_000)] = 4
    """Of each text, behind a margin."""


def default_layer(layers: int) -> int:
    """The layer to read where none is named: 7 of 12, 14 of 24, 21 of 36, 28 of 48."""
    return max(1, round(layers * 7 / 12))
