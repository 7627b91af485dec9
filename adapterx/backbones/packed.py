"""The packed encoder: a Hugging Face XLM-R or XLM-R-XL model run over packed rows, with places for adapters.

It walks the modules of the loaded model and calls their own linear layers; it holds no weights of its own.
Its output equals the Hugging Face forward at the same rows, with dropout off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from adapterx.backbones.layout import PackedBatch, attend

Module = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
"""A linear layer of an encoder layer, by the names LoRA targets."""
Place = Literal["attention", "output"]
"""A residual connection of an encoder layer: after attention, or after the feed-forward."""


class Adapters(Protocol):
    """What the encoder asks of a bundle's adapters. `rows` are the token rows of each cell, in order."""

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        """Outputs (N, len(modules) * d_out) of frozen linear layers on the same inputs (N, d_in), adapted."""
        ...

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        """norm(update + residual), both (N, d), with whatever adapter sits there. A pre-LN layer has no norm here."""
        ...


class Unadapted:
    """The frozen backbone as it is."""

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        return outputs

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        total = update + residual
        return total if norm is None else cast(Tensor, norm(total))


class PackedEncoder:
    """The frozen encoder of one backbone, ready for packed batches.

    Args:
        model: `XLMRobertaModel` (post-LN) or `XLMRobertaXLModel` (pre-LN). It is put in evaluation mode and frozen.
    """

    def __init__(self, model: nn.Module) -> None:
        # Hugging Face modules are walked by attribute, which no static type describes.
        self.model = cast(Any, model.eval().requires_grad_(False))
        self.config = self.model.config
        self.pre_norm = self.config.model_type == "xlm-roberta-xl"
        self.heads = int(self.config.num_attention_heads)
        self.hidden = int(self.config.hidden_size)
        self.layers: list[Any] = list(self.model.encoder.layer)
        for layer in self.layers:
            _fuse_projections(layer.attention.self)

    @property
    def device(self) -> torch.device:
        return cast(torch.device, self.model.embeddings.word_embeddings.weight.device)

    def __call__(self, batch: PackedBatch, adapters: Adapters | None = None) -> Tensor:
        """Hidden states (R, d) of the last layer at the batch's read rows."""
        adapters = adapters or Unadapted()
        hidden = self.embed(batch)
        for index in range(len(self.layers)):
            hidden = self.layer(index, hidden, batch, adapters)
        if self.pre_norm:
            hidden = self.model.encoder.LayerNorm(hidden)
        return hidden

    def embed(self, batch: PackedBatch) -> Tensor:
        """(N, d) embeddings; positions count from the padding index + 1 as RoBERTa's do."""
        embeddings = self.model.embeddings
        hidden: Tensor = embeddings.word_embeddings(batch.tokens)
        hidden = hidden + embeddings.token_type_embeddings.weight[0]
        hidden = hidden + embeddings.position_embeddings(batch.positions + self.config.pad_token_id + 1)
        return hidden if self.pre_norm else cast(Tensor, embeddings.LayerNorm(hidden))

    def layer(self, index: int, hidden: Tensor, batch: PackedBatch, adapters: Adapters) -> Tensor:
        """One encoder layer: (N, d) to (N, d), or to (R, d) in the last layer, whose other rows nobody reads."""
        layer = self.layers[index]
        last = index == len(self.layers) - 1
        rows = batch.read_rows if last else batch.rows
        attention_norm = None if self.pre_norm else layer.attention.output.LayerNorm
        output_norm = None if self.pre_norm else layer.output.LayerNorm

        inputs = layer.attention.self_attn_layer_norm(hidden) if self.pre_norm else hidden
        if last:
            context = self._read_attention(index, inputs, batch, adapters)
            hidden = hidden.index_select(0, batch.reads)
        else:
            context = self._self_attention(index, inputs, batch, adapters)
        update = layer.attention.output.dense(context)
        update = adapters.linear(index, ("attention_output",), context, update, rows)
        hidden = adapters.residual(index, "attention", update, hidden, attention_norm, rows)

        inputs = layer.LayerNorm(hidden) if self.pre_norm else hidden
        wide = adapters.linear(index, ("intermediate",), inputs, layer.intermediate.dense(inputs), rows)
        wide = layer.intermediate.intermediate_act_fn(wide)
        update = adapters.linear(index, ("output",), wide, layer.output.dense(wide), rows)
        return adapters.residual(index, "output", update, hidden, output_norm, rows)

    def _self_attention(self, index: int, inputs: Tensor, batch: PackedBatch, adapters: Adapters) -> Tensor:
        projected = _project(self.layers[index].attention.self, ("query", "key", "value"), inputs)
        projected = adapters.linear(index, ("query", "key", "value"), inputs, projected, batch.rows)
        query, key_value = projected[:, : self.hidden], projected[:, self.hidden :]
        return attend(query, key_value, batch.attention, self.heads)

    def _read_attention(self, index: int, inputs: Tensor, batch: PackedBatch, adapters: Adapters) -> Tensor:
        """As above with queries at the read rows only."""
        module = self.layers[index].attention.self
        asking = inputs.index_select(0, batch.reads)
        query = adapters.linear(index, ("query",), asking, _project(module, ("query",), asking), batch.read_rows)
        key_value = _project(module, ("key", "value"), inputs)
        key_value = adapters.linear(index, ("key", "value"), inputs, key_value, batch.rows)
        return attend(query, key_value, batch.read_attention, self.heads)


def _fuse_projections(attention: Any) -> None:
    """Put the query, key and value weights side by side in memory, so that one product computes all three.

    The modules keep their parameters, now views of the joint storage. Layers that are not plain floating-point
    `nn.Linear` (quantised ones) are left alone and called one by one.
    """
    modules = [cast(nn.Linear, getattr(attention, name)) for name in ("query", "key", "value")]
    if not all(type(module) is nn.Linear and module.weight.is_floating_point() for module in modules):
        return
    weight = torch.cat([module.weight for module in modules]).detach()
    bias = torch.cat([module.bias for module in modules]).detach()
    width = modules[0].out_features
    for place, module in enumerate(modules):
        module.weight.data = weight[place * width : (place + 1) * width]
        module.bias.data = bias[place * width : (place + 1) * width]
    attention.register_buffer("joint_weight", weight, persistent=False)
    attention.register_buffer("joint_bias", bias, persistent=False)


def _project(attention: Any, names: Sequence[str], inputs: Tensor) -> Tensor:
    """Outputs of adjacent projections, side by side: (N, len(names) * d)."""
    weight = cast(Tensor | None, getattr(attention, "joint_weight", None))
    if weight is None:
        outputs = [getattr(attention, name)(inputs) for name in names]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    bias = cast(Tensor, attention.joint_bias)
    width = weight.shape[0] // 3
    first = ("query", "key", "value").index(names[0])
    columns = slice(first * width, (first + len(names)) * width)
    return nn.functional.linear(inputs, weight[columns], bias[columns])
