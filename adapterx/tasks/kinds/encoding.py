"""Examples of any kind of task as token ids and places to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.growing import Growing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.spec import TaskSpec

VERSION = 1
"""Raised whenever a kind that adapterx comes with would make other arrays of the same examples."""

_TOGETHER = 16384  # examples that are Python objects at once


def encode_stream(
    examples: Iterable[Example], spec: TaskSpec, tokenizer: PreTrainedTokenizerFast, max_length: int
) -> Encoded:
    """What `encode` makes of all of them, a part at a time, so that no more than a part is in memory as text."""
    rest = iter(examples)
    chunk = list(islice(rest, _TOGETHER))
    if len(chunk) < _TOGETHER:
        return encode(chunk, spec, tokenizer, max_length)
    found = Growing()
    while chunk:
        found.add(encode(chunk, spec, tokenizer, max_length))
        chunk = list(islice(rest, _TOGETHER))
    return found.encoded()


def encode(examples: Sequence[Example], spec: TaskSpec, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Tokenise the examples of a task, no sequence longer than `max_length` tokens with <s> and </s>.

    Pairs are cut longest first; sentences to tag are split instead, so that every word keeps its place to be read, and
    running text becomes several examples; a passage is read in as many windows as it takes.
    """
    return spec.kind.encode(examples, tokenizer, max_length)
