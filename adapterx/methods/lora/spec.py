"""What a recipe says of LoRA, and what follows for a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import BEHIND, Module
from adapterx.config.fields import PositiveFloat, Size, unique
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

_FROZEN: Table = {
    "rank": 8,
    "alpha": 16.0,
    "use_rslora": False,
    "budget": None,
    "dropout": 0.0,
    "target_modules": ["query", "value"],
    "layers": "all",
    "adapter_drop": 0,
}


class Lora(MethodSpec):
    """Low-rank updates of linear layers: W + (alpha / rank) B A (Hu et al. 2021, arXiv 2106.09685)."""

    layers_in: ClassVar[str] = "adapterx.methods.lora.layers"
    codecs: ClassVar[Mapping[Layout, str]] = {
        "peft": "adapterx.methods.lora.peft_files",
        "adapterhub": "adapterx.methods.lora.adapterhub_files",
    }
    merging_in: ClassVar[str] = "adapterx.methods.lora.merging"
    merges: ClassVar[tuple[Arithmetic, ...]] = (
        Arithmetic("linear"),
        Arithmetic("ties", sums=True, sparse=True),
        Arithmetic("dare_linear", sparse=True),
        Arithmetic("dare_ties", sums=True, sparse=True),
        Arithmetic("svd", any_size=True),
        Arithmetic("cat", any_size=True),
    )
    stackable: ClassVar[bool] = True
    library: ClassVar[Library | None] = "peft"
    plural: ClassVar[str] = "LoRA"
    sizes: ClassVar[tuple[str, ...]] = ("rank", "budget")
    sized_by: ClassVar[tuple[str, ...]] = ("alpha", "rank", "use_rslora")

    kind: Literal["lora"] = "lora"
    rank: Size = 8
    """Rows of A and columns of B."""
    alpha: PositiveFloat = 16.0
    """The update is scaled by alpha / rank. With a budget, twice the rank where it is not given."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023, arXiv 2312.03732)."""
    budget: Budget | None = None
    """The largest rank whose parameters are at most this share of the backbone's, as in 0.5%. Excludes rank."""
    dropout: Dropout = 0.0
    """Dropout on the input of A."""
    target_modules: Annotated[
        tuple[Module, ...],
        Field(strict=False, min_length=1),
        AfterValidator(unique),
        AfterValidator(lambda modules: tuple(sorted(modules))),
    ] = ("query", "value")
    """The linear layers to update, in any order."""
    layers: Layers = "all"
    """The encoder layers that carry adapters: all, the highest few, or a list."""
    adapter_drop: Annotated[int, Field(ge=0, le=1000)] = 0
    """AdapterDrop: at each step the adapters of the lowest n layers are left out, n uniform from 0 to this."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.budget is not None and "rank" in self.model_fields_set:
            raise ValueError("gives both rank and budget: keep one of them")
        return self

    @classmethod
    def frozen_defaults(cls, settings: Table) -> Table:
        return _FROZEN

    @property
    def share(self) -> float | None:
        return self.budget

    @property
    def size_in_words(self) -> str:
        return f"rank {self.rank}"

    @property
    def drops(self) -> float:
        return self.dropout

    @property
    def plain_alpha(self) -> float:
        """The alpha of the same update scaled by alpha / rank: alpha / sqrt(rank) is (alpha sqrt(rank)) / rank."""
        return self.alpha * math.sqrt(self.rank) if self.use_rslora else self.alpha

    @property
    def scaling(self) -> float:
        """The factor on B A."""
        return self.plain_alpha / self.rank

    def adapted(self, depth: int) -> tuple[int, ...]:
        return adapted_layers(self.layers, depth)

    @property
    def dropped_layers(self) -> int:
        return self.adapter_drop

    @property
    def gradient_share(self) -> float:
        return max(BEHIND[module] for module in self.target_modules)

    @property
    def not_by_library(self) -> str:
        return "has adapter_drop, which neither library has; use the fused lane" if self.adapter_drop else ""

    def kept(self, info: BackboneInfo) -> float:
        """What goes into A, once for modules with the same inputs, and comes out; with dropout each of its own, and
        the mask."""
        wide = {"output": info.intermediate}
        entered = [wide.get(module, info.hidden) for module in self.target_modules]
        if self.dropout:
            return 2 * sum(entered) + self.rank * len(entered)
        together = {"key": "query", "value": "query"}
        distinct = {
            together.get(module, module): width for module, width in zip(self.target_modules, entered, strict=True)
        }
        return sum(distinct.values()) + self.rank * len(entered)

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        wide = info.hidden + info.intermediate
        sizes = {"intermediate": wide, "output": wide}
        per_layer = sum(sizes.get(module, 2 * info.hidden) for module in self.target_modules)
        return len(self.adapted(info.layers)) * self.rank * per_layer

    def sized(self, info: BackboneInfo) -> Self:
        """Raises ValueError where the rank would exceed the width, too."""
        if self.budget is None:
            return self
        one, two = (self._of_rank(rank).parameters(info) for rank in (1, 2))
        rank = largest(one, two, self.budget * info.parameters, self.budget)
        if rank > info.hidden:
            raise ValueError(
                f"has a budget of {100 * self.budget:g}%, which is rank {rank:,}, more than the {info.hidden:,}"
                " features of this backbone: no update of low rank"
            )
        return self._of_rank(rank)

    def _of_rank(self, rank: int) -> Self:
        """Of a budget nothing is left: equal ranks, equal methods."""
        given = {name: getattr(self, name) for name in self.model_fields_set if name != "budget"}
        return self.model_validate({"alpha": 2.0 * rank, **given, "rank": rank})

    def computed(self, info: BackboneInfo) -> Table:
        layers: list[JSON] = list(self.adapted(info.layers))
        modules: list[JSON] = list(self.target_modules)
        own: Table = {"kind": self.kind, "rank": self.rank, "scaling": self.scaling}
        return {**own, "target_modules": modules, "layers": layers}

    def of_sizes(self, members: Sequence[Self], adds_up: bool) -> Self:
        ranks = [one.rank for one in members]
        rank = sum(ranks) if adds_up else max(ranks)
        return self.model_copy(update={"rank": rank, "alpha": self.scaling * rank, "use_rslora": False})

    def concatenated(self, members: int) -> Self:
        """The ranks add up; so does alpha, which leaves the scaling as it is."""
        alpha = self.alpha * (math.sqrt(members) if self.use_rslora else members)
        return self.model_copy(update={"rank": members * self.rank, "alpha": alpha})
