from __future__ import annotations

import numpy as np
import pytest

from adapterx.tasks.encoded import Encoded, offsets


def encoded(**changes: object) -> Encoded:
    arrays: dict[str, object] = {
        "ids": ("a", "b"),
        "tokens": np.arange(7, dtype=np.int32),
        "sequence_offsets": offsets([3, 4]),
        "example_sequences": offsets([1, 1]),
        "read_tokens": np.array([0, 3]),
        "example_reads": offsets([1, 1]),
        "labels": np.array([1, 0]),
        "example_labels": offsets([1, 1]),
    }
    return Encoded(**(arrays | changes))  # type: ignore[arg-type]


def test_its_length_is_the_number_of_examples() -> None:
    assert len(encoded()) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence_offsets", offsets([3, 3])),
        ("sequence_offsets", np.array([0, 5, 4, 7])),
        ("example_sequences", offsets([2])),
        ("example_reads", np.array([1, 1, 2])),
        ("example_labels", offsets([1, 1, 0])),
    ],
)
def test_offsets_that_do_not_delimit_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        encoded(**{name: value})
