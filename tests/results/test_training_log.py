"""training.jsonl, written and read."""

from __future__ import annotations

import math

import pytest

from adapterx.reading import UnreadableFile
from adapterx.results import training_log
from adapterx.results.training_log import LoggedStep
from tests.results.earlier import HERE

STEPS = (LoggedStep(1, 0.5, 1e-3), LoggedStep(2, 0.25, 5e-4, 0.75))


def test_what_is_read_is_what_was_written() -> None:
    assert training_log.read(training_log.written(STEPS)) == STEPS
    assert training_log.written(STEPS) == (
        b'{"step": 1, "loss": 0.5, "learning_rate": 0.001}\n'
        b'{"step": 2, "loss": 0.25, "learning_rate": 0.0005, "dev": 0.75}\n'
    )


def test_a_log_of_an_earlier_version_is_read_and_written_byte_for_byte() -> None:
    for path in HERE.glob("stages/*/*/training.jsonl"):
        found = training_log.read(path.read_bytes())
        assert [one.step for one in found] == list(range(1, len(found) + 1)) and len(found) in (3, 4)
        assert training_log.written(found) == path.read_bytes()


def test_a_loss_that_is_no_number_is_not_finite() -> None:
    one, other = training_log.read(b'{"step": 1, "loss": null}\n{"step": 2, "loss": NaN, "lr": 1}\n')
    assert math.isnan(one.loss) and math.isnan(other.loss) and one.learning_rate is other.learning_rate is None


@pytest.mark.parametrize("text", [b"{", b'{"loss": 1}\n', b"[1]\n", b'{"step": "1", "loss": 1}\n'])
def test_what_is_no_log_is_refused(text: bytes) -> None:
    with pytest.raises((UnreadableFile, ValueError, KeyError, TypeError)):
        training_log.read(text)
