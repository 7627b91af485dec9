"""What a recipe says of a linear probe, and what follows for a plan."""

from __future__ import annotations

from typing import ClassVar, Literal

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.base import MethodSpec


class Probe(MethodSpec):
    """A linear probe: nothing but the head is trained, upon the frozen encoder."""

    layers_in: ClassVar[str] = "adapterx.methods.probe.layers"
    adapts: ClassVar[bool] = False

    kind: Literal["head"] = "head"

    @property
    def not_exported(self) -> str:
        return "trains a head alone, so there is no adapter to export"

    def adapted(self, depth: int) -> tuple[int, ...]:
        """The highest layer, at whose rows the head reads: what lies below it is the same in every epoch."""
        return (depth - 1,)

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        return 0
