"""What a training notes of its own data: the loss of guessing, and where all examples have one label."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from adapterx.engine.cell import TrainingCell
from adapterx.store import JSON
from adapterx.tasks import constancy
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

logger = logging.getLogger(__name__)


def of_training(cell: TrainingCell, parts: Sequence[TaskPart]) -> Mapping[str, JSON]:
    """For the record of a training.

    `prior_loss` is the loss, in nats, of guessing by how frequent the labels of the pools are; it is not there where
    answers are no labels. `remarks`, where there are any, say which task has one label only and in which languages.

    Args:
        parts: those behind `cell.tasks`, in their order.
    """
    result: dict[str, JSON] = {}
    losses = [cell.tasks[place].head.kind.prior_loss(pool.data.labels) for place, pool in cell.pools]
    known = [loss for loss in losses if loss is not None]
    if len(known) == len(losses):
        result["prior_loss"] = round(float(np.dot(cell.probabilities, known)), 6)
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
        if kind(part.format).labelled and count > 1 and len(labels) == 1:
            found.setdefault((part.task, count, part.labels[int(labels[0])]), []).append(pool.language)
    return [
        f"{task}: {constancy.single(count, 'training', languages, label)}"
        for (task, count, label), languages in found.items()
    ]
