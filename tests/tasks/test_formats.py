from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from adapterx.limits import Limit
from adapterx.tasks import sequences as shared
from adapterx.tasks.catalog import find
from adapterx.tasks.data import load
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds import encoding
from adapterx.tasks.kinds.encoding import encode, encode_stream
from adapterx.tasks.kinds.masked_lm import TextExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.sequences import pieces
from tests.arrays import same
from tests.tasks.qa import questions, real_tokenizer

BOS, EOS, UNKNOWN = 0, 2, 3
WORDS = ["the", "days", "playing", "3", "ago", "ภาษาไทย", "我们", "今天去学校", "مرحبا", "x", "zzzzzzzz"]


def sequences(encoded: Encoded) -> list[list[int]]:
    return [encoded.tokens[start:end].tolist() for start, end in pairwise(encoded.sequence_offsets)]


def sentences(seed: int, count: int = 25) -> list[TaggingExample]:
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        words = tuple(str(word) for word in generator.choice(WORDS, int(generator.integers(1, 30))))
        made.append(TaggingExample(str(number), words, tuple(int(t) for t in generator.integers(0, 11, len(words)))))
    return made


def test_pairs_are_written_the_xlmr_way(tokenizer: Any) -> None:
    examples = [
        PairExample("a", "the days", "3 ago", 1),
        PairExample("b", "the", None, 0),
        PairExample("c", "x", "", 2),
    ]
    encoded = encode(examples, find("time-order"), tokenizer, 64)
    the, days, ago = (tokenizer.convert_tokens_to_ids(piece) for piece in ("▁the", "▁days", "▁ago"))
    three = tokenizer("3", add_special_tokens=False)["input_ids"]
    x = tokenizer("x", add_special_tokens=False)["input_ids"]
    assert sequences(encoded) == [
        [BOS, the, days, EOS, EOS, *three, ago, EOS],
        [BOS, the, EOS],
        [BOS, *x, EOS, EOS, EOS],
    ]
    assert encoded.ids == ("a", "b", "c")
    assert encoded.labels.tolist() == [1, 0, 2]
    assert encoded.tokens.dtype == np.int32


@pytest.mark.parametrize("max_length", [8, 9, 12, 15])
def test_pairs_are_cut_longest_first(tokenizer: Any, max_length: int) -> None:
    generator = np.random.default_rng(max_length)
    examples = [
        PairExample(str(i), " ".join(["the"] * int(generator.integers(1, 12))), " ".join(["days"] * int(n)), 0)
        for i, n in enumerate(generator.integers(1, 12, 40))
    ]
    the, days = (tokenizer.convert_tokens_to_ids(piece) for piece in ("▁the", "▁days"))
    room = max_length - 4
    for example, sequence in zip(
        examples, sequences(encode(examples, find("time-order"), tokenizer, max_length)), strict=True
    ):
        first, second = len(example.text.split()), len((example.text_pair or "").split())
        kept = sequence.count(the), sequence.count(days)
        assert sum(kept) == min(first + second, room)
        if first + second > room:
            # The shorter text loses nothing unless both exceed their half.
            assert kept[0] == first if first <= room // 2 else kept[0] >= min(first, room // 2)
            assert kept[1] == second if second <= room // 2 else kept[1] >= min(second, room // 2)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_length", [8, 9, 12, 15])
def test_what_is_cut_is_what_the_library_cuts(
    tokenizer: Any, max_length: int, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "truncation_side", side)
    first, second = ["the", "in", "days", "ago"] * 4, ["x", "3", "playing"] * 4
    texts = [(" ".join(first[:one]), " ".join(second[:two])) for one in range(13) for two in range(13)]
    examples = [PairExample("", one, pair, 0) for one, two in texts for pair in (two, None)]
    found = sequences(encode(examples, find("time-order"), tokenizer, max_length))
    cut = {"truncation": "longest_first", "max_length": max_length}
    ones, twos = map(list, zip(*texts, strict=True))
    assert found[::2] == tokenizer(ones, twos, **cut)["input_ids"]
    assert found[1::2] == tokenizer(ones, **cut)["input_ids"]


