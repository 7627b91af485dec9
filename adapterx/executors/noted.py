"""What a training notes of its own data: the loss of guessing, and where all examples have one label."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache

import numpy as np

from adapterx.engine.cell import TrainingCell
from adapterx.results.training import DataNotes
from adapterx.tasks import constancy
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

logger = logging.getLogger(__name__)


def of_training(cell: TrainingCell, parts: Sequence[TaskPart]) -> DataNotes:
    """For the record of a training.

    The loss of guessing is by how frequent the labels of the pools are; there is none where answers are no labels.

    Args:
        parts: those behind `cell.tasks`, in their order.
    """
    losses = [cell.tasks[place].head.kind.prior_loss(pool.data.labels) for place, pool in cell.pools]
    known = [loss for loss in losses if loss is not None]
    drawn = cell.probabilities / cell.probabilities.sum()
    prior = round(float(np.dot(drawn, known)), 6) if len(known) == len(losses) else None
    return DataNotes(prior, tuple(_single_labels(cell, parts)))


def tell(notes: DataNotes) -> None:
    """Say remarks in the terminal, each once in a process."""
    for text in notes.remarks:
        _say(text)


@cache
def _say(text: str) -> None:
    logger.warning("%s", text)


def _single_labels(cell: TrainingCell, parts: Sequence[TaskPart]) -> list[str]:
    found: dict[tuple[str, int, str], list[str]] = {}
    for place, pool in cell.pools:
        part, count = parts[place], len(pool.data)
        labels = np.unique(pool.data.labels)
        if kind(part.format).labelled and count > 1 and len(labels) == 1:
            found.setdefault((part.task, count, part.labels[int(labels[0])]), []).append(pool.language)
    return [
        f"{task}: {constancy.single(count, 'training', languages, label)}"
        for (task, count, label), languages in found.items()
    ]
