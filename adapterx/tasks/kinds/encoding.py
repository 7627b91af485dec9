"""Examples of any kind of task as token ids and places to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.growing import Growing
from adapterx.tasks.kinds import multiple_choice, pair_classification, retrieval, tagging
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.tasks.kinds.extractive_qa import windows as extractive_qa
from adapterx.tasks.kinds.masked_lm import TextExample
from adapterx.tasks.kinds.masked_lm import texts as masked_lm
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.retrieval import RetrievalExample
from adapterx.tasks.kinds.tagging import TaggingExample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.spec import TaskSpec

Format: TypeAlias = Literal[
    "pair-classification", "tagging", "multiple-choice", "extractive-qa", "retrieval", "masked-lm"
]

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
