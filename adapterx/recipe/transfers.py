"""The ways an intermediate adapter can reach its target."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from adapterx.recipe.fields import Model

Arithmetic = Literal["linear", "ties", "dare_linear", "dare_ties", "svd", "cat", "average", "task_arithmetic"]


class Continue(Model):
    """Go on training the intermediate's adapter, with a new head (Poth et al. 2021)."""

    kind: Literal["continue"] = "continue"
    several: ClassVar[bool] = False


class Stack(Model):
    """Freeze the intermediate's adapter below a new one."""

    kind: Literal["stack"] = "stack"
    several: ClassVar[bool] = False


class Fuse(Model):
    """AdapterFusion: attention over several frozen intermediates (Pfeiffer et al. 2021, arXiv 2005.00247)."""

    kind: Literal["fuse"] = "fuse"
    value_rank: PositiveInt | None = None
    """Rank of the value's difference from the identity; a full matrix when null."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate of fusion and head; that of the target phase when null."""
    several: ClassVar[bool] = True


class Merge(Model):
    """Make one adapter of several by arithmetic on their weights, and go on training it with a new head."""

    kind: Literal["merge"] = "merge"
    method: Arithmetic | None = None
    """LoRA: linear (the default), ties, dare_linear, dare_ties, svd, cat. Bottlenecks: average, task_arithmetic."""
    weights: Annotated[tuple[float, ...], Field(strict=False, min_length=2)] | None = None
    """One per member, in their order; equal ones when null."""
    density: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the entries that ties and dare_* keep."""
    several: ClassVar[bool] = True


Transfer = Annotated[Continue | Stack | Fuse | Merge, Field(discriminator="kind")]
