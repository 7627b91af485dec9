"""What every method answers, for recipe, plan, engine and adapter files alike; needs no torch.

A method is a folder: `spec.py` says what a recipe may give and what follows for a plan; `layers.py` has its parameters
and forward pass; codecs hold its files; `merging.py` makes one adapter of several. A spec names the modules of the
others, so that they are imported only where they are needed (`adapterx.methods.method`, `adapterx.formats.codec`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer

from adapterx.backbones.info import BackboneInfo
from adapterx.config.fields import Model, unique
from adapterx.store import JSON

Table = Mapping[str, JSON]
Library = Literal["peft", "adapters"]
Layout = Literal["peft", "adapterhub"]
"""Whose files an adapter's directory holds."""
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


def _layers(value: object) -> object:
    if isinstance(value, str) and (value == "all" or re.fullmatch(r"top-[1-9][0-9]*", value)):
        return value
    numbers = list(value) if isinstance(value, list | tuple) else []
    if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("should be 'all', 'top-4' (the highest four), or a list of layer numbers, counted from 0")
    return unique(tuple(sorted(numbers)))


Layers = Annotated[str | tuple[int, ...], BeforeValidator(_layers)]


def adapted_layers(layers: str | tuple[int, ...], depth: int) -> tuple[int, ...]:
    """The layers, of an encoder `depth` deep, that carry adapters, lowest first. ValueError where they do not fit."""
    if layers == "all":
        return tuple(range(depth))
    chosen = layers if isinstance(layers, tuple) else tuple(range(depth - int(layers.removeprefix("top-")), depth))
    if not chosen or min(chosen) < 0 or max(chosen) >= depth:
        wanted = layers if isinstance(layers, str) else f"layer {max(chosen, default=0)} (counted from 0)"
        raise ValueError(f"wants adapters in {wanted} of an encoder with {depth} layers")
    return tuple(sorted(chosen))


def _budget(value: object) -> object:
    found = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+) ?%", value) if isinstance(value, str) else None
    if found is None or not 0 < float(found[1]) <= 100:
        raise ValueError("should be a share of the backbone's parameters with a percent sign, as in 0.5%")
    return float(found[1]) / 100


Budget = Annotated[
    float, BeforeValidator(_budget), PlainSerializer(lambda share: f"{100 * share:g}%", when_used="json")
]


@dataclass(frozen=True)
class Arithmetic:
    """One way of making an adapter of several."""

    name: str
    sums: bool = False
    """Whether each weight is 1 by default, as it takes a mean already; else they share 1 among the members."""
    sparse: bool = False
    """Whether it reads the density."""
    any_size: bool = False
    """Whether members may differ in size, as what each adds is merged as a whole."""
    from_start: bool = False
    """Whether it needs what the members started from, which only a recipe's seeds tell."""


