"""What a recipe says of bottleneck adapters, and what follows for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import BEHIND, Place
from adapterx.config.fields import PositiveFloat, Size
from adapterx.methods.base import (
    Arithmetic,
    Budget,
    Dropout,
    Layers,
    Layout,
    Library,
    MethodSpec,
    Table,
    adapted_layers,
    largest,
)
from adapterx.store import JSON

Placement = Literal["sequential", "double", "parallel"]
Activation = Literal["relu", "gelu", "swish", "gelu_new", "tanh", "leakyrelu"]
_FROZEN: Table = {
    "placement": "sequential",
    "reduction_factor": 16.0,
    "width": None,
    "budget": None,
    "activation": "relu",
    "scaling": 1.0,
    "dropout": 0.0,
    "layers": "all",
    "adapter_drop": 0,
    "invertible": None,
}
_FROZEN_BY_PLACEMENT: Mapping[str, Table] = {
    "sequential": {},
    "double": {"placement": "double", "activation": "swish"},
    "parallel": {"placement": "parallel", "reduction_factor": 2.0, "scaling": 4.0},
}


class Bottleneck(MethodSpec):
    """Two linear layers around an activation, added to the residual stream.

    The defaults are those of AdapterHub's `seq_bn` (Pfeiffer et al. 2020), `double_seq_bn` (Houlsby et al. 2019)
    and `par_bn` (He et al. 2021): the last four settings depend on the placement where they are not given.
    """

    layers_in: ClassVar[str] = "adapterx.methods.bottleneck.layers"
    codecs: ClassVar[Mapping[Layout, str]] = {"adapterhub": "adapterx.methods.bottleneck.adapterhub_files"}
    merging_in: ClassVar[str] = "adapterx.methods.bottleneck.merging"
    merges: ClassVar[tuple[Arithmetic, ...]] = (
        Arithmetic("average"),
        Arithmetic("task_arithmetic", sums=True, from_start=True),
    )
    fusible: ClassVar[bool] = True
    stackable: ClassVar[bool] = True
    library: ClassVar[Library | None] = "adapters"
    plural: ClassVar[str] = "bottlenecks"
    always: ClassVar[tuple[str, ...]] = ("placement",)
    sizes: ClassVar[tuple[str, ...]] = ("reduction_factor", "width", "budget")

    kind: Literal["bottleneck"] = "bottleneck"
    placement: Placement = "sequential"
    """After the feed-forward block; after attention too (double); or beside the feed-forward block (parallel)."""
    reduction_factor: Annotated[float, Field(ge=1.0, le=65_536.0)] = 16.0
    """Hidden size divided by bottleneck size. 16, or 2 when parallel."""
    width: Size | None = None
    """Bottleneck size itself. Excludes reduction_factor."""
    budget: Budget | None = None
    """The largest width whose parameters are at most this share of the backbone's, as in 0.5%. Excludes both."""
    activation: Activation = "relu"
    """The non-linearity between the two layers. relu, or swish when double; gelu_new is gelu approximated by tanh."""
    scaling: PositiveFloat = 1.0
    """Factor on the adapter's output. 1, or 4 when parallel."""
    dropout: Dropout = 0.0
    """Dropout on the adapter's output."""
    layers: Layers = "all"
    """The encoder layers that carry adapters: all, the highest few, or a list."""
    adapter_drop: Annotated[int, Field(ge=0, le=1000)] = 0
    """AdapterDrop: at each step the adapters of the lowest n layers are left out, n uniform from 0 to this."""
    invertible: Literal["nice"] | None = None
    """An invertible adapter at the embeddings too, as MAD-X gives its language adapters (`seq_bn_inv`)."""

    @model_validator(mode="before")
    @classmethod
    def _placement_defaults(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        if len(given := [key for key in ("reduction_factor", "width", "budget") if data.get(key) is not None]) > 1:
            raise ValueError(f"gives both {given[0]} and {given[1]}: keep one of them")
        placement = data.get("placement")
        defaults = _PLACEMENT_DEFAULTS.get(placement, {}) if isinstance(placement, str) else {}
        return {**defaults, **{key: value for key, value in data.items() if value is not None or key not in defaults}}

    @classmethod
    def frozen_defaults(cls, settings: Table) -> Table:
        return {**_FROZEN, **_FROZEN_BY_PLACEMENT[str(settings.get("placement") or "sequential")]}

    @property
    def share(self) -> float | None:
        return self.budget

    @property
    def size_in_words(self) -> str:
        return f"width {self.width}"

    @property
    def drops(self) -> float:
        return self.dropout

    def adapted(self, depth: int) -> tuple[int, ...]:
        return adapted_layers(self.layers, depth)

    @property
    def dropped_layers(self) -> int:
        return self.adapter_drop

    @property
    def embeds(self) -> bool:
        return self.invertible is not None

    @property
    def gradient_share(self) -> float:
        """Nothing of a layer lies behind its end; behind attention lies the feed-forward block."""
        return 1.0 if self.embeds else BEHIND["attention_output"] if self.placement == "double" else 0.0

    @property
    def not_by_library(self) -> str:
        return "has adapter_drop, which neither library has; use the fused lane" if self.adapter_drop else ""

    def not_fused(self, name: str) -> str:
        if self.invertible is None:
            return ""
        return (
            f"mixes what adapters add to a layer, and those of '{name}' have an invertible part at the embeddings;"
            " merge them instead"
        )

    def not_upon(self, lower: MethodSpec, name: str, below: str) -> str:
        if not (self.embeds and lower.embeds):
            return ""
        return (
            f"both the method '{name}' and the adapter below it have an invertible part, and there is one place for it;"
            f" give '{below}' a method of its own"
        )

    def not_upon_in_library(self, lower: MethodSpec) -> str:
        if "parallel" in (self.placement, getattr(lower, "placement", None)):
            return "in a stack with parallel bottlenecks `adapters` computes another network; the fused lane adds them"
        if self.embeds and not lower.embeds:
            return "`adapters` knows an invertible adapter in the lowest adapter of a stack only"
        return ""

    def fusion(self, members: tuple[Any, ...], value_rank: int | None) -> MethodSpec:
        from adapterx.methods.fusion.spec import Fusion

        if other := next((type(one).__name__ for one in members if not isinstance(one, Bottleneck)), None):
            raise ValueError(f"a fusion mixes what bottleneck adapters add, and one of them is {other}")
        if any(one.embeds for one in members):
            raise ValueError("an invertible adapter at the embeddings cannot be fused with others")
        if any((one.placement, one.layers) != (self.placement, self.layers) for one in members):
            raise ValueError("adapters at different places or in different layers cannot be fused")
        return Fusion.model_construct(members=members, value_rank=value_rank)

    def computed(self, info: BackboneInfo) -> Table:
        layers: list[JSON] = list(self.adapted(info.layers))
        whole = super().computed(info)
        own = {key: whole[key] for key in ("kind", "placement", "activation", "scaling", "invertible")}
        return {**own, "width": self.inside(info.hidden), "layers": layers}

    def inside(self, hidden: int) -> int:
        """Features inside the bottleneck, at least 1."""
        return self.width or max(1, int(hidden // self.reduction_factor))

    def kept(self, info: BackboneInfo) -> float:
        """What enters the adapter (behind a norm before it too, where the layer has one there), its inner features, of
        a smooth activation before and after it, and the mask of its dropout."""
        inner = self.inside(info.hidden) * (1 if self.activation == "relu" else 2)
        normed = self.placement == "sequential" and info.architecture == "xlm-roberta"
        wide = 1 + normed + bool(self.dropout)
        return len(self.sites) * (wide * info.hidden + inner)

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        hidden, inside = info.hidden, self.inside(info.hidden)
        own = len(self.adapted(info.layers)) * len(self.sites) * (2 * hidden * inside + inside + hidden)
        return own + (0 if self.invertible is None else _invertible_parameters(hidden))

    def fusion_parameters(self, value_rank: int | None, info: BackboneInfo) -> int:
        """Query and key with biases, and the value, at every place."""
        d = info.hidden
        value = d * d if value_rank is None else 2 * d * value_rank
        return len(self.adapted(info.layers)) * len(self.sites) * (2 * d * (d + 1) + value)

    def sized(self, info: BackboneInfo) -> Self:
        if self.budget is None:
            return self
        # Linear in the width, but for the biases of the output.
        one, two = (self._of_width(width).parameters(info) for width in (1, 2))
        return self._of_width(largest(one, two, self.budget * info.parameters, self.budget))

    def _of_width(self, width: int) -> Self:
        """Of a budget nothing is left: equal widths, equal methods."""
        left = self.model_fields_set - {"budget", "reduction_factor"}
        return self.model_validate({**{name: getattr(self, name) for name in left}, "width": width})

    @property
    def sites(self) -> tuple[Place, ...]:
        """The residual connections of a layer that carry an adapter."""
        return ("attention", "output") if self.placement == "double" else ("output",)


_PLACEMENT_DEFAULTS: dict[str, dict[str, object]] = {
    "double": {"activation": "swish"},
    "parallel": {"reduction_factor": 2.0, "scaling": 4.0},
}


def _invertible_parameters(hidden: int) -> int:
    """Of an invertible adapter: a bottleneck of half its input's width for each half of a row."""
    first, second = hidden // 2, hidden - hidden // 2
    return sum(i // 2 * (i + 1) + o * (i // 2 + 1) for i, o in ((second, first), (first, second)))
