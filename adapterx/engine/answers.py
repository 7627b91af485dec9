"""What is right, and what a cell's scores say: labels, or for extractive QA texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.engine.cell import Pool
from adapterx.tasks.kinds.extractive_qa import spans

Scores = Sequence[NDArray[np.float32]]


def gold(pool: Pool) -> list[Any]:
    """Of each example its labels; of extractive QA the texts that are right."""
    data = pool.data
    if data.passages is not None:
        return list(data.passages.answers())
    return np.split(data.labels, data.example_labels[1:-1])


def predicted(pool: Pool, scores: Scores) -> tuple[list[Any], list[NDArray[np.float32]]]:
    """Of each example the answer, and the scores behind it.

    Those are the example's own; of extractive QA (1, 2), of the span that was chosen and of there being no answer.

    Args:
        scores: of each example, as `predict` gives them.
    """
    if pool.data.passages is None:
        return [example.argmax(axis=1).astype(np.int64) for example in scores], list(scores)
    found = spans.best(pool.data, scores)
    kept = np.stack([found.score, found.none], axis=1)
    return list(spans.texts(pool.data, found, pool.unanswerable)), list(kept[:, None])
