"""What changes how fast a bundle trains, and nothing of its results."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = {"cpu": 2048, "cuda": 32768}
"""Token rows of one pass without gradients: enough to fill the machine, few enough for its caches or memory."""
BUNDLE_ROWS = {"cpu": 4096, "cuda": 32768}
"""Token rows up to which cells are put into one training step. A CPU gains a little from a thousand to four, then
nothing; a GPU must be kept busy between launches."""
BUNDLE_CELLS = {"cpu": 16, "cuda": 16}
"""Cells in one training step at most."""
MEMORY_SHARE = 0.8
"""Of what is free, for a bundle: estimates are estimates, and what they miss is met by cutting batches finer."""


@dataclass(frozen=True)
class Options:
    """How a bundle is worked off. The defaults suit the device."""

    workers: int = 1
    """Threads that prepare the next batches; 0 prepares each batch when it is needed."""
    lag: int | None = None
    """Steps whose losses the host waits for at once; by default 1 on a CPU and 16 on a GPU."""
    aligned: bool | None = None
    """Pad every cell to equally many rows, so that batched products serve all cells; by default on a GPU."""
    graphs: bool = True
    """On a GPU, record a step once per batch shape and replay it, where the attention kernel allows."""

    def lag_on(self, device: str) -> int:
        """Steps after which the host reads the losses."""
        return self.lag or (16 if device == "cuda" else 1)

    def aligned_on(self, device: str) -> bool:
        """Whether cells are padded to equally many rows."""
        return device == "cuda" if self.aligned is None else self.aligned
