"""Multiple choice with any number of choices."""

from __future__ import annotations

import numpy as np

from adapterx.engine.cell import Pool, TaskData
from adapterx.methods.head import Head
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.metrics import Accuracy


def choices(count: int, examples: int = 20, seed: int = 0) -> TaskData:
    """A task whose head is the same for any number of choices."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 12, size=examples * count)
    starts = offsets(lengths)
    return TaskData(
        Head("choice", "multiple-choice", 3),
        Accuracy(),
        (
            Pool(
                "en",
                Encoded(
                    ids=tuple(map(str, range(examples))),
                    tokens=random.integers(5, 100, size=starts[-1]).astype(np.int32),
                    sequence_offsets=starts,
                    example_sequences=offsets([count] * examples),
                    read_tokens=starts[:-1].copy(),
                    example_reads=offsets([count] * examples),
                    labels=random.integers(2, size=examples),
                    example_labels=offsets([1] * examples),
                ),
            ),
        ),
    )
