"""Masked language modelling: running text. Which tokens are masked is drawn anew whenever an example is seen."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import TextExample
from adapterx.tasks.formats.sequences import CHUNK, Sequences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPECIAL = 2  # <s> and </s>


def encode(examples: Sequence[TextExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode texts without reads and labels. A long text becomes several examples, its parts in order; none is cut.

    A text that tokenises to nothing is left out.
    """
    sequences, ids, room = Sequences(), [], max_length - _SPECIAL
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        texts = [example.text for example in chunk]
        batch = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
        for example, tokens in zip(chunk, batch["input_ids"], strict=True):
            for first in range(0, len(tokens), room):
                part = array("i", tokens[first : first + room])
                sequences.append((tokenizer.bos_token_id, *part, tokenizer.eos_token_id))
                ids.append(example.id if len(tokens) <= room else f"{example.id}+{first // room}")
    tokens_, bounds = sequences.arrays()
    nothing = np.zeros(0, np.int64)
    none_each = np.zeros(len(ids) + 1, np.int64)
    return Encoded(
        ids=tuple(ids),
        tokens=tokens_,
        sequence_offsets=bounds,
        example_sequences=np.arange(len(ids) + 1, dtype=np.int64),
        read_tokens=nothing,
        example_reads=none_each,
        labels=nothing,
        example_labels=none_each,
    )
