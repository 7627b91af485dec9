"""The ways an intermediate adapter can reach its target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from adapterx.config.fields import Model, PositiveFloat, PositiveInt, Size
from adapterx.limits import Limit, Sample
from adapterx.methods.registry import ARITHMETIC
from adapterx.wording import shown

if TYPE_CHECKING:
    ArithmeticName: TypeAlias = str
else:
    ArithmeticName = Literal[tuple(ARITHMETIC)]
"""One of the ways in which some method merges."""


def _tuned_or_numbers(value: object) -> object:
    if isinstance(value, str) and value != "tuned":
        raise ValueError(f"should be 'tuned', or a list of numbers, one per member, not {shown(value)}")
    return value


Factor = Annotated[float, Field(ge=-1e9, le=1e9)]

MergeWeights = Annotated[
    Annotated[Literal["tuned"], Tag("tuned")]
    | Annotated[tuple[Factor, ...], Field(strict=False, min_length=2), Tag("a list")],
    Discriminator(lambda value: "tuned" if isinstance(value, str) else "a list"),
    BeforeValidator(_tuned_or_numbers),
]


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
    value_rank: Size | None = None
    """Rank of the value's difference from the identity; a full matrix when null."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate of fusion and head; that of the target phase when null."""
    several: ClassVar[bool] = True


class Merge(Model):
    """Make one adapter of several by arithmetic on their weights, and go on training it with a new head."""

    kind: Literal["merge"] = "merge"
    method: ArithmeticName | None = None
    """LoRA: linear (the default), ties, dare_linear, dare_ties, svd, cat. Bottlenecks: average, task_arithmetic."""
    weights: MergeWeights | None = None
    """One per member, in their order; equal ones when null; `tuned` ones are chosen on dev data.

    Tuned: before the target is trained, several weights are tried, and those are taken whose adapter is best on the
    dev sets of what the members learnt, each with the member's own head.
    """
    density: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the entries that ties and dare_* keep."""
    tuning_limit: PositiveInt | None = 200
    """Dev examples per task and language on which `weights: tuned` decides; all of them when null."""
    tuning_sample: Sample = "random"
    """Which ones the limit keeps."""
    several: ClassVar[bool] = True

    @property
    def tuned_on(self) -> Limit | None:
        """Which of the dev examples decide; None for all."""
        return Limit.of(self.tuning_limit, self.tuning_sample)

    @model_validator(mode="after")
    def _limit_of_something(self) -> Self:
        sparse = [name for name, one in ARITHMETIC.items() if one.sparse]
        if self.density != type(self).model_fields["density"].default and self.method not in sparse:
            raise ValueError(f"gives density, which only {', '.join(sparse)} read")
        for name in ("tuning_limit", "tuning_sample"):
            if getattr(self, name) != type(self).model_fields[name].default and self.weights != "tuned":
                raise ValueError(f"gives {name}, which only `weights: tuned` reads")
        return self


Transfer = Annotated[Continue | Stack | Fuse | Merge, Field(discriminator="kind")]
