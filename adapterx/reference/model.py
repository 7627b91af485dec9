"""A model of Hugging Face with the adapters of one training, its trained tensors under the names that are stored."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from adapterx.backbones.shape import Shape
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import Parameter, zeros
from adapterx.reference import adapterhub, peft_models
from adapterx.reference.libraries import NAME

Build: TypeAlias = Callable[[Any, Sequence[Slot], int], tuple[nn.Module, list[dict[str, nn.Parameter]]]]


@dataclass(frozen=True, eq=False)
class ReferenceModel:
    """One encoder with adapters of which the last is trained."""

    encoder: nn.Module
    """Called as Hugging Face calls its encoders."""
    parameters: Sequence[Parameter]
    """What is trained, in the order of methods."""
    tensors: Mapping[str, nn.Parameter]
    """The model's own parameters, by the names of `parameters`."""
    adapters: Sequence[nn.Module] = field(default=())
    """Modules whose dropout is on in training; the backbone's never is."""

    def hidden(self, tokens: Tensor, mask: Tensor, layer: int | None = None) -> Tensor:
        """(S, T, d) states of a layer in float32, from (S, T) tokens and the mask of those that are real.

        Args:
            layer: how many layers they have passed, all by default.
        """
        output = self.encoder(input_ids=tokens, attention_mask=mask, output_hidden_states=layer is not None)
        if layer is not None:
            return cast(Tensor, output.hidden_states[layer]).float()
        return cast(Tensor, output.last_hidden_state).float()

    def unembedded(self, rows: Tensor) -> Tensor:
        """(R, d) rows as they were before an invertible adapter of `adapters` changed the embeddings."""
        backwards: Any = getattr(self.encoder, "invertible_adapters_forward", None)
        return rows if backwards is None else cast(Tensor, backwards(rows[None], rev=True)[0])

    @property
    def token_embeddings(self) -> Tensor:
        """(V, d)."""
        encoder: Any = self.encoder
        return cast(Tensor, encoder.get_input_embeddings().weight)

    def training(self, on: bool) -> None:
        """Put the trained adapter in training or evaluation mode."""
        for module in self.adapters:
            module.training = on


def shape_of(encoder: nn.Module) -> Shape:
    """The widths of an encoder of Hugging Face's."""
    config: Any = encoder.config
    weights = tuple((name, tuple(tensor.shape)) for name, tensor in encoder.named_parameters())
    return Shape(config.num_hidden_layers, config.hidden_size, config.intermediate_size, weights)


def build(encoder: nn.Module, slots: Sequence[Slot], seed: int) -> ReferenceModel:
    """A model with these adapters, the lowest first, their tensors loaded; the encoder that is given stays as it is.

    Its frozen weights are shared. A slot without tensors starts as the library starts it, or at zero for methods whose
    starts are known elsewhere.

    Args:
        seed: decides what the library draws, trained or not.
    """
    method, shape = slots[-1].method, shape_of(encoder)
    if not method.adapts:
        return ReferenceModel(encoder, (), {})
    if method.trains_backbone:
        own = copy.deepcopy(encoder).float().requires_grad_(True)
        return _loaded(ReferenceModel(own, parameters(method, shape), dict(own.named_parameters())), [slots[-1]], [{}])
    frozen = _marks(encoder)
    trained = {name.replace(".base_layer.", ".") for slot in slots for name in slot.tensors}
    kept: dict[int, Any] = {id(one): one for name, one in encoder.named_parameters() if name not in trained}
    shared = copy.deepcopy(encoder, kept)  # all but the biases that an adapter comes with
    plain = {id(module) for module in shared.modules()}
    if method.library is None:
        raise ValueError(f"no library has the method {method.kind}")
    make: Build = peft_models.build if method.library == "peft" else adapterhub.build
    model, found = make(shared, slots, seed)
    if _marks(encoder) != frozen:
        raise RuntimeError(f"the library of {method} changed weights of the frozen backbone")
    model.to(next(encoder.parameters()).device)  # what the library added may lie elsewhere
    model.requires_grad_(False)
    for parameter in found[-1].values():
        parameter.requires_grad_(True)
    lower = {NAME.format(place) for place in range(len(slots) - 1)}
    new = [one for path, one in model.named_modules() if id(one) not in plain and lower.isdisjoint(path.split("."))]
    if method.mixed:
        new = []  # the library drops scores of a fusion by the backbone's own probability; neither lane does
    specs = _specs(found[-1]) if method.made_by_library else parameters(method, shape)
    return _loaded(ReferenceModel(model.eval(), specs, found[-1], new), slots, found)


def _specs(tensors: Mapping[str, nn.Parameter]) -> list[Parameter]:
    """Of a library's adapter: decay spares vectors, as biases and norms are."""
    return [Parameter(name, tuple(one.shape), zeros, decays=one.dim() > 1) for name, one in tensors.items()]


@torch.no_grad()
def _loaded(
    model: ReferenceModel, slots: Sequence[Slot], found: Sequence[Mapping[str, nn.Parameter]]
) -> ReferenceModel:
    for slot, below in zip(slots[:-1], found[:-1], strict=True):
        _fit(slot, below)
        for name, tensor in slot.tensors.items():
            below[name].copy_(tensor)
    if slots[-1].tensors:
        _fit(slots[-1], model.tensors)
        for name, tensor in slots[-1].tensors.items():
            model.tensors[name].copy_(tensor)
    return model


def _fit(slot: Slot, tensors: Mapping[str, nn.Parameter]) -> None:
    if wrong := sorted(slot.tensors.keys() ^ tensors.keys()):
        raise ValueError(f"stored tensors do not fit {slot.method}: {wrong[0]} is not in both")


def _marks(encoder: nn.Module) -> list[tuple[int, int]]:
    """Where each frozen weight lies and how often it was written to."""
    return [(parameter.data_ptr(), parameter._version) for parameter in encoder.parameters()]
