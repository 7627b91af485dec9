"""How far a kernel's numbers are from the library's."""

from __future__ import annotations

import math

from torch import Tensor


def distance(mine: Tensor, theirs: Tensor) -> float:
    """Norm of the difference as a share of the norm; infinite where a number is not finite."""
    assert mine.shape == theirs.shape
    gap = float((mine.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))
    return gap if math.isfinite(gap) else math.inf
