"""What a recipe says of (IA)³, and what follows for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import BEHIND, Module
from adapterx.config.fields import unique
from adapterx.methods.base import (
    Arithmetic,
    Budget,
    Layers,
    Layout,
    Library,
    MethodSpec,
    Table,
    adapted_layers,
    largest,
)
from adapterx.store import JSON

_INPUTS: tuple[Module, ...] = ("attention_output", "output")
"""Linear layers whose inputs can be scaled."""
_FROZEN: Table = {
    "target_modules": ["key", "output", "value"],
    "feedforward_modules": ["output"],
    "layers": "all",
    "budget": None,
}
Modules = Annotated[
    tuple[Module, ...],
    Field(strict=False),
    AfterValidator(unique),
    AfterValidator(lambda modules: tuple(sorted(modules))),
]


class Ia3(MethodSpec):
    """(IA)³: a learnt factor for each feature of keys, values and the feed-forward's inner activations.

    l ⊙ (W x + b), or W (l ⊙ x) + b in the modules named as feed-forward (Liu et al. 2022, arXiv 2205.05638, 3.3).
    """

    layers_in: ClassVar[str] = "adapterx.methods.ia3.layers"
    codecs: ClassVar[Mapping[Layout, str]] = {"peft": "adapterx.methods.ia3.peft_files"}
    merging_in: ClassVar[str] = "adapterx.methods.ia3.merging"
    merges: ClassVar[tuple[Arithmetic, ...]] = (Arithmetic("linear"), Arithmetic("product", sums=True))
    stackable: ClassVar[bool] = True
    library: ClassVar[Library | None] = "peft"
    plural: ClassVar[str] = "(IA)³"
    sizes: ClassVar[tuple[str, ...]] = ("layers", "budget")

    kind: Literal["ia3"] = "ia3"
    target_modules: Annotated[Modules, Field(min_length=1)] = ("key", "output", "value")
    """The linear layers whose features are scaled, in any order."""
    feedforward_modules: Modules = ("output",)
    """Those of them whose inputs are scaled instead of their outputs: `output`, and `attention_output`."""
    layers: Layers = "all"
    """The encoder layers that carry adapters: all, the highest few, or a list."""
    budget: Budget | None = None
    """The most of the highest layers whose parameters are at most this share of the backbone's. Excludes layers."""

    @model_validator(mode="before")
    @classmethod
    def _entered_by_default(cls, data: object) -> object:
        """Without the feed-forward among the targets nothing is entered."""
        if isinstance(data, dict) and data.get("feedforward_modules") is None:
            targets = data.get("target_modules")
            if isinstance(targets, list | tuple) and "output" not in targets:
                return {**data, "feedforward_modules": ()}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.budget is not None and "layers" in self.model_fields_set:
            raise ValueError("gives both layers and budget: keep one of them")
        for module in self.feedforward_modules:
            if module not in _INPUTS:
                raise ValueError(f"scales the inputs of {' and '.join(_INPUTS)}, not of {module}")
            if module not in self.target_modules:
                raise ValueError(f"names {module} in feedforward_modules, which is not among its target_modules")
        return self

    @classmethod
    def frozen_defaults(cls, settings: Table) -> Table:
        return _FROZEN

    @property
    def share(self) -> float | None:
        return self.budget

    @property
    def size_in_words(self) -> str:
        return f"layers {self.layers}"

    @property
    def entered(self) -> tuple[Module, ...]:
        """The adapted modules whose inputs are scaled."""
        return tuple(module for module in self.target_modules if module in self.feedforward_modules)

    @property
    def gradient_share(self) -> float:
        return max(BEHIND[module] for module in self.target_modules)

    def adapted(self, depth: int) -> tuple[int, ...]:
        return adapted_layers(self.layers, depth)

    def kept(self, info: BackboneInfo) -> float:
        """What is scaled; of query, key and value all three, which are scaled side by side."""
        scaled = {
            "attention_output": info.hidden,
            "intermediate": info.intermediate,
            "output": info.intermediate if "output" in self.entered else info.hidden,
        }
        side_by_side = 3 * info.hidden if {"query", "key", "value"} & set(self.target_modules) else 0
        return side_by_side + sum(scaled.get(module, 0) for module in self.target_modules)

    def computed(self, info: BackboneInfo) -> Table:
        layers: list[JSON] = list(self.adapted(info.layers))
        entered: list[JSON] = [*sorted(self.entered)]
        return {**super().computed(info), "feedforward_modules": entered, "layers": layers}

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        return len(self.adapted(info.layers)) * self._in_a_layer(info)

    def sized(self, info: BackboneInfo) -> Self:
        if self.budget is None:
            return self
        one = self._in_a_layer(info)
        count = min(info.layers, largest(one, 2 * one, self.budget * info.parameters, self.budget))
        given = {name: getattr(self, name) for name in self.model_fields_set if name != "budget"}
        return self.model_validate({**given, "layers": "all" if count == info.layers else f"top-{count}"})

    def _in_a_layer(self, info: BackboneInfo) -> int:
        """A factor per output of each module, or per input of those that are entered."""
        inputs = {"output": info.intermediate}
        outputs = {"intermediate": info.intermediate}
        return sum(
            (inputs if module in self.entered else outputs).get(module, info.hidden) for module in self.target_modules
        )
