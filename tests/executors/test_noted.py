"""What a training notes of its own data."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest

from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.executors import noted
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.facts import TaskPart
from tests.cells import METHODS, cell, encoded

PART = TaskPart("mine", "pair-classification", ("no", "yes", "maybe"), "local", ("en",), "data", 16)


def labelled(*labels: int) -> Encoded:
    return replace(encoded("pair-classification", len(labels)), labels=np.array(labels, dtype=np.int64))


def trained_on(**pools: Encoded) -> TrainingCell:
    made = cell(METHODS["lora"])
    task: TaskData = replace(made.tasks[0], train=tuple(Pool(code, data) for code, data in pools.items()))
    return replace(made, tasks=(task,), probabilities=np.full(len(pools), 1 / len(pools)))


def test_the_loss_of_guessing_is_the_mean_over_pools_of_their_entropy() -> None:
    found = noted.of_training(trained_on(en=labelled(0, 1, 0, 1), de=labelled(0, 0, 0, 0)), (PART,))
    assert found["prior_loss"] == pytest.approx(math.log(2) / 2, abs=1e-6)


def test_a_language_with_one_label_is_noted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    found = noted.of_training(trained_on(en=labelled(0, 1), de=labelled(1, 1), sw=labelled(1, 1)), (PART,))
    remarks = found["remarks"]
    assert isinstance(remarks, list)
    (remark,) = remarks
    assert str(remark).startswith("mine: all 2 training items in de, sw each have the label 'yes'")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            noted.tell(found["remarks"])
    assert [record.message for record in caplog.records] == [remark]


def test_of_varied_labels_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    found = noted.of_training(trained_on(en=labelled(0, 1), de=labelled(2)), (PART,))
    assert "remarks" not in found, "one item has one label"
    noted.tell(found.get("remarks"))
    assert not caplog.records


def test_tags_count_word_by_word() -> None:
    made = cell(METHODS["lora"], format_="tagging")
    part = replace(PART, format="tagging", labels=("a", "b", "c", "d"))
    counts = np.bincount(made.tasks[0].train[0].data.labels)
    shares = counts / counts.sum()
    wanted = -(shares * np.log(shares)).sum()
    assert noted.of_training(made, (part,))["prior_loss"] == pytest.approx(wanted, abs=1e-6)
