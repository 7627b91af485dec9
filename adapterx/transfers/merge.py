"""The transfer `merge`: several adapters become one by arithmetic on their weights, which is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from adapterx.config.fields import PositiveInt
from adapterx.limits import Limit, Sample
from adapterx.methods.base import MethodSpec, Table
from adapterx.methods.registry import ARITHMETIC
from adapterx.store import JSON
from adapterx.transfers.base import Names, TransferSpec, given
from adapterx.wording import shown

if TYPE_CHECKING:
    from torch import Tensor

    from adapterx.backbones.shape import Shape
    from adapterx.methods.merging import Merging

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


class Merge(TransferSpec):
    """Make one adapter of several by arithmetic on their weights, and go on training it with a new head."""

    several: ClassVar[bool] = True

    kind: Literal["merge"] = "merge"
    method: ArithmeticName | None = None
    """One that is defined for the method's adapters; the first of those when null: linear, or average."""
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

    @property
    def tuned_on(self) -> Limit | None:
        """Which of the dev examples decide; None for all."""
        return Limit.of(self.tuning_limit, self.tuning_sample)

    @classmethod
    def frozen_defaults(cls) -> Table:
        return {"method": None, "weights": None, "density": 0.5}

    @property
    def tunes(self) -> bool:
        return self.weights == "tuned"

    @model_validator(mode="after")
    def _limit_of_something(self) -> Self:
        sparse = [name for name, one in ARITHMETIC.items() if one.sparse]
        if self.density != type(self).model_fields["density"].default and self.method not in sparse:
            raise ValueError(f"gives density, which only {', '.join(sparse)} read")
        for name in ("tuning_limit", "tuning_sample"):
            if getattr(self, name) != type(self).model_fields[name].default and self.weights != "tuned":
                raise ValueError(f"gives {name}, which only `weights: tuned` reads")
        return self

    def identity(self, method: MethodSpec) -> JSON:
        """Without what is meant where nothing is named, and with the density only where it is read."""
        found = given(self, {"tuning_limit", "tuning_sample"})
        if found.get("method") == method.merges[0].name:
            del found["method"]
        if self.method is None or not ARITHMETIC[self.method].sparse:
            found.pop("density", None)
        return {"kind": self.kind, **found}

    def refusal(self, method: MethodSpec, members: int, names: Names) -> str:
        defined = [one.name for one in method.merges]
        if not defined:
            return (
                f"the transfer '{names.transfer}' merges adapters, which is not defined for the {method.kind} adapters"
                f" of '{names.method}'; use continue or stack"
            )
        if self.method is not None and self.method not in defined:
            return (
                f"the transfer '{names.transfer}' merges by {self.method}, which is not defined for the {method.kind}"
                f" adapters of '{names.method}'; {', '.join(defined)} are"
            )
        if isinstance(self.weights, tuple) and len(self.weights) != members:
            return (
                f"the transfer '{names.transfer}' has {len(self.weights)} weights for the {members} members of"
                f" '{names.intermediate}'"
            )
        return ""

    def library_refusal(self, method: MethodSpec, lower: MethodSpec, alone: str, names: Names) -> str:
        if not method.made_by_library:
            return ""
        return (
            f"the transfer '{names.transfer}' merges lora and bottleneck adapters; the method '{names.method}' is of"
            f" the library `{method.kind}`, of which one intermediate reaches a target, by continue"
        )

    def own(self, method: MethodSpec, members: int) -> MethodSpec:
        """Ranks that are laid side by side add up."""
        return method.concatenated(members) if self.method == "cat" else method

    def merging(self, method: MethodSpec) -> Merging:
        """Weights yet to be tuned are left open."""
        from adapterx.methods.merging import Merging

        weights = self.weights if isinstance(self.weights, tuple) else None
        return Merging(self.method or method.merges[0].name, weights, self.density)

    def initial(
        self,
        method: MethodSpec,
        members: Sequence[Mapping[str, Tensor]],
        merging: Merging | None,
        shape: Shape,
        seed: int,
    ) -> Mapping[str, Tensor] | None:
        from adapterx.methods.merging import merge

        return merge(method, members, merging or self.merging(method), shape, seed)
