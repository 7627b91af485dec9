"""Running text to learn from, and cells that do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.masking import Vocabulary
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.sampling import pool_probabilities
from tests.cells import cell

VOCABULARY = Vocabulary(120, mask=119, special=(0, 1, 2, 119))


def text(examples: int = 40, seed: int = 0, longest: int = 17) -> Encoded:
    """Tokens that come in runs: each is the one before it plus one, so that a neighbour tells what is hidden."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, longest, size=examples)
    bodies = [(random.integers(60) + np.arange(length)) % 60 + 5 for length in lengths]
    none = np.zeros(examples + 1, np.int64)
    return Encoded(
        ids=tuple(map(str, range(examples))),
        tokens=np.concatenate([np.array([0, *body, 2], np.int32) for body in bodies]),
        sequence_offsets=offsets(lengths + 2),
        example_sequences=np.arange(examples + 1),
        read_tokens=none[:0],
        example_reads=none,
        labels=none[:0],
        example_labels=none,
    )


def reader(method: MethodSpec, seed: int = 1, data_seed: int = 0, **changes: Any) -> TrainingCell:
    """One training that learns from text."""
    data = text(seed=data_seed)
    task = TaskData(Head("text", "masked-lm", 120), None, (Pool("en", data),), vocabulary=VOCABULARY)
    one = cell(method, seed=seed, **changes)
    return replace(one, name="text", key=f"text-{seed}", tasks=(task,), probabilities=pool_probabilities([len(data)]))
