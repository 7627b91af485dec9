"""Random texts with the lengths of natural language inference, as token ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.bench.shapes import LABELS, VOCABULARY

MEAN, LONGEST, SPREAD = 35.0, 128, 0.5
_SPECIAL = 4  # <s>, <pad>, </s>, <unk>


@dataclass(frozen=True)
class Texts:
    """n texts, each from <s> to </s>, with one label each."""

    sequences: tuple[NDArray[np.int32], ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(tokens) for tokens in self.sequences]


def texts(seed: int, count: int) -> Texts:
    """Log-normal lengths, mean near 35 tokens, at most 128, as in NLI; the second token gives the label away."""
    random = np.random.default_rng(seed)
    drawn = random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, size=count)
    sequences, labels = [], []
    for length in np.clip(np.rint(drawn), 4, LONGEST).astype(int):
        label = int(random.integers(LABELS))
        body = random.integers(_SPECIAL + LABELS, VOCABULARY, size=length - 2)
        body[0] = _SPECIAL + label
        sequences.append(np.concatenate([[0], body, [2]]).astype(np.int32))
        labels.append(label)
    return Texts(tuple(sequences), tuple(labels))


def pool(cell: int, count: int, shared: bool) -> Texts:
    """The training texts of a cell: its own, or those of cell 0."""
    return texts(1_000 + (0 if shared else cell), count)


def languages(number: int, count: int) -> list[Texts]:
    """The evaluation texts of so many languages, the same for every cell."""
    return [texts(2_000 + language, count) for language in range(number)]
