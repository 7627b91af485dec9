"""How far what a cell is sure of is right: the expected calibration error, where an item has one label of several.

An item's confidence is the largest softmax of its logits. In bins of equal width, the error is the mean distance of the
share of right answers from the mean confidence, each bin weighing by its items (Naeini et al. 2015; Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapterx.results import predictions as predictions_file

BINS = 15
Floats = NDArray[np.float64]


def expected_error(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> float:
    """The expected calibration error of n items, in [0, 1].

    Args:
        confidence: (n,), in [0, 1].
        right: (n,).
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    apart = np.bincount(place, confidence - right, bins)
    return float(np.abs(apart).sum() / max(counts.sum(), 1))


def by_language(path: Path) -> Mapping[str, float]:
    """The error in every language of a file of predictions; none where items have other answers than one label each, or
    logits that cannot be read: they are no reason to lose the scores.
    """
    found: dict[str, float] = {}
    try:
        stored = predictions_file.single_labels(path)
    except predictions_file.UnreadablePredictions:
        return found
    for language, (logits, gold) in stored.items():
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = shifted.max(axis=1) / shifted.sum(axis=1)
        found[language] = expected_error(confidence, logits.argmax(axis=1) == gold)
    return found
