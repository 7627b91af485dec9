"""Scores of one trained cell through the model it was trained in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adapterx.engine.batches import Selection
from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import answered
from adapterx.engine.options import ROWS
from adapterx.engine.passes import longest_first
from adapterx.engine.predict import Observe, Scores, TrainedCell, by_example, unobserved
from adapterx.methods.head import Head
from adapterx.methods.pooling import Pooling
from adapterx.reference.model import ReferenceModel, build
from adapterx.reference.padded import PaddedBatch, padded
from adapterx.results.predictions import LanguagePredictions
from adapterx.tasks.encoded import Encoded


def evaluate(
    encoder: nn.Module,
    cell: TrainedCell,
    head: Head,
    pools: Sequence[Pool],
    seed: int,
    observe: Observe = unobserved,
) -> list[LanguagePredictions]:
    """Predictions of a cell for the pools, one language each; arguments as of `predict`."""
    return answered(pools, predict(encoder, cell, head, [pool.data for pool in pools], seed, observe), head.kind)


def predict(
    encoder: nn.Module,
    cell: TrainedCell,
    head: Head,
    pools: Sequence[Encoded],
    seed: int,
    observe: Observe = unobserved,
) -> Scores:
    """Scores of a cell, by pool and example.

    Args:
        encoder: the plain encoder of its backbone, which stays as it is.
        seed: of its training.
    """
    return scores(build(encoder, cell.slots, seed), cell.heads, head, pools, observe)


@torch.no_grad()
def scores(
    model: ReferenceModel,
    heads: Mapping[str, Tensor],
    head: Head | Pooling,
    pools: Sequence[Encoded],
    observe: Observe = unobserved,
) -> Scores:
    """The same of a model as it stands, in evaluation mode."""
    model.training(False)
    device = next(model.encoder.parameters()).device
    tensors = {name: tensor.to(device) for name, tensor in heads.items()}
    owner, example, size = longest_first(pools)
    found: Scores = [[np.zeros((0, 0), np.float32)] * len(pool) for pool in pools]
    layer = head.layer if isinstance(head, Pooling) else None
    start = 0
    while start < len(size):
        stop = start + max(1, ROWS[device.type] // max(1, int(size[start])))
        chosen = np.arange(start, min(stop, len(size)))
        selections = [Selection(0, pools[owner[at]], example[at : at + 1]) for at in chosen]
        batch = padded(selections, _pad(model))
        (group,) = batch.heads
        lines = head.units(head.scores(tensors, read(model, batch, device, layer)), group.reads.to(device)).cpu()
        for at, part in zip(chosen, by_example(lines, head, group), strict=True):
            found[owner[at]][example[at]] = part
        observe(len(chosen), int(size[chosen].sum()))
        start = int(chosen[-1]) + 1
    return found


def embed(
    encoder: nn.Module,
    cell: TrainedCell,
    pooling: Pooling,
    pools: Sequence[Encoded],
    seed: int,
    observe: Observe = unobserved,
) -> list[NDArray[np.float32]]:
    """(n, d) of each pool, one vector of each of its examples; arguments as of `predict`."""
    found = scores(build(encoder, cell.slots, seed), {}, pooling, pools, observe)
    width = int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
    return [np.concatenate(of_pool) if of_pool else np.zeros((0, width), np.float32) for of_pool in found]


def read(model: ReferenceModel, batch: PaddedBatch, device: torch.device, layer: int | None = None) -> Tensor:
    """(R, d) states that the heads of a batch read, of the last layer unless another is named."""
    hidden = model.hidden(batch.tokens.to(device), batch.mask.to(device), layer)
    return hidden[batch.sequences.to(device), batch.positions.to(device)]


def _pad(model: ReferenceModel) -> int:
    config = model.encoder.config
    return int(config.pad_token_id)  # type: ignore[union-attr,arg-type]
