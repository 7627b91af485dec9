"""The mean of several adapters' answers: what each says counts alike. The plainest way to use them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.engine.predict import Scores
from adapterx.tasks.kinds.base import TaskKind

Values = NDArray[np.float32]


def mean(parts: Sequence[Scores], kind: TaskKind[Any]) -> Scores:
    """Scores whose probabilities are the mean of those of each part; of numbers, their mean.

    Args:
        parts: by pool and example, of the same ones.
        kind: of a task without passages, whose answers are no choice among the same spans.
    """
    return [
        [_mean(of_example, kind) for of_example in zip(*of_pool, strict=True)] for of_pool in zip(*parts, strict=True)
    ]


def _mean(scores: Sequence[Values], kind: TaskKind[Any]) -> Values:
    stacked = np.stack(scores)
    if not kind.labelled:
        return np.asarray(stacked.mean(axis=0), np.float32)
    shifted = np.exp(stacked - stacked.max(axis=-1, keepdims=True))
    shares = (shifted / shifted.sum(axis=-1, keepdims=True)).mean(axis=0)
    with np.errstate(divide="ignore"):  # a choice that an item lacks has none
        return np.asarray(np.log(shares), np.float32)