def test_a_text_that_stands_in_several_sequences_is_tokenised_once(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(texts: list[str], *args: Any) -> Any:
        seen.extend(texts)
        return pieces(texts, *args)

    monkeypatch.setattr(shared, "pieces", noted)
    examples = [ChoiceExample(str(n), f"the days {n // 2}", ("ago", "x", f"in {n}"), 0) for n in range(8)]
    encode(examples, find("time-latest"), tokenizer, 32)
    assert len(seen) == len(set(seen)) == 4 + 2 + 8


def test_reads_of_sequences_point_at_their_start(tokenizer: Any) -> None:
    pairs = encode([PairExample(w, w, w, 0) for w in WORDS], find("time-order"), tokenizer, 32)
    assert (pairs.tokens[pairs.read_tokens] == BOS).all()
    assert pairs.read_tokens.tolist() == pairs.sequence_offsets[:-1].tolist()
    assert pairs.example_reads.tolist() == list(range(len(WORDS) + 1))


def test_choices_belong_to_their_own_example(tokenizer: Any) -> None:
    examples = [
        ChoiceExample("a", "the days", ("3", "x", "ago", "学校"), 2),
        ChoiceExample("b", "", ("the", "in", "days", "ago"), 0),
    ]
    encoded = encode(examples, find("time-latest"), tokenizer, 32)
    assert encoded.example_sequences.tolist() == [0, 4, 8]
    assert encoded.example_reads.tolist() == [0, 4, 8]
    assert encoded.example_labels.tolist() == [0, 1, 2]
    assert encoded.labels.tolist() == [2, 0]
    for number, sequence in enumerate(sequences(encoded)):
        example, choice = examples[number // 4], examples[number // 4].choices[number % 4]
        expected = tokenizer(example.context, choice) if example.context else tokenizer(choice)
        assert sequence == expected["input_ids"]
    assert (encoded.tokens[encoded.read_tokens] == BOS).all()


def test_examples_may_differ_in_their_number_of_choices(tokenizer: Any) -> None:
    examples = [ChoiceExample("a", "x", ("the", "in"), 0), ChoiceExample("b", "x", ("the", "in", "ago"), 2)]
    assert encode(examples, find("xcopa"), tokenizer, 32).example_sequences.tolist() == [0, 2, 5]


@pytest.mark.parametrize("max_length", [512, 16, 7])
def test_every_word_is_read_at_its_first_subword_and_none_is_lost(tokenizer: Any, max_length: int) -> None:
    examples = sentences(seed=max_length)
    encoded = encode(examples, find("time-mentions"), tokenizer, max_length)
    assert np.diff(encoded.sequence_offsets).max() <= max_length
    for number, example in enumerate(examples):
        reads = encoded.read_tokens[encoded.example_reads[number] : encoded.example_reads[number + 1]]
        first, last = encoded.example_sequences[number : number + 2]
        assert (reads >= encoded.sequence_offsets[first]).all()
        assert (reads < encoded.sequence_offsets[last]).all()
        assert (np.diff(reads) > 0).all()
        subwords = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in example.words]
        assert encoded.tokens[reads].tolist() == [word[0] for word in subwords]
        tags = encoded.labels[encoded.example_labels[number] : encoded.example_labels[number + 1]]
        assert tuple(tags) == example.tags


@pytest.mark.parametrize("script", ["ภาษาไทย", "我们今天去学校", "مرحبابالعالم"])
def test_words_of_scripts_without_latin_decode_back(tokenizer: Any, script: str) -> None:
    encoded = encode([TaggingExample("a", ("the", script, "ago"), (0, 1, 2))], find("time-mentions"), tokenizer, 64)
    _, start, end = encoded.read_tokens
    assert tokenizer.decode(encoded.tokens[start:end]) == script
    assert UNKNOWN not in encoded.tokens


def test_short_sentences_are_one_sequence_as_the_library_tokenises_them(tokenizer: Any) -> None:
    examples = sentences(seed=1)
    encoded = encode(examples, find("time-mentions"), tokenizer, 512)
    together = tokenizer([list(example.words) for example in examples], is_split_into_words=True)
    assert sequences(encoded) == together["input_ids"]


def test_long_sentences_are_split_between_words(tokenizer: Any) -> None:
    example = TaggingExample("a", ("the",) * 23, tuple(n % 11 for n in range(23)))
    encoded = encode([example, example], find("time-mentions"), tokenizer, 10)
    the = tokenizer.convert_tokens_to_ids("▁the")
    assert [len(sequence) for sequence in sequences(encoded)] == [10, 10, 9] * 2
    assert encoded.example_sequences.tolist() == [0, 3, 6]
    assert (encoded.tokens[encoded.read_tokens] == the).all()
    assert len(encoded.read_tokens) == len(encoded.labels) == 46


def test_a_word_that_tokenises_to_nothing_is_read_as_unknown(tokenizer: Any) -> None:
    nothing = "\x01"
    pieces = tokenizer(nothing, add_special_tokens=False)["input_ids"]
    encoded = encode([TaggingExample("a", ("the", nothing, "ago"), (1, 2, 3))], find("time-mentions"), tokenizer, 32)
    assert pieces == []
    assert encoded.tokens[encoded.read_tokens[1]] == UNKNOWN
    assert encoded.labels.tolist() == [1, 2, 3]


def test_a_word_longer_than_a_sequence_keeps_its_start(tokenizer: Any) -> None:
    encoded = encode([TaggingExample("a", ("z" * 40, "ago"), (1, 2))], find("time-mentions"), tokenizer, 8)
    assert [len(sequence) for sequence in sequences(encoded)] == [8, 3]
    assert encoded.tokens[encoded.read_tokens].tolist() == [
        tokenizer.convert_tokens_to_ids("▁"),
        tokenizer.convert_tokens_to_ids("▁ago"),
    ]


@pytest.mark.parametrize("task", ["time-order", "time-mentions", "time-latest"])
def test_no_examples_encode_to_nothing(tokenizer: Any, task: str) -> None:
    encoded = encode([], find(task), tokenizer, 32)
    assert len(encoded) == 0
    assert len(encoded.tokens) == len(encoded.labels) == len(encoded.read_tokens) == 0


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_the_size_of_chunks_changes_nothing(tokenizer: Any, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [PairExample(str(n), WORDS[n % 11], None if n % 3 else WORDS[n % 7], n % 2) for n in range(20)]
    whole = encode(examples, find("time-order"), tokenizer, 16)
    monkeypatch.setattr("adapterx.tasks.sequences.CHUNK", chunk)
    assert same(encode(examples, find("time-order"), tokenizer, 16), whole)


def test_running_text_becomes_examples_of_one_sequence_each(tokenizer: Any) -> None:
    """Nothing is cut away: a long text goes on in the next example."""
    texts = ["the days", " ".join(["the", "days", "ago"] * 5), "", "x"]
    encoded = encode([TextExample(str(n), text) for n, text in enumerate(texts)], find("cldr-text"), tokenizer, 8)
    assert encoded.ids == ("0", "1+0", "1+1", "1+2", "3")
    found = sequences(encoded)
    assert all(one[0] == BOS and one[-1] == EOS and len(one) <= 8 for one in found)
    whole = tokenizer(texts[1], add_special_tokens=False)["input_ids"]
    assert [token for one in found[1:4] for token in one[1:-1]] == whole
    assert len(encoded.read_tokens) == len(encoded.labels) == 0
    assert encoded.example_reads.tolist() == encoded.example_labels.tolist() == [0] * 6


@pytest.mark.parametrize("task", ["time-order", "time-latest", "time-mentions", "cldr-text", "squad"])
def test_a_stream_is_encoded_like_a_list(task: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find(task)
    examples = questions(count=50) if task == "squad" else load(spec, "embedded", "en", "train", Limit(50))
    whole = encode(examples, spec, tokenizer, 8)
    monkeypatch.setattr(encoding, "_TOGETHER", 7)
    parts = encode_stream(iter(examples), spec, tokenizer, 8)
    assert tuple(parts.ids) == whole.ids
    assert same(replace(parts, ids=whole.ids), whole)
    assert len(encode_stream(iter(()), spec, tokenizer, 8)) == 0


@pytest.mark.parametrize(("task", "language", "split"), [
    ("xnli", "th", "test"), ("xnli", "ar", "test"), ("lingnli", "en", "train"), ("cosmosqa", "en", "dev"),
    ("xcopa", "qu", "test"),
])  # fmt: skip
@pytest.mark.parametrize("max_length", [24, 128])
@pytest.mark.usefixtures("benchmarks")
def test_real_texts_are_tokenised_as_the_library_does(task: str, language: str, split: str, max_length: int) -> None:
    examples = load(find(task), "local", language, split, Limit(200))
    pairs: list[tuple[str, str | None]] = []
    for one in examples:
        if isinstance(one, ChoiceExample):
            pairs += [(one.context, choice) for choice in one.choices]
        else:
            assert isinstance(one, PairExample)
            pairs.append((one.text, one.text_pair))
    first, second = map(list, zip(*pairs, strict=True))
    cut = {"truncation": "longest_first", "max_length": max_length}
    found = encode(examples, find(task), real_tokenizer(), max_length)
    assert sequences(found) == real_tokenizer()(first, second, **cut)["input_ids"]
