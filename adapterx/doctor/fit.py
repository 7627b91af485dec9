"""From measured seconds to the rates of a device: few numbers, none of them negative, by least squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from adapterx.pace.workload import COUNTS, Rates, Workload

Array = NDArray[np.float64]
Timed = tuple[Workload, float]
"""What was computed, and how many seconds it took."""


def rates(timed: Sequence[Timed], known: Mapping[str, float] | None = None) -> Rates:
    """Rates with the least sum of squared relative errors; what the measurements do not need is 0.

    Args:
        timed: seconds are more than 0.
        known: rates that are taken as they are.
    """
    known = known or {}
    free = [name for name in COUNTS if name not in known]
    seconds = np.array([time for _, time in timed])
    counts = np.array([[float(getattr(work, name)) for name in free] for work, _ in timed]).reshape(len(timed), -1)
    given = np.array([Rates(**known).seconds(work) for work, _ in timed])
    found = _not_negative(counts / seconds[:, None], 1 - given / seconds)
    return Rates(**known, **dict(zip(free, found.tolist(), strict=True)))


def _not_negative(matrix: Array, wanted: Array) -> Array:
    """The non-negative x with the least |matrix x - wanted|.

    It is the unconstrained solution for those of its entries that are not 0, so that trying all sets of few entries
    finds it.
    """
    size = matrix.shape[1]
    best, least = np.zeros(size), float(np.sum(wanted**2))
    scale = np.where(matrix.any(axis=0), np.abs(matrix).max(axis=0, initial=0.0), 1.0)  # counts differ by 10 powers
    for used in (chosen for many in range(1, size + 1) for chosen in combinations(range(size), many)):
        columns = matrix[:, used] / scale[list(used)]
        solution, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
        error = float(np.sum((columns @ solution - wanted) ** 2))
        if (solution >= 0).all() and error < least:
            best, least = np.zeros(size), error
            best[list(used)] = solution / scale[list(used)]
    return best
