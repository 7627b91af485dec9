"""Retrieval: queries that are to find candidates. One sequence per text, all of whose tokens are read; what is made of
them is up to the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adapterx.tasks.answers import PAIRS, RANKINGS
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.sequences import tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.limits import Limit
    from adapterx.tasks.sources.entry import Entry
    from adapterx.tasks.sources.rows import Cells


CANDIDATE = -1
"""The label of a text that is to be found rather than searched for."""


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """A text to search for, or one to be found.

    `relevant` are the places, among the candidates of the same language, of those that a query is to find; None makes
    it a candidate.
    """

    id: str
    text: str
    relevant: tuple[int, ...] | None

    @property
    def labels(self) -> tuple[int, ...]:
        """What is to be found; of a candidate -1."""
        return (CANDIDATE,) if self.relevant is None else self.relevant

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)


@dataclass(frozen=True, slots=True)
class QueryAndCandidate:
    """A query and what it is to find, as they stand in one row."""

    id: str
    query: str
    candidate: str

    @property
    def labels(self) -> tuple[int, ...]:
        """None: what is to be found is the row's own candidate."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Both texts."""
        return (self.query, self.candidate)


class Retrieval(TaskKind[RetrievalExample]):
    """The candidates, of many, that belong to a query."""

    __slots__ = ()

    name = "retrieval"
    example = RetrievalExample
    answers = (RANKINGS, PAIRS)
    required = ("query", "candidate")
    labelled = False
    trained = False
    searched = True
    portable = False
    untranslated = "nothing is trained on what is retrieved, so there is nothing to translate"
    legend = "→ is what the query above it is to find; every token is read"

    def check_splits(self, source: str, splits: Iterable[str]) -> None:
        """Nothing is trained on what is retrieved."""
        if "train" in splits:
            raise ValueError(f"source {source}: nothing is trained on what is retrieved; its splits are dev and test")

    def read(self, id: str, cells: Cells) -> QueryAndCandidate:
        """A query and its candidate."""
        return QueryAndCandidate(id, cells.text(cells.columns["query"]), cells.text(cells.columns["candidate"]))

    def prefixed(self, example: RetrievalExample, query: str, candidate: str) -> RetrievalExample:
        """The same with words before its text."""
        return replace(example, text=(candidate if example.relevant is None else query) + example.text)

    def side_by_side(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Queries and candidates that stand side by side, each the other's."""
        number = -1
        for row in entries:
            if not isinstance(row, QueryAndCandidate):
                yield row
                continue
            number += 1
            yield RetrievalExample(row.id, row.query, (number,))
            yield RetrievalExample(row.id, row.candidate, None)

    def counts(self, example: RetrievalExample) -> bool:
        """Queries do."""
        return example.relevant is not None

    def limited(self, examples: Iterable[RetrievalExample], limit: Limit) -> Iterator[RetrievalExample]:
        """Some of the queries and all candidates, each in their order; a random sample of queries comes last."""
        from adapterx.limits import Smallest

        queries, kept = 0, Smallest[RetrievalExample](limit.items)
        for one in examples:
            if one.relevant is None:
                yield one
            elif limit.sample == "random":
                kept.offer(one.id, one)
            elif queries < limit.items:
                queries += 1
                yield one
        yield from kept

    def encode(
        self, examples: Sequence[RetrievalExample], tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> Encoded:
        """Encode queries, whose labels are the places of their candidates, and candidates, whose label is -1."""
        tokens, bounds = tokenise([(one.text, None) for one in examples], tokenizer, max_length).arrays()
        return Encoded(
            ids=tuple(one.id for one in examples),
            tokens=tokens,
            sequence_offsets=bounds,
            example_sequences=np.arange(len(examples) + 1, dtype=np.int64),
            read_tokens=np.arange(len(tokens), dtype=np.int64),
            example_reads=bounds,
            labels=np.array([label for one in examples for label in one.labels], dtype=np.int64),
            example_labels=offsets([len(one.labels) for one in examples]),
        )

    def read_share(self, length: int) -> float:
        """All of them: vectors are means."""
        return 1.0

    def columns(self, gold: Sequence[Any], prediction: Sequence[Any]) -> dict[str, Any]:
        """Lists of places and ranks; of mined pairs ids, which are texts."""
        from adapterx.tasks.kinds.columns import text_columns

        if any(isinstance(item, str) for item in prediction):
            return text_columns(gold, prediction)
        return super().columns(gold, prediction)

    def preview(self, examples: Iterable[RetrievalExample], count: int) -> list[RetrievalExample]:
        """So many queries, each followed by what it is to find."""
        known = list(examples)
        candidates = [one for one in known if one.relevant is None]
        queries = [one for one in known if one.relevant is not None]
        found: list[RetrievalExample] = []
        for query in sorted(queries, key=lambda one: not one.relevant)[:count]:  # those that have something to find
            found += [query, *(candidates[place] for place in query.relevant or ())]
        return found

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """A candidate has an arrow before it; no token stands out, since all are read."""
        own = data.labels[slice(*data.example_labels[number : number + 2].tolist())].tolist()
        sequences = [ShownSequence(one.tokens) for one in self._shown_sequences(data, number)]
        return ShownExample("", tuple(sequences), "→ " if own == [CANDIDATE] else "")
