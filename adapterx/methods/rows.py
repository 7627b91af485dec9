"""Products of packed rows with per-cell weights, and per-cell dropout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from adapterx.methods.parameters import stream


def linear_by_cell(inputs: Tensor, weight: Tensor, bias: Tensor | None, rows: tuple[int, ...]) -> Tensor:
    """Each cell's rows through its own linear layer.

    Args:
        inputs: (N, i), the rows of cell 0, then of cell 1, …
        weight: (K, o, i).
        bias: (K, o) or None.
        rows: K counts that sum to N.

    Returns:
        (N, o) in the number format of the inputs. A cell's rows meet the same product however many neighbours it has.
    """
    weight, bias = weight.to(inputs.dtype), None if bias is None else bias.to(inputs.dtype)
    parts = [
        linear(part, weight[cell], None if bias is None else bias[cell])
        for cell, part in enumerate(torch.split(inputs, list(rows)))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class CellDropout:
    """Dropout whose masks belong to the cell: a function of its seed, its step and the place in the network.

    Neighbours in the bundle and the packing of the batch leave the masks as they are. Off until `begin`.
    """

    def __init__(self, probability: float, seeds: Sequence[int]) -> None:
        self.probability = probability
        self.seeds = tuple(seeds)
        self.steps: tuple[int, ...] | None = None

    def begin(self, steps: Sequence[int] | None) -> None:
        """Set each cell's step before a training pass; None switches dropout off."""
        self.steps = None if steps is None else tuple(steps)

    def __call__(self, inputs: Tensor, rows: tuple[int, ...], place: str) -> Tensor:
        """Inputs (N, d) with entries zeroed and the rest scaled by 1 / (1 - p)."""
        if self.steps is None or self.probability == 0.0:
            return inputs
        keep = 1.0 - self.probability
        generator = torch.Generator(device=inputs.device)
        masks = []
        for seed, step, count in zip(self.seeds, self.steps, rows, strict=True):
            generator.manual_seed(stream("dropout", seed, step, place))
            mask = torch.empty(count, inputs.shape[1], device=inputs.device, dtype=inputs.dtype)
            masks.append(mask.bernoulli_(keep, generator=generator).div_(keep))
        return inputs * (masks[0] if len(masks) == 1 else torch.cat(masks))
