"""The methods a recipe can name: what is trained beside the frozen backbone."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    model_validator,
)

from adapterx.config.fields import Model, PositiveFloat, Size, unique
from adapterx.methods.libraries import Adapters, Peft, by_library

LoraModule = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
"""The linear layers of an encoder layer, by the names Hugging Face gives them (the two `output`s told apart)."""

Placement = Literal["sequential", "double", "parallel"]
Activation = Literal["relu", "gelu", "swish"]
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
    if chosen[0] < 0 or chosen[-1] >= depth:
        wanted = layers if isinstance(layers, str) else f"layer {chosen[-1]} (counted from 0)"
        raise ValueError(f"wants adapters in {wanted} of an encoder with {depth} layers")
    return chosen


def _budget(value: object) -> object:
    found = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+) ?%", value) if isinstance(value, str) else None
    if found is None or not 0 < float(found[1]) <= 100:
        raise ValueError("should be a share of the backbone's parameters with a percent sign, as in 0.5%")
    return float(found[1]) / 100


Budget = Annotated[
    float, BeforeValidator(_budget), PlainSerializer(lambda share: f"{100 * share:g}%", when_used="json")
]


class Lora(Model):
    """Low-rank updates of linear layers: W + (alpha / rank) B A (Hu et al. 2021, arXiv 2106.09685)."""

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
        tuple[LoraModule, ...],
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


class Bottleneck(Model):
    """Two linear layers around an activation, added to the residual stream.

    The defaults are those of AdapterHub's `seq_bn` (Pfeiffer et al. 2020), `double_seq_bn` (Houlsby et al. 2019)
    and `par_bn` (He et al. 2021): the last four settings depend on the placement where they are not given.
    """

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
    """The non-linearity between the two layers. relu, or swish when double."""
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


class Full(Model):
    """Full fine-tuning: every weight of the encoder is trained, embeddings too; nothing stays frozen."""

    kind: Literal["full"] = "full"
    gradient_checkpointing: bool = False
    """Compute each layer again on the way back: less memory, about a third more time, the same result."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """With 8 bits the moments take a byte each instead of four, by `bitsandbytes`: other results, nearly as good."""
    layers: ClassVar[str] = "all"
    dropout: ClassVar[float] = 0.0


class Head(Model):
    """A linear probe: nothing but the head is trained, upon the frozen encoder."""

    kind: Literal["head"] = "head"
    layers: ClassVar[str] = "top-1"
    dropout: ClassVar[float] = 0.0


_PLACEMENT_DEFAULTS: dict[str, dict[str, object]] = {
    "double": {"activation": "swish"},
    "parallel": {"reduction_factor": 2.0, "scaling": 4.0},
}


def lowest_layer(method: Lora | Bottleneck | Full | Head | Peft | Adapters, depth: int) -> int:
    """The lowest layer, of an encoder `depth` deep, that a method changes; 0 where it changes what enters it."""
    if isinstance(method, Bottleneck) and method.invertible is not None:
        return 0
    return adapted_layers(method.layers, depth)[0]


Method = Annotated[
    Annotated[Lora | Bottleneck | Full | Head | Peft | Adapters, Field(discriminator="kind")],
    BeforeValidator(by_library),
]
