"""What is trained in an AdapterFusion, and what follows for the engine. A recipe asks for one by a transfer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import Place
from adapterx.config.fields import Size
from adapterx.methods.base import Library, MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck


class Fusion(MethodSpec):
    """Attention over several frozen bottleneck adapters, which lie in the slots below (arXiv 2005.00247)."""

    layers_in: ClassVar[str] = "adapterx.methods.fusion.layers"
    library: ClassVar[Library | None] = "adapters"

    kind: Literal["fusion"] = "fusion"
    members: tuple[Bottleneck, ...] = Field(min_length=1)
    """Methods of the adapters below, of equal placements and layers; widths may differ."""
    value_rank: Size | None = None
    """Rank of the value's difference from the identity; a full matrix where None."""

    @property
    def sites(self) -> tuple[Place, ...]:
        """The residual connections of a layer at which it mixes."""
        return self.members[0].sites

    @property
    def mixed(self) -> tuple[MethodSpec, ...]:
        return self.members

    @property
    def gradient_share(self) -> float:
        return self.members[0].gradient_share

    def adapted(self, depth: int) -> tuple[int, ...]:
        return self.members[0].adapted(depth)

    def kept(self, info: BackboneInfo) -> float:
        """What the members read and add, and their inner features; the query, what it asks, and the mixture."""
        members = self.members
        normed = members[0].placement == "sequential" and info.architecture == "xlm-roberta"
        inner = sum(one.inside(info.hidden) * (1 if one.activation == "relu" else 2) for one in members)
        return len(self.sites) * ((1 + normed + len(members) + 3) * info.hidden + inner)

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        return self.members[0].fusion_parameters(self.value_rank, info)