class MethodSpec(Model):
    """One way of training, by the name of its kind. Defaults here are what is true of most methods."""

    kind: str
    layers_in: ClassVar[str] = ""
    """The module of its parameters and forward pass (`method.Layers`); empty where a library alone has them."""
    codecs: ClassVar[Mapping[Layout, str]] = {}
    """The modules that translate its adapters to and from a library's files (`formats.codec.Codec`)."""
    merging_in: ClassVar[str] = ""
    """The module whose `merge` makes one adapter of several."""
    merges: ClassVar[tuple[Arithmetic, ...]] = ()
    """How several adapters become one, the default first."""
    adapts: ClassVar[bool] = True
    """Whether anything beside a task's head is trained, which an intermediate can hand on."""
    trains_backbone: ClassVar[bool] = False
    """Whether the encoder's own weights are trained, so that a training shares nothing with others."""
    fusible: ClassVar[bool] = False
    """Whether AdapterFusion mixes what its adapters add; of some, `not_fused` says otherwise."""
    stackable: ClassVar[bool] = False
    """Whether it lies upon a frozen adapter of its kind that has settings of its own."""
    library: ClassVar[Library | None] = None
    """The library whose model trains it in the reference lane; None where Hugging Face's own does."""
    made_by_library: ClassVar[bool] = False
    """Whether that library alone knows how to make it."""
    plural: ClassVar[str] = ""
    """What messages call its adapters."""
    sizes: ClassVar[tuple[str, ...]] = ()
    """Settings that say the same thing in several ways; where one is given, the others have no default."""
    sized_by: ClassVar[tuple[str, ...]] = ()
    """Settings in which adapters may differ that `any_size` arithmetic merges; its module then has `scaled_alike`."""
    always: ClassVar[tuple[str, ...]] = ()
    """Settings that enter an identity even at their default."""

    @classmethod
    def frozen_defaults(cls, settings: Table) -> Table:
        """What settings of schema version 1 mean that are left out (`adapterx.plan.defaults` says why it is frozen)."""
        return {}

    @property
    def mixed(self) -> tuple[MethodSpec, ...]:
        """The methods of the frozen adapters in the slots below, where its own tensors only mix what those add."""
        return ()

    @property
    def share(self) -> float | None:
        """The share of the backbone's parameters that it may have, where its size is yet to be found."""
        return None

    @property
    def size_in_words(self) -> str:
        """Its rank or width."""
        return ""

    @property
    def drops(self) -> float:
        """The probability of dropout inside its adapters."""
        return 0.0

    @property
    def dropped_layers(self) -> int:
        """AdapterDrop: up to how many of the lowest layers are left out of a step."""
        return 0

    @property
    def embeds(self) -> bool:
        """Whether it changes what enters the lowest layer."""
        return False

    @property
    def gradient_share(self) -> float:
        """Share of its lowest layer's products through which a gradient flows on its way to its tensors there."""
        return 1.0

    def kept(self, info: BackboneInfo) -> float:
        """Numbers of a token row that its gradient needs in an adapted layer, beyond those that the frozen layer keeps
        to pass a gradient on.
        """
        return 0.0

    @property
    def eight_bit(self) -> bool:
        """Whether AdamW keeps its moments in a byte each."""
        return False

    @property
    def checkpoints_layers(self) -> bool:
        """Whether each layer is computed again on the way back, so that its inputs alone are kept."""
        return False

    @property
    def needs(self) -> tuple[str, str] | None:
        """A package that its training needs beyond those that are always there, and what it does through it."""
        return None

    @property
    def not_exported(self) -> str:
        """Why its adapters have no files, as what follows "the cell x "; empty where they have."""
        return ""

    @property
    def not_by_library(self) -> str:
        """What the reference lane has not got of it, as what follows "the method 'x' "; empty where it has all."""
        return ""

    def not_fused(self, name: str) -> str:
        """Why AdapterFusion does not mix its adapters, as what follows "the transfer 't' "; empty where it does.

        Args:
            name: what the recipe calls it.
        """
        return (
            f"mixes what bottleneck adapters add to a layer, and the method '{name}' is {self.kind}; merge its adapters"
            " instead"
        )

    def not_upon(self, lower: MethodSpec, name: str, below: str) -> str:
        """Why it does not lie upon an adapter of its kind, as a sentence; empty where it does.

        Args:
            name: what the recipe calls it.
            below: what it calls the intermediate of the lower adapter.
        """
        return ""

    def not_upon_in_library(self, lower: MethodSpec) -> str:
        """Why the reference lane does not stack them, as a sentence; empty where it does."""
        return ""

    def adapted(self, depth: int) -> tuple[int, ...]:
        """The layers, of an encoder `depth` deep, that carry adapters. ValueError where they do not fit."""
        return tuple(range(depth))

    def lowest_layer(self, depth: int) -> int:
        """The lowest layer, of an encoder `depth` deep, that it changes; 0 where it changes what enters it."""
        return 0 if self.embeds else self.adapted(depth)[0]

    def computed(self, info: BackboneInfo) -> Table:
        """What of it decides what trained tensors compute: all but what acts in training alone, in one form."""
        return self.model_dump(mode="json", exclude={"dropout", "adapter_drop", "budget"})

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        """Trainable parameters of one adapter, exactly as `peft` and `adapters` count them.

        Args:
            made: how many the library counted, where it makes the adapter.
        """
        raise NotImplementedError

    def fusion_parameters(self, value_rank: int | None, info: BackboneInfo) -> int:
        """Trainable parameters of an AdapterFusion over adapters of this method."""
        raise ValueError(f"AdapterFusion does not mix {self.kind}")

    def sized(self, info: BackboneInfo) -> Self:
        """The method with a size where it has a budget; ValueError where none fits."""
        return self

    def concatenated(self, members: int) -> Self:
        """The method of several adapters laid side by side, where their ranks add up."""
        return self

    def of_sizes(self, members: Sequence[Any], adds_up: bool) -> Self:
        """The method of what adapters of several sizes become, of which this is the first.

        Args:
            adds_up: whether their sizes add up; else the largest is kept.
        """
        return self

    def fusion(self, members: tuple[Any, ...], value_rank: int | None) -> MethodSpec:
        """What is trained in an AdapterFusion over adapters of these methods, of which this is the first.

        Raises ValueError where they cannot be fused.
        """
        raise ValueError(f"a fusion mixes what bottleneck adapters add, and one of them is {type(self).__name__}")


def largest(one: int, two: int, allowed: float, share: float) -> int:
    """The largest size within a number of parameters, which grow by the same with each size.

    Args:
        one: parameters of size 1.
        two: of size 2.
        share: of the backbone's parameters, for the message.

    Raises ValueError where not even size 1 is within it.
    """
    size = int((allowed - one) // (two - one)) + 1
    if size < 1:
        raise ValueError(
            f"has a budget of {100 * share:g}%, {int(allowed):,} parameters of this backbone, but the smallest"
            f" adapter has {one:,}"
        )
    return size
