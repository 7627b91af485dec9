"""Random passages with windows, and cells that learn to answer from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.tasks.encoded import Encoded, Passages, offsets
from adapterx.tasks.metrics import metric
from adapterx.tasks.sampling import pool_probabilities
from tests.cells import cell

HEAD = Head("qa", "extractive-qa", 0)
BEGIN, END = 5, 6


def passages(examples: int = 40, seed: int = 0, longest: int = 17) -> Encoded:
    """One to three windows per example. The answer stands between two marks, in one window or in none.

    Each token of a passage is one letter of its text.
    """
    random = np.random.default_rng(seed)
    labels: list[int] = []
    texts: list[tuple[str, ...]] = []
    tokens, reads, characters = [], [], []
    lengths, per_example, reads_per, at = [], [], [], 0
    for _ in range(examples):
        several = int(random.integers(1, 4))
        holder = int(random.integers(several + 1))  # the last number is no window
        context = ""
        answer: tuple[str, ...] = ()
        per_example.append(several)
        reads_per.append(0)
        for window in range(several):
            body = random.integers(20, 46, size=int(random.integers(4, longest)))
            place = (0, 0)
            if window == holder:
                first = int(random.integers(len(body) - 2))
                last = int(random.integers(first + 1, min(len(body), first + 4)))
                body[first], body[last] = BEGIN, END
                place = (1 + first, 1 + last)
            begin = len(context)
            context += "".join(chr(ord("a") + token % 26) for token in body)
            if any(place):
                answer = (context[begin + place[0] - 1 : begin + place[1]],)
            sequence = [0, 12, 13, 2, 2, *body, 2]
            tokens += sequence
            reads += [at, *(at + 5 + np.arange(len(body)))]
            characters += [0, 0, *(one for c in range(begin, len(context)) for one in (c, c + 1))]
            labels += place
            lengths.append(len(sequence))
            reads_per[-1] += 1 + len(body)
            at += len(sequence)
        texts.append((context, *answer))
    return Encoded(
        ids=tuple(f"item{number}" for number in range(examples)),
        tokens=np.array(tokens, np.int32),
        sequence_offsets=offsets(lengths),
        example_sequences=offsets(per_example),
        read_tokens=np.array(reads, np.int64),
        example_reads=offsets(reads_per),
        labels=np.array(labels, np.int64),
        example_labels=2 * offsets(per_example),
        passages=Passages(
            np.array(characters, np.int32),
            [text for one in texts for text in one],
            offsets([len(one) for one in texts]),
        ),
    )


def answerer(method: MethodSpec, seed: int = 1, data_seed: int = 0, examples: int = 40, **changes: Any) -> TrainingCell:
    """One training that learns to answer; some of its questions have no answer."""
    train, dev = passages(examples, data_seed), passages(examples, data_seed + 100)
    task = TaskData(HEAD, metric("squad_f1", ()), (Pool("en", train, True),), (Pool("en", dev, True),))
    one = cell(method, seed=seed, **changes)
    return replace(one, name="qa", key=f"qa-{seed}", tasks=(task,), probabilities=pool_probabilities([len(train)]))
