"""The transfer `fuse`: AdapterFusion over frozen adapters (Pfeiffer et al. 2021, arXiv 2005.00247)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from adapterx.config.fields import PositiveFloat, Size
from adapterx.methods.base import MethodSpec, Table
from adapterx.store import JSON
from adapterx.transfers.base import Names, TransferSpec, given

if TYPE_CHECKING:
    from adapterx.backbones.info import BackboneInfo


class Fuse(TransferSpec):
    """AdapterFusion: attention over several frozen intermediates (Pfeiffer et al. 2021, arXiv 2005.00247)."""

    several: ClassVar[bool] = True
    freezes: ClassVar[bool] = True

    kind: Literal["fuse"] = "fuse"
    value_rank: Size | None = None
    """Rank of the value's difference from the identity; a full matrix when null."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate of fusion and head; that of the target phase when null."""

    @classmethod
    def frozen_defaults(cls) -> Table:
        return {"value_rank": None}

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate

    def identity(self, method: MethodSpec) -> JSON:
        """The learning rate is the training's."""
        return {"kind": self.kind, **given(self, {"learning_rate"})}

    def refusal(self, method: MethodSpec, members: int, names: Names) -> str:
        why = method.not_fused(names.method)
        return f"the transfer '{names.transfer}' {why}" if why else ""

    def library_refusal(self, method: MethodSpec, lower: MethodSpec, alone: str, names: Names) -> str:
        if method.made_by_library:
            return (
                f"the transfer '{names.transfer}' fuses bottleneck adapters; the method '{names.method}' is of the"
                f" library `{method.kind}`, of which one intermediate reaches a target, by continue"
            )
        if self.value_rank is not None:
            return (
                f"the transfer '{names.transfer}' has a value_rank, and AdapterFusion in `adapters` has a full value"
                " matrix only; use the fused lane"
            )
        return ""

    def bundles_with(self) -> tuple[object, ...]:
        return (self.kind, self.value_rank)

    def acting(self, method: MethodSpec, lower: Sequence[MethodSpec]) -> MethodSpec:
        return method.fusion(tuple(lower), self.value_rank)

    def parameters(self, method: MethodSpec, info: BackboneInfo, made: int) -> int:
        return method.fusion_parameters(self.value_rank, info)
