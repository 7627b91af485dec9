"""How each format turns examples into token ids and places to read, one module per format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, cast

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import (
    ChoiceExample,
    Example,
    Format,
    PairExample,
    QAExample,
    RetrievalExample,
    TaggingExample,
    TextExample,
)
from adapterx.tasks.formats import extractive_qa, masked_lm, multiple_choice, pair_classification, retrieval, tagging
from adapterx.tasks.growing import Growing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.spec import TaskSpec

VERSION = 1
"""Raised whenever a module here would make other arrays of the same examples."""

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
    return encode_as(spec.format, examples, tokenizer, max_length)


def encode_as(
    format_: Format, examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, max_length: int
) -> Encoded:
    """The same for examples of a format that belong to no task of the catalog."""
    if format_ == "tagging":
        return tagging.encode(cast("Sequence[TaggingExample]", examples), tokenizer, max_length)
    if format_ == "multiple-choice":
        return multiple_choice.encode(cast("Sequence[ChoiceExample]", examples), tokenizer, max_length)
    if format_ == "extractive-qa":
        return extractive_qa.encode(cast("Sequence[QAExample]", examples), tokenizer, max_length)
    if format_ == "retrieval":
        return retrieval.encode(cast("Sequence[RetrievalExample]", examples), tokenizer, max_length)
    if format_ == "masked-lm":
        return masked_lm.encode(cast("Sequence[TextExample]", examples), tokenizer, max_length)
    return pair_classification.encode(cast("Sequence[PairExample]", examples), tokenizer, max_length)
