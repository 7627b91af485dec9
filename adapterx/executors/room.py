"""Whether a bundle fits into free memory. A CPU's system gives no error to learn from: it ends the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adapterx.allocator import hand_back
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.errors import AdapterxError
from adapterx.executors.device import free_memory
from adapterx.plan import Capacity, Stage, fit
from adapterx.plan.lengths import TextLengths, measured, widest


class NoRoom(AdapterxError, MemoryError):
    """What does not fit, with the arithmetic."""


def check(stages: Sequence[Stage]) -> None:
    """Refuse a bundle whose backbone is not loaded yet and which would not fit beside it. Raises NoRoom."""
    hand_back()
    free = free_memory("cpu")
    if why := fit.refusal(fit.largest(stages), free, f"training {stages[0].label}", "there is free"):
        raise NoRoom(f"{why}: free some, or choose what takes less (a lower precision, `layers`, checkpointing)")


def parts(stages: Sequence[Stage], cells: Sequence[TrainingCell], capacity: Capacity, on_cpu: bool) -> int:
    """Into how many parts a bundle cuts its batches from the start, by the lengths of its data.

    On a GPU it finds out by itself, where a failed allocation costs nothing.
    """
    if not on_cpu:
        return 1
    memory = fit.largest(stages)
    pools = [pool for cell in cells for _, pool in cell.pools if len(pool.data)]
    if pools:
        memory = replace(memory, lengths=widest([_lengths(pool, memory.lengths.read) for pool in pools]))
    return fit.parts(memory, len(stages), capacity.memory)


def _lengths(pool: Pool, read: float) -> TextLengths:
    data = pool.data
    found = measured(np.diff(data.sequence_offsets), len(data), len(data.read_tokens))
    # Of text nothing is read yet: what is masked is drawn with each batch.
    return found if len(data.read_tokens) else replace(found, read=read)
