"""Hidden states below the lowest adapter, kept: a frozen prefix gives the same ones in every epoch and for every cell.

Beside each pool's tokens lie (tokens, d) rows, filled example by example the first time each is seen. They have the
number format of the encoder's hidden states, so that keeping them changes no result, unless told otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Batch, Selection, Source, placed
from adapterx.engine.collate import collate
from adapterx.engine.options import ROWS
from adapterx.engine.rows_file import RowsFile
from adapterx.engine.ways import for_passes
from adapterx.faults import is_out_of_memory, worded
from adapterx.tasks.encoded import Encoded

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised when the same weights and tokens would give other hidden states."""


@dataclass(frozen=True)
class _Kept:
    """The hidden states of one pool at one depth."""

    rows: Tensor
    """(tokens, d), in host memory or on the encoder's device."""
    filled: NDArray[np.bool_]
    """(examples,) whether an example's rows are there."""
    file: RowsFile | None = None
    on_device: bool = False

    def has(self, examples: NDArray[np.int64]) -> bool:
        """Whether the rows of all these examples are there, as they were computed."""
        if self.file is not None:
            self.filled[self.file.check(examples[self.filled[examples]])] = False
        return bool(self.filled[examples].all())


class PrefixCache:
    """The kept hidden states of one encoder.

    Args:
        limit: bytes that all of them may take (in the directory, those of earlier runs included). A pool that does not
            fit is computed each time.
        directory: where they are kept from run to run; in memory where None.
        dtype: the number format they are kept in; a smaller one than the encoder's rounds them.
        on_device: bytes of them that are kept where the encoder is, so that a step need not bring its rows there.
    """

    def __init__(
        self,
        encoder: PackedEncoder,
        limit: int,
        directory: Path | None = None,
        dtype: torch.dtype | None = None,
        on_device: int = 0,
    ) -> None:
        self.encoder = encoder
        self.limit = limit
        self.on_device = on_device
        self.directory = directory
        self.dtype = dtype or encoder.dtype
        self._pools: dict[tuple[int, int], tuple[Encoded, _Kept | None]] = {}
        self._taken = 0
        self._opening = threading.Lock()

    def known(self, batch: Batch, depth: int) -> Tensor | None:
        """(shared rows, d) hidden states of a batch at a depth, in host memory, if all are kept there; else None.

        May be asked by threads: nothing is done on the device.
        """
        found = [(self._kept(source.data, depth), source) for source in batch.sources]
        if any(kept is None or kept.on_device or not kept.has(source.examples) for kept, source in found):
            return None
        # Rows that fill cells up have no source; any finite numbers serve.
        rows = torch.zeros(len(batch.packed.shared.tokens), self.encoder.hidden, dtype=self.dtype)
        for kept, source in found:
            assert kept is not None
            part = rows[source.start : source.start + len(source.tokens)]
            torch.index_select(kept.rows, 0, torch.from_numpy(source.tokens), out=part)
        return rows.to(self.encoder.dtype)

    def hidden(self, batch: Batch, depth: int) -> Tensor | None:
        """The same on the device, computing and keeping first what is missing.

        Where a pool of the batch is not kept: None, or the computed ones where keeping would have rounded them.
        """
        pools = [(self._kept(source.data, depth), source) for source in batch.sources]
        if any(kept is None for kept, _ in pools):
            return None if self.dtype == self.encoder.dtype else self._rounded(batch, depth)
        for kept, source in pools:
            assert kept is not None
            self._fill(kept, source, depth)
        if any(kept is not None and kept.on_device for kept, _ in pools):
            return self._gathered([(kept, source) for kept, source in pools if kept is not None], batch)
        known = self.known(batch, depth)
        return None if known is None else self.encoder.send(known)

    def _gathered(self, pools: Sequence[tuple[_Kept, Source]], batch: Batch) -> Tensor:
        """Rows of pools, some of which are kept on the device, there."""
        encoder = self.encoder
        rows = torch.zeros(len(batch.packed.shared.tokens), encoder.hidden, dtype=self.dtype, device=encoder.device)
        index = encoder.send(torch.from_numpy(np.concatenate([source.tokens for _, source in pools])))
        start = 0
        for kept, source in pools:
            count = len(source.tokens)
            part, own = rows[source.start : source.start + count], index[start : start + count]
            if kept.on_device:
                torch.index_select(kept.rows, 0, own, out=part)
            else:
                part.copy_(encoder.send(kept.rows.index_select(0, torch.from_numpy(source.tokens))))
            start += count
        return rows.to(encoder.dtype)

    @property
    def is_on_device(self) -> bool:
        """Whether any of it is kept on the device."""
        with self._opening:
            return any(kept is not None and kept.on_device for _, kept in self._pools.values())

    def leave_device(self) -> bool:
        """Move to host memory what is kept on the device, and keep nothing there from now on; whether there was any."""
        self.on_device = 0
        with self._opening:
            there = [key for key, (_, kept) in self._pools.items() if kept is not None and kept.on_device]
            for key in there:
                data, kept = self._pools[key]
                assert kept is not None
                self._pools[key] = (data, _Kept(kept.rows.cpu(), kept.filled))
        return bool(there)

    def flush(self) -> None:
        """Make rows in files durable, and only then note that they are there."""
        with self._opening:
            pools = list(self._pools.values())
        for _, kept in pools:
            if kept is not None and kept.file is not None:
                _note(kept.file)

    def _rounded(self, batch: Batch, depth: int) -> Tensor:
        """As kept ones would be: how much a limit lets be kept must not change a result."""
        hidden = self.encoder.below(placed(batch, self.encoder.place).packed, depth)
        return hidden.to(self.dtype).to(self.encoder.dtype)

    def _fill(self, kept: _Kept, source: Source, depth: int) -> None:
        if kept.has(source.examples):
            return
        data = source.data
        missing = np.unique(source.examples[~kept.filled[source.examples]])
        sizes = np.diff(data.sequence_offsets[data.example_sequences])
        missing = missing[np.argsort(sizes[missing], kind="stable")]
        parts = np.cumsum(sizes[missing]) // ROWS[self.encoder.device.type]
        for part in np.unique(parts):
            chosen = missing[parts == part]
            batch = collate([[Selection(0, data, chosen)]], self.encoder.spans, kernels=for_passes(self.encoder))
            hidden = self.encoder.below(placed(batch, self.encoder.send).packed, depth)
            tokens = torch.from_numpy(batch.sources[0].tokens)
            if kept.on_device:
                kept.rows.index_copy_(0, self.encoder.send(tokens), hidden.to(self.dtype))
            else:
                kept.rows[tokens] = hidden.to("cpu", self.dtype)
            if kept.file is not None:
                kept.file.sign(chosen)
            kept.filled[chosen] = True

    def _kept(self, data: Encoded, depth: int) -> _Kept | None:
        key = (id(data), depth)
        with self._opening:  # several threads prepare batches
            if key not in self._pools:
                self._pools[key] = (data, self._open(data, depth))  # holding the data keeps its id its own
            return self._pools[key][1]

    def _open(self, data: Encoded, depth: int) -> _Kept | None:
        size = len(data.tokens) * self.encoder.hidden * self.dtype.itemsize
        if self.directory is not None:
            bounds = data.sequence_offsets[data.example_sequences].astype(np.int64) * (size // max(1, len(data.tokens)))
            file = RowsFile.open(self.directory, self._name(data, depth), bounds, self.limit)
            if file is not None:
                rows = torch.from_numpy(file.content).view(self.dtype).view(len(data.tokens), self.encoder.hidden)
                return _Kept(rows, file.filled(), file)
        if self._taken + size > self.limit:
            logger.warning(
                "the hidden states of %d examples take %.1f GB, more than is left of the prefix cache's limit;"
                " they are computed each time",
                len(data),
                size / 1e9,
            )
            return None
        there = self.directory is None and size <= self.on_device
        found = self._empty(len(data.tokens), self.encoder.device) if there else None
        if found is not None:
            self.on_device -= size
        else:
            there, found = False, self._empty(len(data.tokens), torch.device("cpu"))
        if found is None:
            logger.warning("there is no memory to keep hidden states in; they are computed each time")
            return None
        self._taken += size
        return _Kept(found, np.zeros(len(data), np.bool_), on_device=there)

    def _empty(self, tokens: int, device: torch.device) -> Tensor | None:
        """(tokens, d) on a device; None where it has no memory for them."""
        try:
            return torch.empty(tokens, self.encoder.hidden, dtype=self.dtype, device=device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _name(self, data: Encoded, depth: int) -> str:
        digest = hashlib.sha256(f"{VERSION} {self.encoder.key} {depth} {self.dtype}".encode())
        for array in (data.tokens, data.sequence_offsets, data.example_sequences):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:32]


def _note(file: RowsFile) -> None:
    """Nothing is lost where a full disk takes no note: the rows are computed again by the next run."""
    try:
        file.note()
    except OSError as error:
        logger.warning("hidden states will not be found again: %s", worded(error))
