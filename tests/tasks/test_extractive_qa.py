"""Windows over passages, and answers found again in them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapterx.tasks.catalog import find
from adapterx.tasks.data import load, sizes
from adapterx.tasks.encoded import Encoded, offsets, reads_of
from adapterx.tasks.kinds.encoding import encode
from adapterx.tasks.kinds.extractive_qa import Answer, QAExample, spans
from adapterx.tasks.kinds.extractive_qa import windows as extractive_qa
from adapterx.tasks.stored import read, write
from tests.arrays import same
from tests.tasks.qa import pointing, questions, real_tokenizer

BOS, EOS = 0, 2


def windows(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Those of one passage, which stands behind another."""
    found = extractive_qa.windows(np.array([room + 1, tokens]), np.array([room, room]), stride)
    return [(int(first), int(last)) for passage, first, last in zip(*found, strict=True) if passage]


@pytest.mark.parametrize("max_length", [8, 12, 19, 40, 384])
def test_windows_cover_every_token_of_a_passage(tokenizer: Any, max_length: int) -> None:
    examples = questions(seed=max_length)
    encoded = encode(examples, find("squad"), tokenizer, max_length)
    assert np.diff(encoded.sequence_offsets).max() <= max_length
    assert encoded.passages is not None
    characters = encoded.passages.characters.reshape(-1, 2)
    sequence = at = 0
    for number, example in enumerate(examples):
        asked = tokenizer(example.question, add_special_tokens=False)["input_ids"][: min(64, (max_length - 4) // 2)]
        whole = tokenizer(example.context, add_special_tokens=False, return_offsets_mapping=True)
        tokens, places = whole["input_ids"], whole["offset_mapping"]
        for first, last in windows(len(tokens), max_length - 4 - len(asked), max_length // 3):
            start, stop = encoded.sequence_offsets[sequence : sequence + 2]
            assert encoded.tokens[start:stop].tolist() == [BOS, *asked, EOS, EOS, *tokens[first:last], EOS]
            count = 1 + last - first
            assert encoded.read_tokens[at : at + count].tolist() == [start, *range(start + len(asked) + 3, stop - 1)]
            assert characters[at : at + count].tolist() == [[0, 0], *map(list, places[first:last])]
            sequence, at = sequence + 1, at + count
        assert (sequence, at) == (encoded.example_sequences[number + 1], encoded.example_reads[number + 1])


def test_a_short_pair_is_written_as_the_library_writes_it(tokenizer: Any) -> None:
    example = QAExample("a", "the days", "3 ago in the days", (Answer("ago", 2),))
    encoded = encode([example], find("squad"), tokenizer, 64)
    pair = tokenizer(example.question, example.context, return_offsets_mapping=True)
    assert encoded.tokens.tolist() == pair["input_ids"]
    assert encoded.passages is not None
    ours = encoded.passages.characters.reshape(-1, 2)[1:].tolist()
    assert ours == [list(place) for place, of in zip(pair["offset_mapping"], pair.sequence_ids(), strict=True) if of]


@pytest.mark.parametrize(
    ("tokens", "room", "stride"), [(0, 5, 3), (5, 5, 3), (6, 5, 3), (40, 7, 7), (40, 7, 9), (9, 1, 3)]
)
def test_windows_are_no_longer_than_their_room(tokens: int, room: int, stride: int) -> None:
    found = windows(tokens, room, stride)
    assert all(last - first <= room for first, last in found)
    assert {token for first, last in found for token in range(first, last)} == set(range(tokens))
    assert all(after[0] - before[0] == min(stride, room) for before, after in pairwise(found))
    assert found[-1][1] == tokens
    assert len(found) == 1 or found[-2][1] < tokens


@pytest.mark.parametrize("max_length", [16, 24, 400])
def test_the_label_of_a_window_is_the_answer_or_s(tokenizer: Any, max_length: int) -> None:
    examples = questions(seed=1)
    encoded = encode(examples, find("squad"), tokenizer, max_length)
    found = spans.texts(encoded, spans.best(encoded, pointing(encoded)))
    whole = 0
    for number, example in enumerate(examples):
        labels = encoded.labels[encoded.example_labels[number] : encoded.example_labels[number + 1]].reshape(-1, 2)
        assert len(labels) == encoded.example_sequences[number + 1] - encoded.example_sequences[number]
        assert ((labels > 0).all(axis=1) | (labels == 0).all(axis=1)).all()
        if example.answers and labels.any():
            assert found[number] == example.answers[0].text
            whole += 1
        if not example.answers:
            assert not labels.any()
    assert whole > len(examples) / 3


@pytest.mark.parametrize("context", ["", "  ", "the"])
def test_a_passage_of_next_to_nothing(tokenizer: Any, context: str) -> None:
    encoded = encode([QAExample("a", "the", context, ())], find("squad"), tokenizer, 16)
    scores = [np.ones((len(encoded.read_tokens), 2), np.float32)]
    assert spans.texts(encoded, spans.best(encoded, scores)) == [context.strip()]
    assert encoded.labels.tolist() == [0, 0]


def test_no_examples_encode_to_nothing(tokenizer: Any) -> None:
    encoded = encode([], find("squad"), tokenizer, 32)
    assert len(encoded) == len(encoded.tokens) == len(encoded.labels) == 0
    assert spans.texts(encoded, spans.best(encoded, [])) == []


def test_what_is_stored_is_what_was_encoded(tokenizer: Any, tmp_path: Path) -> None:
    for examples in (questions(seed=2), []):
        encoded = encode(examples, find("squad"), tokenizer, 24)
        write(tmp_path / "entry", encoded, "key")
        found = read(tmp_path / "entry", "key")
        assert same(found, encoded)
        assert found.passages is not None
        assert found.passages.answers() == [tuple(one.text for one in example.answers) for example in examples]


def naive(encoded: Encoded, scores: list[Any], unanswerable: bool) -> list[str]:
    """Answers by a loop over windows, first tokens and last tokens."""
    assert encoded.passages is not None
    bounds = offsets(reads_of(encoded, np.arange(len(encoded.sequence_offsets) - 1)))
    flat, characters = np.concatenate(scores), encoded.passages.characters.reshape(-1, 2)
    found = []
    for example in range(len(encoded)):
        best, text, none = -np.inf, "", np.inf
        for window in range(*encoded.example_sequences[example : example + 2]):
            rows = range(bounds[window] + 1, bounds[window + 1])
            none = min(none, flat[bounds[window]].sum())
            firsts = sorted(rows, key=lambda row: -flat[row, 0])[: spans.BEST]
            lasts = sorted(rows, key=lambda row: -flat[row, 1])[: spans.BEST]
            for first in firsts:
                for last in lasts:
                    score = flat[first, 0] + flat[last, 1]
                    if 1 <= last - first + 1 <= spans.LONGEST and score > best:
                        start, stop = characters[first, 0], characters[last, 1]
                        best, text = score, encoded.passages.context(example)[start:stop].strip()
        found.append("" if unanswerable and none > best else text)
    return found


@pytest.mark.parametrize("max_length", [24, 60, 400])
@pytest.mark.parametrize("unanswerable", [False, True])
def test_decoding_equals_a_naive_loop(
    tokenizer: Any, max_length: int, unanswerable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "_WINDOWS", 7)
    encoded = encode(questions(seed=3, words=90), find("squad"), tokenizer, max_length)
    random = np.random.default_rng(max_length)
    flat = random.normal(size=(len(encoded.read_tokens), 2)).astype(np.float32)
    # Few windows prefer <s> by chance alone.
    flat[np.isin(encoded.read_tokens, encoded.sequence_offsets)] += 2.5 if unanswerable else 0
    scores = np.split(flat, encoded.example_reads[1:-1])
    found = spans.texts(encoded, spans.best(encoded, scores), unanswerable)
    assert found == naive(encoded, scores, unanswerable)
    silent = sum(text == "" for text in found)
    assert 0 < silent < len(found) if unanswerable else silent < len(found) / 3


@pytest.mark.parametrize(("task", "language", "split", "exact"), [
    ("squad", "en", "dev", 0.92), ("xquad", "zh", "test", 0.92), ("xquad", "th", "test", 0.92),
    ("xquad", "ar", "test", 0.92), ("mlqa", "hi", "test", 0.92), ("tydiqa", "sw", "test", 0.8),
])  # fmt: skip
@pytest.mark.usefixtures("benchmarks")
def test_gold_answers_of_real_files_are_found_again(task: str, language: str, split: str, exact: float) -> None:
    """Up to what one token holds: where a token reaches beyond the answer, so does what is found."""
    spec = find(task)
    examples = load(spec, "local", language, split)
    assert len(examples) == sizes(spec, "local", language, split)
    chosen = examples[:300]
    encoded = encode(chosen, spec, real_tokenizer(), 384)
    assert encoded.passages is not None
    bounds = offsets(reads_of(encoded, np.arange(len(encoded.sequence_offsets) - 1)))[:-1]
    characters = encoded.passages.characters.reshape(-1, 2)
    start = characters[bounds + encoded.labels[0::2], 0]
    stop = characters[bounds + encoded.labels[1::2], 1]
    equal = 0
    for number, example in enumerate(chosen):
        assert isinstance(example, QAExample)
        answer, context = example.answers[0], example.context
        held = [w for w in range(*encoded.example_sequences[number : number + 2]) if encoded.labels[2 * w]]
        assert held, f"no window holds {answer.text!r}"
        for window in held:
            assert start[window] <= answer.start and stop[window] >= answer.start + len(answer.text)
            inner = characters[bounds[window] + encoded.labels[2 * window], 1]
            assert inner > answer.start, "the first token is part of the answer"
        equal += context[start[held[0]] : stop[held[0]]].strip() == answer.text.strip()
    # Full stops and brackets may hang on to a word: how often tells whether characters are counted right.
    assert equal / len(chosen) > exact
