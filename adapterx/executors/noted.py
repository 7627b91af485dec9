"""What a training notes of its own data: the loss of guessing, and where all examples have one label."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from adapterx.engine.cell import TrainingCell
from adapterx.store import JSON
from adapterx.tasks import constancy
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds.encoding import Format

logger = logging.getLogger(__name__)
_LABELLED: tuple[Format, ...] = ("pair-classification", "tagging", "multiple-choice")


def of_training(cell: TrainingCell, parts: Sequence[TaskPart]) -> Mapping[str, JSON]:
    """For the record of a training.

    `prior_loss` is the loss, in nats, of guessing by how frequent the labels of the pools are; it is not there where
    answers are no labels. `remarks`, where there are any, say which task has one label only and in which languages.

    Args:
        parts: those behind `cell.tasks`, in their order.
    """
    result: dict[str, JSON] = {}
    if all(task.head.format in _LABELLED for task in cell.tasks):
        entropies = [_entropy(pool.data.labels) for _, pool in cell.pools]
        result["prior_loss"] = round(float(np.dot(cell.probabilities, entropies)), 6)
    if found := _single_labels(cell, parts):
        result["remarks"] = list(found)
    return result


def tell(remarks: object) -> None:
    """Say remarks of a record in the terminal, each once in a process."""
    for text in remarks if isinstance(remarks, list) else []:
        _say(str(text))


@cache
def _say(text: str) -> None:
    logger.warning("%s", text)


def _single_labels(cell: TrainingCell, parts: Sequence[TaskPart]) -> list[str]:
    found: dict[tuple[str, int, str], list[str]] = {}
    for place, pool in cell.pools:
        part, count = parts[place], len(pool.data)
        labels = np.unique(pool.data.labels)
        if part.format in _LABELLED and count > 1 and len(labels) == 1:
            found.setdefault((part.task, count, part.labels[int(labels[0])]), []).append(pool.language)
    return [
        f"{task}: {constancy.single(count, 'training', languages, label)}"
        for (task, count, label), languages in found.items()
    ]


def _entropy(labels: NDArray[np.int64]) -> float:
    return constancy.entropy(np.unique(labels, return_counts=True)[1])
