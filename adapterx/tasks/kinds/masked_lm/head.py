"""The masked-LM head: dense, GELU, layer norm, and a product with the encoder's own token embeddings.

As `XLMRobertaLMHead` of `transformers` has it. An invertible adapter is undone between the norm and that product, as
AdapterHub's heads do (`adapters/heads/language_modeling.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear
from torch.utils.checkpoint import checkpoint

_EPSILON = 1e-5
_ROWS = 256
"""Rows whose scores over the whole vocabulary are held at once: a quarter of a gigabyte with XLM-R's."""


def transform(prefix: str, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
    """(R, d) hidden states as they are to meet the embeddings."""
    inner = gelu(linear(rows, tensors[f"{prefix}dense.weight"], tensors[f"{prefix}dense.bias"]))
    norm = (tensors[f"{prefix}norm.weight"], tensors[f"{prefix}norm.bias"])
    return layer_norm(inner, inner.shape[1:], *norm, _EPSILON)


def loss(rows: Tensor, embeddings: Tensor, bias: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over the vocabulary, summed with the weight of each label.

    Args:
        rows: (R, d) from `transform`.
        embeddings: (V, d).
        bias: (V,).
        labels: (R,) token ids.
        weights: (R,).
    """
    if len(rows) <= _ROWS or not torch.is_grad_enabled():
        parts = [_loss(*part, embeddings, bias) for part in _split(rows, labels, weights)]
    else:
        parts = [
            checkpoint(_loss, *part, embeddings, bias, use_reentrant=False) for part in _split(rows, labels, weights)
        ]
    return torch.stack(parts).sum()


def _split(rows: Tensor, labels: Tensor, weights: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    return list(zip(*(torch.split(tensor, _ROWS) for tensor in (rows, labels, weights)), strict=True))


def _loss(rows: Tensor, labels: Tensor, weights: Tensor, embeddings: Tensor, bias: Tensor) -> Tensor:
    scores = linear(rows.to(embeddings.dtype), embeddings).float() + bias
    return cross_entropy(scores, labels, reduction="none") @ weights
