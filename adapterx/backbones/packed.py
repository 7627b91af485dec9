"""The packed encoder: a Hugging Face XLM-R or XLM-R-XL model run over packed rows, with places for adapters.

It walks the modules of the loaded model and uses their own weights. Its output equals the Hugging Face forward at the
same rows, with dropout off. What lies below the first adapter is computed once for cells that see the same sequences,
and not at all where its hidden states are known.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adapterx.backbones.attention import attend, attend_all
from adapterx.backbones.compute import hidden_format
from adapterx.backbones.forward_pass import QKV, Adapters, ForwardPass, Unadapted
from adapterx.backbones.layout import PackedBatch
from adapterx.backbones.mixed_context import mixed_context, mixes
from adapterx.backbones.modules import Module, Place
from adapterx.backbones.products import Joint, Modules, Product, Products, Reordered, reordering_pays
from adapterx.backbones.residual import fork, fork_normed
from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed, emulating

FEED_FORWARD: tuple[Module, Module] = ("intermediate", "output")


class PackedEncoder:
    """The frozen encoder of one backbone, ready for packed batches.

    Args:
        model: `XLMRobertaModel` (post-LN) or `XLMRobertaXLModel` (pre-LN). It is put in evaluation mode and frozen.
        key: names the weights: equal keys, equal hidden states.
        frozen: whether the weights stay as they are, so that they may be laid out anew.
        mixed: whether weights in float32, which are trained, are multiplied in bfloat16 (autocast) where it pays.

    Weights may be kept in another number format than hidden states are computed in: `compute.hidden_format` says which.
    """

    def __init__(self, model: nn.Module, key: str = "", frozen: bool = True, mixed: bool = False) -> None:
        # Hugging Face modules are walked by attribute, which no static type describes.
        self.model = cast(Any, model.eval().requires_grad_(False))
        self.key = key
        self.config = self.model.config
        self.pre_norm = self.config.model_type == "xlm-roberta-xl"
        self.heads = int(self.config.num_attention_heads)
        self.hidden = int(self.config.hidden_size)
        self.layers: list[Any] = list(self.model.encoder.layer)
        self.checkpointing = False
        """Whether a layer is computed again on the way back instead of keeping what its gradient needs."""
        self._frozen = frozen
        self._places: dict[str, tuple[nn.Module, str]] = {}
        """Of weights that are trained: modules and their attributes."""
        self.mixed = mixed and hidden_format(torch.bfloat16, self.device) == torch.bfloat16
        rest = self.token_embeddings.dtype
        self.dtype = hidden_format(rest, self.device) if frozen else rest
        """Number format of the hidden states."""
        make = Products(self.dtype, frozen and reordering_pays(self.layers, self.dtype))
        self.products = [_products(layer, make, frozen) for layer in self.layers]
        self.norms = [self._norms(layer) for layer in self.layers]
        """Of each layer: that of the attention and that of the feed-forward block."""
        self.norm = self._computing(self.model.encoder.LayerNorm if self.pre_norm else self.model.embeddings.LayerNorm)
        """Behind the last layer where norms stand before blocks, else behind the embeddings."""

    def weights(self) -> dict[str, Tensor]:
        """The encoder's own tensors by the model's names."""
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    def with_weights(self, tensors: Mapping[str, Tensor], checkpointing: bool = False) -> PackedEncoder:
        """The same encoder with other weights, differentiable in them; this one stays as it is.

        Args:
            tensors: one for every name of `weights`, on the device where it is to run.
            checkpointing: compute each layer again on the way back, to keep less.
        """
        own = dict(self.model.named_parameters())
        if wrong := sorted(own.keys() ^ tensors.keys()):
            raise ValueError(f"the weights do not fit this encoder: {wrong[0]} is not in both")
        if len(self.token_embeddings) != self.config.vocab_size:
            raise ValueError("an encoder with the embeddings of some tokens alone takes no weights of a whole one")
        # Modules are copied, weights are not: the copy's give way to the new ones at once.
        model = copy.deepcopy(self.model, {id(parameter): parameter for parameter in own.values()})
        places = {}
        for name, tensor in tensors.items():
            path, _, attribute = name.rpartition(".")
            places[name] = module, _ = model.get_submodule(path), attribute
            del module._parameters[attribute]
            setattr(module, attribute, tensor)
        other = PackedEncoder(model, frozen=False, mixed=self.mixed)
        other.checkpointing = checkpointing
        other._places = places
        return other

    def renew(self, tensors: Mapping[str, Tensor]) -> None:
        """Put other tensors in the place of those of `with_weights`, such as views that a step has not used yet."""
        for name, tensor in tensors.items():
            module, attribute = self._places[name]
            setattr(module, attribute, tensor)

    @property
    def token_embeddings(self) -> Tensor:
        """(V, d); with the embeddings of some tokens alone (`token_rows`) theirs, in the order of their ids."""
        return cast(Tensor, self.model.embeddings.word_embeddings.weight)

    @property
    def device(self) -> torch.device:
        return cast(torch.device, self.model.embeddings.word_embeddings.weight.device)

    def place(self, tensor: Tensor) -> Tensor:
        """The tensor on the encoder's device, on its way there if it lies in pinned memory."""
        return tensor.to(self.device, non_blocking=True)

    def send(self, tensor: Tensor) -> Tensor:
        """The same of a tensor wherever it lies; on a GPU through pinned memory, so that nobody waits."""
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            tensor = tensor.pin_memory()
        return self.place(tensor)

    @property
    def spans(self) -> bool:
        """Whether attention runs on variable-length kernels: on a GPU, in half precision."""
        return emulating() or (self.device.type == "cuda" and (self.mixed or self.dtype == torch.bfloat16))

    @property
    def recordable(self) -> bool:
        """Whether its products may be recorded in a CUDA graph."""
        return all(product.recordable for products in self.products for product in products.values())

    def _norms(self, layer: Any) -> tuple[nn.Module, nn.Module]:
        attention = layer.attention
        norms = (
            (attention.self_attn_layer_norm, layer.LayerNorm)
            if self.pre_norm
            else (attention.output.LayerNorm, layer.output.LayerNorm)
        )
        return self._computing(norms[0]), self._computing(norms[1])

    def _computing(self, norm: nn.Module) -> nn.Module:
        """A norm in the format of hidden states."""
        same = cast(torch.dtype, norm.weight.dtype) == self.dtype
        return norm if same or not self._frozen else copy.deepcopy(norm).to(self.dtype)

    def __call__(
        self,
        batch: PackedBatch,
        adapters: Adapters | None = None,
        depth: int = 0,
        hidden: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> Tensor:
        """The last layer's hidden states (R, d) at the batch's read rows; arguments as of `states`."""
        return self.states(batch, (len(self.layers),), adapters, depth, hidden, projected)[-1]

    def states(
        self,
        batch: PackedBatch,
        layers: Sequence[int],
        adapters: Adapters | None = None,
        depth: int = 0,
        hidden: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> list[Tensor]:
        """Hidden states (R, d) of several layers at the batch's read rows, as Hugging Face's `hidden_states` have them.

        Args:
            layers: which ones, ascending, none below `depth`; 0 are the embeddings.
            depth: layers not to compute, because `hidden` is known.
            hidden: what `below` gives at this depth for the rows that the batch's cells share.
            projected: what `project` gives for this `hidden`. It is left as it is.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            return self._states(batch, layers, adapters or Unadapted(), depth, hidden, projected)

    def _states(
        self,
        batch: PackedBatch,
        layers: Sequence[int],
        adapters: Adapters,
        depth: int,
        hidden: Tensor | None,
        projected: Tensor | None,
    ) -> list[Tensor]:
        forward = ForwardPass(batch, adapters, None if adapters.embeds else projected)
        if hidden is None:
            depth, hidden = 0, self.embed(forward.layout)
        if adapters.embeds:
            assert depth == 0, "an adapter at the embeddings leaves nothing below it"
            (hidden,) = forward.expand_all(rows=[hidden])
            hidden = adapters.embedding(hidden, forward.rows)
        found = [forward.read(hidden)] if layers[0] == depth else []
        for index in range(depth, layers[-1]):
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(self.layer, index, hidden, forward, use_reentrant=False)
            else:
                hidden = self.layer(index, hidden, forward)
            if index + 1 == len(self.layers):
                found.append(self._read_last(hidden, forward))
            elif index + 1 in layers:
                found.append(forward.read(hidden))
        return found

    def _read_last(self, hidden: Tensor, forward: ForwardPass) -> Tensor:
        """(R, d) of what the last layer gives."""
        if self.pre_norm:
            hidden = self.norm(hidden)
        (hidden,) = forward.expand_all(reads=[hidden])
        return hidden

    @torch.no_grad()
    def below(self, batch: PackedBatch, depth: int) -> Tensor:
        """Hidden states (N, d) of the rows that cells share after the first `depth` layers, fewer than all."""
        return self.shared_states(batch, (depth,))[depth]

    @torch.no_grad()
    def shared_states(
        self, batch: PackedBatch, depths: Collection[int], start: int = 0, hidden: Tensor | None = None
    ) -> dict[int, Tensor]:
        """Hidden states (N, d) of the rows that cells share at several depths, none of them the last layer's.

        Args:
            start: layers not to compute, because `hidden` is known; not above any of `depths`.
        """
        forward = ForwardPass(batch, Unadapted())
        with self._halved():
            if hidden is None:
                start, hidden = 0, self.embed(forward.layout)
            found = {start: hidden}
            for index in range(start, max(depths)):
                hidden = self.layer(index, hidden, forward)
                found[index + 1] = hidden
                if index not in depths:
                    del found[index]
        return found

    def _halved(self) -> AbstractContextManager[object]:
        """Products in 16 bits where weights are mixed, on a GPU, whose attention kernel takes nothing else.

        A CPU computes what is read without a gradient in the format of the weights.
        """
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed and self.device.type == "cuda")

    @torch.no_grad()
    def project(self, depth: int, hidden: Tensor) -> Tensor | None:
        """Frozen query, key and value (N, 3 d) in the layer above `hidden`, for all who pass over the same shared rows.

        None for the last layer, where what is to be computed depends on the adapters.
        """
        if depth == len(self.layers) - 1:
            return None
        with self._halved():
            return self.products[depth][QKV](self._forked(depth, 0, hidden)[0])

    def embed(self, batch: PackedBatch) -> Tensor:
        """(N, d) embeddings; positions count from the padding index + 1 as RoBERTa's do."""
        embeddings = self.model.embeddings
        hidden: Tensor = embeddings.word_embeddings(batch.tokens).to(self.dtype)
        hidden = hidden + embeddings.token_type_embeddings.weight[0]
        hidden = hidden + embeddings.position_embeddings(batch.positions + self.config.pad_token_id + 1)
        return hidden if self.pre_norm else cast(Tensor, self.norm(hidden))

    def layer(self, index: int, hidden: Tensor, forward: ForwardPass) -> Tensor:
        """One encoder layer: (N, d) to (N, d), or to (R, d) in the last layer, whose other rows nobody reads."""
        layer, products, adapters = self.layers[index], self.products[index], forward.adapters
        last = index == len(self.layers) - 1
        attention_norm, output_norm = (None, None) if self.pre_norm else self.norms[index]

        def expand(places: Sequence[Module | Place], *tensors: Tensor) -> tuple[Tensor, ...]:
            return forward.expand(index, places, reads=tensors) if last else forward.expand(index, places, rows=tensors)

        def rows() -> tuple[int, ...]:
            return forward.read_rows if last else forward.rows

        inputs, hidden = self._forked(index, 0, hidden)
        attention = self._read_attention if last else self._self_attention
        context, hidden = attention(index, inputs, hidden, forward)
        if adapters.enters(index, "attention_output"):
            context, hidden = expand(("attention_output",), context, hidden)
            context = adapters.entering(index, "attention_output", context, rows())
        update = products["attention_output",](context)
        context, update, hidden = expand(("attention_output", "attention"), context, update, hidden)
        update = adapters.linear(index, ("attention_output",), context, update, rows())
        hidden = adapters.residual(index, "attention", update, hidden, attention_norm, rows())

        inputs, hidden = self._forked(index, 1, hidden)
        outputs = self._feed_forward(index, inputs, forward)
        if outputs is not None:
            return adapters.residual(index, "output", outputs, hidden, output_norm, rows())
        wide = self._intermediate(index, inputs, adapters)
        if wide is None:
            wide = products["intermediate",](inputs)
            inputs, wide, hidden = expand(("intermediate",), inputs, wide, hidden)
            wide = adapters.linear(index, ("intermediate",), inputs, wide, rows())
            wide = layer.intermediate.intermediate_act_fn(wide)
        if adapters.enters(index, "output"):
            wide, hidden = expand(("output",), wide, hidden)
            wide = adapters.entering(index, "output", wide, rows())
        update = products["output",](wide)
        wide, update, hidden = expand(("output",), wide, update, hidden)
        update = adapters.linear(index, ("output",), wide, update, rows())
        return adapters.residual(index, "output", update, hidden, output_norm, rows())

    def _feed_forward(self, index: int, inputs: Tensor, forward: ForwardPass) -> Tensor | None:
        """Outputs (N, d) of the feed-forward block by a kernel, where one is chosen and nobody comes between."""
        first, second = (self.products[index][module,] for module in FEED_FORWARD)
        if not (choice.runs("gelu", inputs.device) and self.config.hidden_act == "gelu" and forward.apart):
            return None
        if not (isinstance(first, Joint) and isinstance(second, Joint) and inputs.is_contiguous()):
            return None
        if forward.adapters.changes(index, FEED_FORWARD):
            return None
        from adapterx.kernels.gelu import FeedForward

        with suppress(KernelFailed):
            weights = (first.weight, first.bias), first, second.weight, second
            return cast(Tensor, FeedForward.apply(inputs, *weights))  # type: ignore[no-untyped-call]
        return None

    def _intermediate(self, index: int, inputs: Tensor, adapters: Adapters) -> Tensor | None:
        """Activated outputs (N, i) of the first feed-forward layer in one go, where nobody comes between."""
        first = self.products[index]["intermediate",]
        between = torch.is_grad_enabled() or adapters.adapts(index, ("intermediate",))
        if between or not isinstance(first, Reordered) or self.config.hidden_act != "gelu":
            return None
        return first.outputs(inputs, "gelu")

    def _forked(self, index: int, block: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What a layer's attention (0) or feed-forward block (1) reads of hidden states, and what goes past it."""
        return fork_normed(hidden, self.norms[index][block]) if self.pre_norm else fork(hidden)

    def _self_attention(
        self, index: int, inputs: Tensor, hidden: Tensor, forward: ForwardPass
    ) -> tuple[Tensor, Tensor]:
        """Context of every row, and the hidden states of the same rows."""
        projected = forward.projected()
        if projected is None and forward.apart:
            projected = forward.adapters.product(index, QKV, self.products[index][QKV], inputs, forward.rows)
            return attend_all(projected, forward.layout.attention, self.heads), hidden
        if projected is None:
            projected = self.products[index][QKV](inputs)
        projected, inputs, hidden = forward.expand(index, QKV, rows=[projected, inputs, hidden])
        projected = forward.adapters.linear(index, QKV, inputs, projected, forward.rows)
        return attend_all(projected, forward.layout.attention, self.heads), hidden

    def _read_attention(
        self, index: int, inputs: Tensor, hidden: Tensor, forward: ForwardPass
    ) -> tuple[Tensor, Tensor]:
        """As above with queries at the read rows only."""
        products, adapters = self.products[index], forward.adapters
        attention = self.layers[index].attention.self
        asking, hidden = (rows.index_select(0, forward.layout.reads) for rows in (inputs, hidden))
        query = products["query",](asking)
        if mixes(index, attention, forward):
            inputs, query, asking, hidden = forward.expand(index, QKV, rows=[inputs], reads=[query, asking, hidden])
            query = adapters.linear(index, ("query",), asking, query, forward.read_rows)
            return mixed_context(index, attention, query, inputs, forward, self.heads, self.dtype), hidden
        key_value = products["key", "value"](inputs)
        key_value, inputs, query, asking, hidden = forward.expand(
            index, QKV, rows=[key_value, inputs], reads=[query, asking, hidden]
        )
        query = adapters.linear(index, ("query",), asking, query, forward.read_rows)
        key_value = adapters.linear(index, ("key", "value"), inputs, key_value, forward.rows)
        return attend(query, key_value, forward.layout.read_attention, self.heads), hidden


def _products(layer: Any, make: Products, frozen: bool) -> dict[tuple[Module, ...], Product]:
    """The products of a layer, by the modules whose outputs they give."""
    attention = layer.attention.self

    def of(*modules: nn.Module) -> list[Product]:
        if frozen:
            return make.of(modules)
        splits = [modules] if len(modules) == 1 else [modules, modules[:1], modules[1:]]
        return [Modules(part) for part in splits]

    joint, query, key_value = of(attention.query, attention.key, attention.value)
    return {
        QKV: joint,
        ("query",): query,
        ("key", "value"): key_value,
        ("attention_output",): of(layer.attention.output.dense)[0],
        ("intermediate",): of(layer.intermediate.dense)[0],
        ("output",): of(layer.output.dense)[0],
    }
