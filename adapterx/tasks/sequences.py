"""Texts and pairs of texts as token sequences, the XLM-R way: <s> a </s>, <s> a </s></s> b </s>.

A text is tokenised once per chunk, however many sequences it stands in: a context with each of its choices, a premise
with each of its hypotheses. Sequences are then put together by ids, in numpy. The tokenizer works on all cores
(`TOKENIZERS_PARALLELISM=false` keeps it to one); the arrays are the same for any number of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapterx.errors import AdapterxError, library_failures
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.wording import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Texts = Sequence[tuple[str, str | None]]

CHUNK = 4096
"""Texts per call of the tokenizer, whose answer takes many times the memory of the token ids in it."""


class SequenceList:
    """Token sequences end to end, growing at four bytes a token."""

    def __init__(self) -> None:
        self._tokens = array("i")
        self._ends = array("q", [0])

    def append(self, sequence: Iterable[int]) -> None:
        """Put one more sequence at the end."""
        self._tokens.extend(sequence)
        self._ends.append(len(self._tokens))

    def extend(self, tokens: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        """Put several at the end: their tokens end to end, and how many each has."""
        self._ends.frombytes((self.size + np.cumsum(lengths, dtype=np.int64)).tobytes())
        self._tokens.frombytes(np.ascontiguousarray(tokens, np.int32).view(np.uint8).data)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def size(self) -> int:
        """The number of tokens."""
        return len(self._tokens)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The tokens, and the offsets that delimit the sequences: views, after which nothing can be appended."""
        return np.asarray(self._tokens, dtype=np.int32), np.asarray(self._ends, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Texts as token ids, uncut and without special tokens; t texts.

    tokens      int32 (T)       of all texts, end to end
    starts      int64 (t)       into tokens
    lengths     int64 (t)
    characters  int32 (T, 2)    where each token starts in its text and where it ends, exclusive; only if asked for
    """

    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    characters: NDArray[np.int32] | None = None


def pieces(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, characters: bool = False) -> Pieces:
    """Tokenise texts in batched calls of the tokenizer's core, which makes no Python objects but the ids."""
    core = _core(tokenizer)
    call = core.encode_batch if characters else core.encode_batch_fast
    tokens, lengths, places = array("i"), array("q"), array("i")
    for start in range(0, len(texts), CHUNK):
        with library_failures(lambda why: _failed(tokenizer, why)):
            chunk = call(texts[start : start + CHUNK], add_special_tokens=False)
        for found in chunk:
            tokens.extend(found.ids)
            lengths.append(len(found))
            if characters:
                places.extend(chain.from_iterable(found.offsets))
    bounds = offsets(np.asarray(lengths, np.int64))
    where = np.asarray(places, np.int32).reshape(-1, 2) if characters else None
    return Pieces(np.asarray(tokens, np.int32), bounds[:-1], np.diff(bounds), where)


class TokenizerFailed(AdapterxError):
    """A tokenizer that its library can load, and that fails on a text."""


def _failed(tokenizer: PreTrainedTokenizerFast, why: str) -> TokenizerFailed:
    whose = plain(str(tokenizer.name_or_path), None) or "the backbone"
    return TokenizerFailed(f"the tokenizer.json of {whose} fails on a text: {plain(why, 200)}")


def _core(tokenizer: PreTrainedTokenizerFast) -> Any:
    """The Rust tokenizer, set to cut and pad nothing."""
    core: Any = tokenizer.backend_tokenizer
    core.no_truncation()
    core.no_padding()
    core.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
    return core


def slices(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of slices of an array, end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def tokenise(texts: Texts, tokenizer: PreTrainedTokenizerFast, max_length: int) -> SequenceList:
    """The tokens of each text, or pair of texts; too long ones are cut longest first.

    Equal to `tokenizer(first, second, truncation="longest_first", max_length=max_length)`.
    """
    found, frames = SequenceList(), _Frames(tokenizer)
    for start in range(0, len(texts), CHUNK):
        _together(texts[start : start + CHUNK], tokenizer, max_length, frames, found)
    return found


class _Frames:
    """The special tokens around a single text and around a pair, as the tokenizer's own template has them.

    tokens   int32 (special)  of single texts, then of pairs
    starts   int64 (2, 3)     what stands before the first text, after it and, of a pair, after the second
    lengths  int64 (2, 3)
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        core = _core(tokenizer)
        before, after = _runs(core.encode("a"))
        found = [before, [], after, *_runs(core.encode("a", "a"))]
        bounds = offsets([len(run) for run in found])
        self.tokens = np.array([token for run in found for token in run], np.int32)
        self.starts, self.lengths = bounds[:-1].reshape(2, 3), np.diff(bounds).reshape(2, 3)


def _runs(encoding: Any) -> list[list[int]]:
    """The special tokens of a sequence, cut where its texts stand."""
    runs: list[list[int]] = [[]]
    seen: set[int] = set()
    for token, owner in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if owner is None:
            runs[-1].append(token)
        elif owner not in seen:
            seen.add(owner)
            runs.append([])
    return runs


def _together(
    texts: Texts, tokenizer: PreTrainedTokenizerFast, max_length: int, frames: _Frames, into: SequenceList
) -> None:
    """Put a chunk at the end: each sequence is five slices, of which texts are the second and the fourth."""
    places: dict[str, int] = {}
    first = np.array([places.setdefault(one, len(places)) for one, _ in texts])
    other = np.array([-1 if two is None else places.setdefault(two, len(places)) for _, two in texts])
    found = pieces(list(places), tokenizer)
    paired = (other >= 0).astype(np.int64)
    own = np.stack([found.lengths[first], np.where(paired, found.lengths[other], 0)], axis=1)
    kept = longest_first(own, max_length - frames.lengths.sum(axis=1)[paired])
    # Where a tokenizer cuts on the left, a text keeps its end.
    skipped = own - kept if tokenizer.truncation_side == "left" else np.zeros_like(own)
    starts, lengths = np.empty((2, len(texts), 5), np.int64)
    starts[:, ::2], lengths[:, ::2] = frames.starts[paired], frames.lengths[paired]
    starts[:, 1::2] = len(frames.tokens) + found.starts[np.stack([first, other], axis=1)] + skipped
    lengths[:, 1::2] = kept
    source = np.concatenate([frames.tokens, found.tokens])
    into.extend(source[slices(starts.reshape(-1), lengths.reshape(-1))], lengths.sum(axis=1))


def longest_first(lengths: NDArray[np.int64], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many tokens each text keeps, (n, 2), of pairs with these lengths in as much room (n,) as they share.

    As the library cuts (huggingface/tokenizers, tokenizers/src/utils/truncation.rs, `LongestFirst`): the shorter text,
    of equal ones the first, is cut to half the room, rounded down, if it is longer; the other gets what is left.
    """
    short = lengths.argmin(axis=1)
    row = np.arange(len(lengths))
    kept = lengths.copy()
    kept[row, short] = np.minimum(lengths[row, short], room // 2)
    kept[row, 1 - short] = np.minimum(lengths[row, 1 - short], room - kept[row, short])
    return np.where((lengths.sum(axis=1) > room)[:, None], kept, lengths)


def read_at_start(
    ids: Sequence[str], labels: Sequence[int], sequences: SequenceList, per_example: Sequence[int]
) -> Encoded:
    """Examples with one label each, read at the <s> of each of their sequences."""
    tokens, bounds = sequences.arrays()
    example_sequences = offsets(list(per_example))
    return Encoded(
        ids=tuple(ids),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=example_sequences,
        read_tokens=bounds[:-1],
        example_reads=example_sequences,
        labels=np.asarray(labels, dtype=np.int64),
        example_labels=np.arange(len(ids) + 1, dtype=np.int64),
    )
