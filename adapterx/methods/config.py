"""What a method is, as plain values: what a recipe's `methods` come to once every default is filled in.

These types need nothing but the standard library, so that engine and benchmark run from a bare checkout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from adapterx.backbones.walk import Module

Placement: TypeAlias = Literal["sequential", "double", "parallel"]
Activation: TypeAlias = Literal["relu", "gelu", "swish"]
Layers: TypeAlias = tuple[int, ...] | None
"""The layers that carry adapters, counted from 0 at the bottom; None for all."""


@dataclass(frozen=True)
class Lora:
    """Low-rank updates W + (alpha / rank) B A of linear layers."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    """On the input of A."""
    target_modules: tuple[Module, ...] = ("query", "value")
    layers: Layers = None
    adapter_drop: int = 0
    """At each training step the adapters of up to this many of the lowest layers are left out, a random number."""


@dataclass(frozen=True)
class Bottleneck:
    """Down-projection, activation, up-projection, added to a sublayer's output."""

    placement: Placement = "sequential"
    reduction_factor: float = 16.0
    """Hidden size divided by bottleneck size."""
    width: int | None = None
    """Bottleneck size, whatever the hidden size, in place of a factor."""
    activation: Activation = "relu"
    scaling: float = 1.0
    dropout: float = 0.0
    """On the adapter's output."""
    layers: Layers = None
    adapter_drop: int = 0
    """At each training step the adapters of up to this many of the lowest layers are left out, a random number."""
    invertible: Literal["nice"] | None = None
    """An invertible adapter at the embeddings too."""


@dataclass(frozen=True)
class Full:
    """Every weight of the encoder: nothing stays frozen, so a cell of it shares nothing with others."""

    gradient_checkpointing: bool = False
    """Keep the inputs of each layer only, and compute the layer again on the way back."""
    eight_bit: bool = False
    """Whether AdamW keeps its moments in a byte each."""
    layers: Layers = field(default=None, init=False)
    dropout: float = field(default=0.0, init=False)


@dataclass(frozen=True)
class HeadOnly:
    """Nothing but the head: a linear probe."""

    layers: Layers
    """The highest, at whose read rows the head looks: what lies below it is the same in every epoch."""
    dropout: float = field(default=0.0, init=False)


@dataclass(frozen=True)
class Fusion:
    """Attention over several frozen bottleneck adapters, which lie in the slots below."""

    members: tuple[Bottleneck, ...]
    """Of equal placements and layers; widths may differ."""
    value_rank: int | None = None
    """Rank of the value's difference from the identity; a full matrix where None."""
    dropout: float = field(default=0.0, init=False)

    @property
    def layers(self) -> Layers:
        """Those of the members."""
        return self.members[0].layers


@dataclass(frozen=True)
class Library:
    """An adapter as `peft` or `adapters` makes it, under the library's names; the reference lane alone trains it."""

    library: Literal["peft", "adapters"]
    config: str
    """Of peft the settings as JSON, `peft_type` among them; of adapters a configuration string."""
    layers: Layers = field(default=None, init=False)
    dropout: float = field(default=0.0, init=False)


Method: TypeAlias = Lora | Bottleneck | Full | HeadOnly | Fusion | Library


def lowest_adapted(method: Method, depth: int) -> int:
    """The lowest layer of an encoder `depth` layers deep that a method changes; 0 where it changes what enters it."""
    if isinstance(method, Bottleneck) and method.invertible is not None:
        return 0
    return adapted_layers(method.layers, depth)[0]


def adapted_layers(layers: Layers, depth: int) -> tuple[int, ...]:
    """The chosen layers of an encoder `depth` layers deep, lowest first. ValueError where it has no such layers."""
    chosen = tuple(range(depth)) if layers is None else tuple(sorted(layers))
    if not chosen or chosen[0] < 0 or chosen[-1] >= depth:
        raise ValueError(f"adapters in layers {layers} do not fit an encoder of {depth} layers")
    return chosen
