"""Scores of labels as probabilities by name, for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def shares(row: NDArray[np.float32], labels: Sequence[str]) -> dict[str, float]:
    """Softmax of one line of scores by label; a score of -inf, of a choice that the item does not have, is left out."""
    powers = np.exp(row.astype(np.float64) - row.max())
    total = powers / powers.sum()
    return {
        label: round(float(share), 6)
        for label, share, score in zip(labels, total, row, strict=False)
        if not math.isinf(score)
    }


def most(named: Mapping[str, float]) -> str:
    """The label with the highest share, the first of equal ones."""
    return max(named, key=lambda label: named[label])
