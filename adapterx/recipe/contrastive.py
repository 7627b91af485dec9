"""How queries and candidates are compared while an adapter learns to tell them apart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapterx.config.fields import Model

Prefix = Annotated[str, Field(max_length=256)]
"""Words before a text, as `query: ` for E5."""


class ContrastiveSettings(Model):
    """InfoNCE over the candidates of a batch: cosines divided by a temperature."""

    temperature: Annotated[float, Field(ge=1e-3, le=10.0)] = 0.05
    """What cosines are divided by."""
    pooling: Literal["mean", "cls"] = "mean"
    """The mean over a text's tokens in the last layer, or its <s>."""
    query_prefix: Prefix = ""
    """Words before every query."""
    candidate_prefix: Prefix = ""
    """Words before every candidate."""
