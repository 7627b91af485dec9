"""Adapters with no zero in them, and what an encoder makes of some tokens with them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from adapterx.backbones.layout import Sequences, pack
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.shape import Encoder, Shape
from adapterx.formats.adapter import PortableAdapter, PortableHead, head_shapes
from adapterx.methods.base import MethodSpec
from adapterx.methods.method import Slot, adapters, parameters
from adapterx.methods.rows import CellDropout

LENGTH = 7
TOKENS = np.random.default_rng(0).integers(3, 120, size=(4, LENGTH)).astype(np.int32)
LABELS = ("no", "maybe", "yes")


def place(architecture: str = "xlm-roberta", hidden: int = 32, layers: int = 3) -> Encoder:
    """The encoder of `tests.models.encoder` with the same sizes."""
    return Encoder(architecture, Shape(layers, hidden, 4 * hidden), "someone/small", "0" * 40)


def adapter(method: MethodSpec, encoder: Encoder, head: str | None = None, seed: int = 0) -> PortableAdapter:
    """Random tensors, so that every part of the formula shows."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {p.name: torch.randn(p.shape, generator=generator) * 0.2 for p in parameters(method, encoder.shape)}
    if head is None:
        return PortableAdapter(method, tensors)
    labels = {"multiple-choice": LABELS[:2], "extractive-qa": (), "regression": ()}.get(head, LABELS)
    shapes = head_shapes(head, len(labels), encoder.shape.hidden)
    own = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}
    return PortableAdapter(method, tensors, PortableHead(head, labels, own, "opinions"))


def hidden(model: Any, *parts: PortableAdapter) -> Tensor:
    """(4, LENGTH, d) hidden states of the tokens, the adapters stacked."""
    count = len(TOKENS)
    batch = pack(Sequences(TOKENS.reshape(-1), np.full(count, LENGTH), np.arange(TOKENS.size), [count], [TOKENS.size]))
    slots = [Slot(part.method, {name: tensor[None] for name, tensor in part.tensors.items()}) for part in parts]
    with torch.no_grad():
        rows = PackedEncoder(deepcopy(model))(batch, adapters(slots, CellDropout(0.0, (0,))))
    return rows.view(count, LENGTH, -1)


def theirs(model: Any) -> Tensor:
    """The same from a library's model."""
    with torch.no_grad():
        found = model.eval()(input_ids=torch.as_tensor(TOKENS, dtype=torch.long))
    return cast(Tensor, found.last_hidden_state)
