"""Examples as token ids in flat arrays: the only view of the data that training and evaluation have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """What turns the reads of extractive QA into text; R reads, n examples.

    characters     int32 (2 R)   of each read, where its token starts in the passage and where it ends, exclusive;
                                 0 and 0 of each <s>
    texts          (t)           of each example the passage, then the right answers, if any
    example_texts  int64 (n + 1) into texts
    """

    characters: NDArray[np.int32]
    texts: Sequence[str]
    example_texts: NDArray[np.int64]

    def context(self, example: int) -> str:
        """The passage of an example."""
        return self.texts[int(self.example_texts[example])]

    def answers(self) -> list[tuple[str, ...]]:
        """Of each example the right answers; none where the passage holds none."""
        bounds = self.example_texts.tolist()
        return [tuple(self.texts[first + 1 : last]) for first, last in pairwise(bounds)]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One (task, language, split), tokenised; n examples.

    An `…_offsets` or `example_…` array of length k + 1 delimits k consecutive slices of the array it points into.

    tokens             int32 (tokens)          every sequence with its <s> and </s>, one after another, no padding
    sequence_offsets   int64 (sequences + 1)   into tokens
    example_sequences  int64 (n + 1)           into sequences: one per example; one per choice; for tagging one, or
                                               several when a sentence is longer than the limit and was split; for
                                               extractive QA one per window of the passage
    read_tokens        int64 (reads)           positions in tokens where the head reads, rising: the <s> of each
                                               sequence (classification, each choice), the first subword of each word
                                               (tagging), the <s> and every token of the passage (extractive QA)
    example_reads      int64 (n + 1)           into read_tokens
    labels             int64 (labels)          one per example, or one per word; two per window, first and last token
                                               of the answer, counted in the reads of that window
    example_labels     int64 (n + 1)           into labels
    passages                                   of extractive QA only

    Arrays may be read-only views of a file. Raises ValueError, naming the array, for offsets that do not delimit.
    """

    ids: Sequence[str]
    tokens: NDArray[np.int32]
    sequence_offsets: NDArray[np.int64]
    example_sequences: NDArray[np.int64]
    read_tokens: NDArray[np.int64]
    example_reads: NDArray[np.int64]
    labels: NDArray[np.int64]
    example_labels: NDArray[np.int64]
    passages: Passages | None = None

    def __post_init__(self) -> None:
        slices = {
            "sequence_offsets": (self.sequence_offsets, len(self.tokens)),
            "example_sequences": (self.example_sequences, len(self.sequence_offsets) - 1),
            "example_reads": (self.example_reads, len(self.read_tokens)),
            "example_labels": (self.example_labels, len(self.labels)),
        }
        if self.passages is not None:
            slices["example_texts"] = (self.passages.example_texts, len(self.passages.texts))
            if len(self.passages.characters) != 2 * len(self.read_tokens):
                raise ValueError(f"characters has {len(self.passages.characters)} entries, not two for each read")
        for name, (offsets, end) in slices.items():
            if name.startswith("example_") and len(offsets) != len(self.ids) + 1:
                raise ValueError(f"{name} has {len(offsets)} entries for {len(self.ids)} examples")
            if offsets[0] != 0 or offsets[-1] != end or (np.diff(offsets) < 0).any():
                raise ValueError(f"{name} does not delimit {end} entries in order")

    def __len__(self) -> int:
        return len(self.ids)


def reads_of(data: Encoded, sequences: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many tokens of each of these sequences are read."""
    bounds = data.sequence_offsets
    return np.searchsorted(data.read_tokens, bounds[sequences + 1]) - np.searchsorted(
        data.read_tokens, bounds[sequences]
    )


def offsets(lengths: list[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn k slice lengths into k + 1 offsets that begin with 0."""
    result = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.asarray(lengths, dtype=np.int64), out=result[1:])
    return result
