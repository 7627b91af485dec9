"""Tagging: words, and a tag for each. One read per word, at its first subword; long sentences become several sequences.

XTREME splits sentences that exceed the limit rather than cutting them (google-research/xtreme,
utils_preprocess/utils_udpos.py), and gives a word that tokenises to nothing the unknown token; so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.kinds.base import Scores, TaskKind
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.kinds.shares import most, shares
from adapterx.tasks.sequences import pieces, slices
from adapterx.tasks.sources.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.rows import Cells

_SPECIAL = 2  # <s> and </s>


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """Words and as many tags; a tag indexes the task's labels."""

    id: str
    words: tuple[str, ...]
    tags: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags) or not self.words:
            raise ValueError(f"example {self.id}: {len(self.words)} words and {len(self.tags)} tags")

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: one tag per word."""
        return self.tags

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentence."""
        return (" ".join(self.words),)


class Tagging(TaskKind[TaggingExample]):
    """A label for every word of a sentence."""

    __slots__ = ()

    name = "tagging"
    example = TaggingExample
    required = ("words", "tags")
    readers = ("conll", "conllu")
    tags = True
    unpaired = "the labels of a sentence are those of its own words"
    untranslated = "each word has a label, and a translation has other words in another order"
    per_read = True
    dense = False
    item_fields = ("words",)
    hub_type = "tagging"
    pipeline = "token-classification"
    reading = "words"
    classifier: ClassVar[Mapping[str, str]] = {"output": ""}
    peft_type = "TOKEN_CLS"

    def read(self, id: str, cells: Cells) -> TaggingExample:
        """The words and the tags of a row."""
        words, tags = cells.words(cells.columns["words"]), cells.tags(cells.columns["tags"])
        if len(words) != len(tags) or not words:
            raise DataError(f"{cells.place}: has {len(words)} words and {len(tags)} tags")
        return TaggingExample(id, words, cells.tag_labels(words, tags))

    def encode(
        self, examples: Sequence[TaggingExample], tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> Encoded:
        """Encode words with as many reads and labels as there are words, whatever their number.

        Only a single word longer than a whole sequence loses subwords, never its first one.
        """
        room = max_length - _SPECIAL
        source, starts, lengths = _words(examples, tokenizer)
        lengths = np.minimum(lengths, room)
        example_words = offsets([len(example.words) for example in examples])
        cuts = _cuts(lengths, example_words, room)
        # Each sequence is <s>, its words, </s>: as many slices as words and two more.
        words = np.diff(np.append(cuts, len(lengths)))
        sequence = np.repeat(np.arange(len(cuts)), words)
        place = np.arange(len(lengths)) + 2 * sequence + 1
        begins = cuts + 2 * np.arange(len(cuts))
        bos, eos = len(source) - 2, len(source) - 1
        all_starts, all_lengths = np.empty((2, len(lengths) + 2 * len(cuts)), np.int64)
        all_starts[place], all_lengths[place] = starts, lengths
        all_starts[begins], all_starts[begins + words + 1] = bos, eos
        all_lengths[begins] = all_lengths[begins + words + 1] = 1
        token_of = offsets(all_lengths)
        return Encoded(
            ids=tuple(example.id for example in examples),
            tokens=source[slices(all_starts, all_lengths)],
            sequence_offsets=token_of[np.append(begins, len(all_lengths))],
            example_sequences=np.searchsorted(cuts, example_words),
            read_tokens=token_of[place],
            example_reads=example_words,
            labels=np.fromiter(chain.from_iterable(example.tags for example in examples), np.int64),
            example_labels=example_words,
        )

    def read_share(self, length: int) -> float:
        """Words have about one and a half tokens in languages with spaces, and a sentence its <s> and </s>."""
        return 0.6

    def item(self, id: str, line: Line, labels: Sequence[str]) -> TaggingExample:
        """Words without tags."""
        words = line.texts("words")
        return TaggingExample(id, words, (0,) * len(words))

    def said(
        self, data: Encoded, scores: Scores, labels: Sequence[str], unanswerable: bool
    ) -> Iterator[dict[str, Any]]:
        """Lists with an entry for each word."""
        for example in scores:
            named = [shares(row, labels) for row in example]
            yield {"label": [most(one) for one in named], "scores": named}

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """Each word's first token with the word's tag."""
        reads = data.read_tokens[slice(*data.example_reads[number : number + 2].tolist())].tolist()
        own = data.labels[slice(*data.example_labels[number : number + 2].tolist())].tolist()
        named = {token: labels[label] for token, label in zip(reads, own, strict=True)}
        found = [
            ShownSequence(one.tokens, {token: named[token] for token in one.marked})
            for one in self._shown_sequences(data, number)
        ]
        return ShownExample("", tuple(found))

    def is_stored_head(self, labels: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """The output layer alone, of labels."""
        return len(labels) > 0 and "dense.weight" not in shapes


def _words(
    examples: Sequence[TaggingExample], tokenizer: PreTrainedTokenizerFast
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Subwords, of which each word has a slice, with <unk>, <s> and </s> behind them; each word's start and length.

    Each distinct word is tokenised once.
    """
    places: dict[str, int] = {}
    of_word = np.array([places.setdefault(word, len(places)) for one in examples for word in one.words], np.int64)
    found = pieces(list(places), tokenizer)
    special = [tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id]
    empty = found.lengths == 0
    starts, lengths = np.where(empty, len(found.tokens), found.starts), np.where(empty, 1, found.lengths)
    return np.concatenate([found.tokens, np.array(special, np.int32)]), starts[of_word], lengths[of_word]


def _cuts(lengths: NDArray[np.int64], sentences: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """The first word of each sequence: as few runs of whole words as fit into `room` each, filled from the left."""
    ends = offsets(lengths)
    cuts = [sentences[:-1]]
    for sentence in np.flatnonzero(np.diff(ends[sentences]) > room):
        first, last = sentences[sentence : sentence + 2]
        while ends[last] - ends[first] > room:
            first = np.searchsorted(ends, ends[first] + room, side="right") - 1
            cuts.append(np.array([first]))
    return np.sort(np.concatenate(cuts))
