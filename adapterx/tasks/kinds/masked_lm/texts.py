"""Masked language modelling: running text. Which tokens are masked is drawn anew whenever an example is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.masked_lm import TextExample
from adapterx.tasks.sequences import CHUNK, SequenceList, pieces, slices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPECIAL = 2  # <s> and </s>


def encode(examples: Sequence[TextExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode texts without reads and labels. A long text becomes several examples, its parts in order; none is cut.

    A text that tokenises to nothing is left out.
    """
    sequences, ids, room = SequenceList(), [], max_length - _SPECIAL
    special = np.array([tokenizer.bos_token_id, tokenizer.eos_token_id], np.int32)
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        found = pieces([example.text for example in chunk], tokenizer)
        parts = -(-found.lengths // room)
        owner, part = np.repeat(np.arange(len(chunk)), parts), slices(np.zeros_like(parts), parts)
        starts, lengths = np.ones((2, len(owner), 3), np.int64)
        starts[:, 0], starts[:, 1] = 0, _SPECIAL + found.starts[owner] + part * room
        lengths[:, 1] = np.minimum(found.lengths[owner] - part * room, room)
        source = np.concatenate([special, found.tokens])
        sequences.extend(source[slices(starts.reshape(-1), lengths.reshape(-1))], lengths.sum(axis=1))
        for example, count in zip(chunk, parts.tolist(), strict=True):
            ids += [example.id] if count == 1 else [f"{example.id}+{number}" for number in range(count)]
    tokens, bounds = sequences.arrays()
    nothing = np.zeros(0, np.int64)
    none_each = np.zeros(len(ids) + 1, np.int64)
    return Encoded(
        ids=tuple(ids),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=np.arange(len(ids) + 1, dtype=np.int64),
        read_tokens=nothing,
        example_reads=none_each,
        labels=nothing,
        example_labels=none_each,
    )
