"""Contrastive: queries that are to be nearer to their own candidates than to those of the rest of the batch.

Training alone, for retrieval: what is learnt is the encoder's adapter, and there is no head. `loss` needs torch.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.kinds.base import HeadTensor, TaskKind
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.sequences import tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.sources.entry import Entry
    from adapterx.tasks.sources.fields import Misplaced
    from adapterx.tasks.sources.rows import Cells, Reading


@dataclass(frozen=True, slots=True)
class ContrastiveExample:
    """A query and its candidates: the right one first, then those that are known to be wrong."""

    id: str
    query: str
    candidates: tuple[str, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """None: what is right is the first candidate."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The query, then every candidate."""
        return (self.query, *self.candidates)


class Contrastive(TaskKind[ContrastiveExample]):
    """The candidate of each query, among all candidates of its batch.

    An example is a sequence for the query and one for each candidate, all of whose tokens are read. A label names the
    text of a candidate, so that the same text is not taken for a wrong one where another example of the batch has it.
    """

    __slots__ = ()

    name = "contrastive"
    example = ContrastiveExample
    answers = ()
    required = ("query", "candidate")
    optional = ("negatives",)
    labelled = False
    scored = False
    questions = True
    coupled = True
    unpaired = ""
    untranslated = "pairs are made of questions about passages, which are what to translate"
    alone = True  # sequences of one cell's examples differ in their rows
    dense = False
    portable = False
    legend = "→ is what the query above it is to find, × what it is not; every token is read"

    def check_splits(self, source: str, splits: Iterable[str]) -> None:
        """Pairs are learnt from alone; a retrieval task says how well."""
        if others := {*splits} - {"train"}:
            raise ValueError(f"{min(others)}: pairs to learn from have a train split alone; a retrieval task scores")

    def read(self, id: str, cells: Cells) -> ContrastiveExample:
        """The query, its candidate and, where there is such a column, candidates that are wrong."""
        columns = cells.columns
        wrong = cells.texts(columns["negatives"]) if "negatives" in columns else ()
        return ContrastiveExample(id, cells.text(columns["query"]), (cells.text(columns["candidate"]), *wrong))

    def read_all(
        self, reading: Reading, name: str, place: str, row: Mapping[Any, Any], given: tuple[str, str] | None
    ) -> Iterable[Entry]:
        """The pair of a row; of a paragraph of SQuAD's JSON its questions, each with the sentence of its answer."""
        from adapterx.tasks.sources import squad

        if squad.QUESTIONS not in row:
            return super().read_all(reading, name, place, row, given)
        return squad.entries(place, row, name, reading.source, False, _with_sentence)

    def paired(self, first: ContrastiveExample, second: ContrastiveExample) -> ContrastiveExample | None:
        """The query of one and the candidates of the other."""
        return ContrastiveExample(first.id, first.query, second.candidates)

    def prefixed(self, example: ContrastiveExample, query: str, candidate: str) -> ContrastiveExample:
        """The same with words before the query and before every candidate."""
        candidates = tuple(candidate + text for text in example.candidates)
        return replace(example, query=query + example.query, candidates=candidates)

    def encode(
        self, examples: Sequence[ContrastiveExample], tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> Encoded:
        """Encode queries and candidates, a sequence each."""
        texts = [(text, None) for one in examples for text in one.texts]
        tokens, bounds = tokenise(texts, tokenizer, max_length).arrays()
        sequences = offsets([len(one.texts) for one in examples])
        return Encoded(
            ids=tuple(one.id for one in examples),
            tokens=tokens,
            sequence_offsets=bounds,
            example_sequences=sequences,
            read_tokens=np.arange(len(tokens), dtype=np.int64),
            example_reads=bounds[sequences],
            labels=np.array([_named(text) for one in examples for text in one.candidates], dtype=np.int64),
            example_labels=offsets([len(one.candidates) for one in examples]),
        )

    # The head

    def outputs(self, size: int) -> int:
        """None: vectors are compared as they are."""
        return 0

    def tensors(self, hidden: int, size: int) -> tuple[HeadTensor, ...]:
        """None."""
        return ()

    # Cost, in a plan

    def sequences(self, labels: int) -> int:
        """A query and its candidate; wrong ones are not counted, as only the data tell how many there are."""
        return 2

    def read_share(self, length: int) -> float:
        """All of them: vectors are means."""
        return 1.0

    def head_numbers(self, hidden: int, outputs: int, reads: int) -> tuple[int, int]:
        """The vectors' sums of read rows, there and back."""
        return reads * hidden, reads * hidden

    # The tasks command

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """The right candidate has an arrow before it, wrong ones a cross; no token stands out, since all are read."""
        marks = ("", "→ ", *["× "] * len(data.labels))
        marked = zip(self._shown_sequences(data, number), marks, strict=False)
        return ShownExample("", tuple(ShownSequence(one.tokens, {}, mark) for one, mark in marked))


def _with_sentence(
    place: str, id: str, question: str, context: str, given: Sequence[tuple[str, int]], misplaced: Misplaced
) -> Entry:
    """A question with the sentence of its passage that holds the answer, or why it is left out."""
    from adapterx.tasks.kinds.extractive_qa import QAExample, asked
    from adapterx.tasks.sources.sentences import sentences

    found = asked(place, id, question, context, given, misplaced)
    if not isinstance(found, QAExample):
        return found
    cut = sentences(context)
    holding = max(0, bisect_right([start for start, _ in cut], found.answers[0].start) - 1)
    return ContrastiveExample(id, question, (cut[holding][1],))


def _named(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
