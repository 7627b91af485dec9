"""The mean of several adapters' answers."""

from __future__ import annotations

import numpy as np
import pytest

from adapterx.executors import ensemble
from adapterx.tasks.kinds import kind

NONE = -np.inf


def test_probabilities_are_averaged_not_scores() -> None:
    """One part is certain of the first answer, two lean to the second: together the first, as probabilities add up."""
    parts = [[[np.array([[9.0, 0.0]], np.float32)]], *[[[np.array([[0.0, 0.5]], np.float32)]]] * 2]
    ((found,),) = ensemble.mean(parts, kind("pair-classification"))
    shares = np.exp(found)[0]
    expected = (1 / (1 + np.exp(-9)) + 2 / (1 + np.exp(0.5))) / 3
    assert shares[0] == pytest.approx(expected, abs=1e-6) and shares.sum() == pytest.approx(1.0)


def test_choices_that_an_item_lacks_stay_away() -> None:
    parts = [[[np.array([[1.0, 2.0, NONE]], np.float32)]], [[np.array([[3.0, 0.0, NONE]], np.float32)]]]
    ((found,),) = ensemble.mean(parts, kind("multiple-choice"))
    assert found[0, 2] == NONE and found[0, 0] > found[0, 1]


def test_numbers_are_averaged() -> None:
    parts = [[[np.array([[1.0]], np.float32)]], [[np.array([[4.0]], np.float32)]]]
    ((found,),) = ensemble.mean(parts, kind("regression"))
    assert found == pytest.approx(2.5)
