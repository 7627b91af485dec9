"""Products of packed rows with per-cell weights, and per-cell dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import linear

from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed
from adapterx.kernels.tiles import CellRows, Masks, RowTiles, by_library, tiles_of
from adapterx.methods.parameters import gradient_place, stream


def alike(rows: Sequence[int]) -> bool:
    """Whether several cells have equally many rows, so that one batched product serves them all."""
    return len(rows) > 1 and len(set(rows)) == 1


def linear_by_cell(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, rows: tuple[int, ...], base: Tensor | None = None
) -> Tensor:
    """Each cell's rows through its own linear layer.

    Args:
        inputs: (N, i), the rows of cell 0, then of cell 1, …
        weight: (K, o, i).
        bias: (K, o) or None.
        rows: K counts that sum to N.
        base: (N, o) to add to the outputs.

    Returns:
        (N, o) in the number format of the inputs. A cell's rows meet the same product however many neighbours it has.
    """
    tiles = tiles_of(rows)
    if tiles is not None and choice.runs("products", inputs.device) and min(weight.shape[1:]) <= choice.WIDEST:
        with suppress(KernelFailed):
            return _by_kernel(inputs, weight, bias, tiles, base)
    rows = by_library(rows)
    if base is not None:
        return base + linear_by_cell(inputs, weight, bias, rows)
    weight, bias = weight.to(inputs.dtype), None if bias is None else bias.to(inputs.dtype)
    if alike(rows):
        parts_of_cells, turned = inputs.view(len(rows), rows[0], -1), weight.transpose(1, 2)
        if bias is None:
            return torch.bmm(parts_of_cells, turned).flatten(0, 1)
        return torch.baddbmm(bias[:, None], parts_of_cells, turned).flatten(0, 1)
    parts = [
        linear(part, weight[cell], None if bias is None else bias[cell])
        for cell, part in enumerate(torch.split(inputs, list(rows)))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _by_kernel(inputs: Tensor, weight: Tensor, bias: Tensor | None, tiles: RowTiles, base: Tensor | None) -> Tensor:
    from adapterx.kernels.products import LinearByCell

    places = (gradient_place(weight), None if bias is None else gradient_place(bias))
    return cast(Tensor, LinearByCell.apply(inputs, weight, bias, base, tiles, places))  # type: ignore[no-untyped-call]


class CellDropout:
    """Dropout whose masks belong to the cell: a function of its seed, its step, the place in the network and the row.

    Masks are counted, not drawn from a running generator: neighbours, the packing of the batch, the device and the
    cutting of a batch into parts leave them as they are. Off until `begin`.

    Args:
        places: where in the network masks are, for the kernel that counts them.
        layers: at each step a cell leaves out the adapters of its lowest n layers, n uniform from 0 to this
            (AdapterDrop, Rücklé et al. 2021, arXiv 2010.11918, section 3.1).
    """

    def __init__(self, probability: float, seeds: Sequence[int], layers: int = 0, places: Sequence[str] = ()) -> None:
        self.places = {place: number for number, place in enumerate(places)}
        self.masks: Masks | None = None
        self.probability = probability
        self.layers = layers
        self.seeds = tuple(seeds)
        self.steps: tuple[int, ...] | None = None
        self.starts: Mapping[tuple[int, ...], Sequence[int]] = {}

    def begin(
        self,
        steps: Sequence[int] | None,
        starts: Mapping[tuple[int, ...], Sequence[int]] = MappingProxyType({}),
        masks: Masks | None = None,
    ) -> None:
        """Set each cell's step before a training pass; None without masks switches dropout off.

        Args:
            starts: for a part of a batch, by the row counts of its cells, where each cell's rows begin in the whole.
            masks: the same on the device, for the kernel.
        """
        self.steps = None if steps is None else tuple(steps)
        self.starts = starts
        self.masks = masks

    def counted(self, steps: Sequence[int], rows: Sequence[int], reads: Sequence[int]) -> Masks:
        """What counts the masks of a step on a device.

        Args:
            rows: where each cell's rows begin in its whole batch.
            reads: where its read rows do.
        """
        keys = [
            [_halves(stream("dropout", seed, step, place)) for place in self.places]
            for seed, step in zip(self.seeds, steps, strict=True)
        ]
        firsts = torch.tensor(list(zip(rows, reads, strict=True)), dtype=torch.int32)
        return Masks(torch.tensor(keys, dtype=torch.int32).view(len(keys), len(self.places), 2), firsts)

    @property
    def drops(self) -> bool:
        """Whether it changes anything in this pass."""
        return (self.steps is not None or self.masks is not None) and self.probability > 0.0

    def left_out(self, layer: int) -> tuple[bool, ...]:
        """Of each cell, whether its adapters in this layer are left out in this step."""
        if self.steps is None or layer >= self.layers:
            return (False,) * len(self.seeds)
        drawn = (stream("adapter drop", *key) for key in zip(self.seeds, self.steps, strict=True))
        return tuple(layer < number % (self.layers + 1) for number in drawn)

    def without(self, left_out: Sequence[bool], changes: Tensor, rows: tuple[int, ...]) -> Tensor:
        """Changes (N, d), zero in the rows of cells whose adapters are left out."""
        if not any(left_out):
            return changes
        kept = torch.tensor([not one for one in left_out], dtype=changes.dtype, device=changes.device)
        counts = torch.tensor(rows, device=changes.device)
        return changes * torch.repeat_interleave(kept, counts, output_size=sum(rows))[:, None]

    def __call__(self, inputs: Tensor, rows: tuple[int, ...], place: str) -> Tensor:
        """Inputs (N, d) with entries zeroed and the rest scaled by 1 / (1 - p)."""
        if not self.drops:
            return inputs
        tiles = tiles_of(rows)
        if self.masks is not None and tiles is not None and choice.runs("dropout", inputs.device):
            with suppress(KernelFailed):
                return self._by_kernel(inputs, rows, tiles, place)
        rows = by_library(rows)
        if self.steps is None:
            raise KernelFailed("dropout")  # while a step is recorded, the host does not count
        keep = 1.0 - self.probability
        starts = self.starts.get(rows, (0,) * len(rows))
        masks = [
            _kept(keep, stream("dropout", seed, step, place), start, count, inputs.shape[1], inputs.device)
            for seed, step, start, count in zip(self.seeds, self.steps, starts, rows, strict=True)
        ]
        mask = masks[0] if len(masks) == 1 else torch.cat(masks)
        return inputs * mask.to(inputs.dtype).div_(keep)

    def _by_kernel(self, inputs: Tensor, rows: tuple[int, ...], tiles: RowTiles, place: str) -> Tensor:
        from adapterx.kernels.dropout import Dropped

        reads, keep = isinstance(rows, CellRows) and rows.reads, 1.0 - self.probability
        return cast(Tensor, Dropped.apply(inputs, tiles, self.masks, self.places[place], reads, keep))  # type: ignore[no-untyped-call]


def _halves(key: int) -> tuple[int, int]:
    """31 bits each, for rows and for columns."""
    return key & 0x7FFFFFFF, key >> 32 & 0x7FFFFFFF


def _kept(keep: float, key: int, start: int, rows: int, columns: int, device: torch.device) -> Tensor:
    """(rows, columns) bool, each true with probability `keep`: a hash of the key, the row and the column.

    Rounds of multiplication and shift after the integer hash of Wellons, "Prospecting for Hash Functions" (2018);
    32-bit products wrap around.
    """
    low, high = _halves(key)
    row = _mixed(torch.arange(start, start + rows, dtype=torch.int32, device=device) ^ low)
    column = _mixed(torch.arange(columns, dtype=torch.int32, device=device) ^ high)
    mixed = _mixed(row[:, None] ^ column[None, :])
    return mixed < round(keep * 2**32 - 2**31) if keep < 1.0 else torch.ones_like(mixed, dtype=torch.bool)


def _mixed(values: Tensor) -> Tensor:
    """int32 values scrambled, in place."""
    values.mul_(0x21F0AAAD)
    values.bitwise_xor_((values >> 15).bitwise_and_(0x1FFFF))
    return values.mul_(0x735A2D97)
