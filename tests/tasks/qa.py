"""Questions over made-up passages, and scores that point at their answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets, reads_of
from adapterx.tasks.kinds.extractive_qa import Answer, QAExample

WORDS = ["the", "days", "playing", "3", "ago", "ภาษาไทย", "我们", "今天去学校", "مرحبا", "x", "zzz"]


def questions(seed: int = 0, count: int = 24, words: int = 30) -> list[QAExample]:
    """Some passages are asked about twice; every fifth question has no answer, others have one or two."""
    random = np.random.default_rng(seed)
    made: list[QAExample] = []
    for number in range(count):
        context = made[-1].context if number % 3 == 2 else _passage(random, words)
        answers = () if number % 5 == 4 else tuple(_answer(random, context) for _ in range(1 + number % 2))
        asked = " ".join(str(word) for word in random.choice(WORDS, int(random.integers(1, 6))))
        made.append(QAExample(f"question {number}", asked, context, answers))
    return made


def _passage(random: np.random.Generator, words: int) -> str:
    return " ".join(str(word) for word in random.choice(WORDS, int(random.integers(3, words))))


def _answer(random: np.random.Generator, context: str) -> Answer:
    """One to three words."""
    words = context.split(" ")
    first = int(random.integers(len(words)))
    text = " ".join(words[first : first + int(random.integers(1, 4))])
    return Answer(text, len(" ".join(words[:first])) + bool(first))


def pointing(encoded: Encoded) -> list[NDArray[np.float32]]:
    """Scores by which the labels of every window are its best tokens; windows without an answer score lower."""
    bounds = offsets(reads_of(encoded, np.arange(len(encoded.sequence_offsets) - 1)))[:-1]
    scores = np.zeros((len(encoded.read_tokens), 2), np.float32)
    scores[bounds + encoded.labels[0::2], 0] = 9
    scores[bounds + encoded.labels[1::2], 1] = 9
    return np.split(scores, encoded.example_reads[1:-1])


@cache
def real_tokenizer() -> Any:
    """XLM-R's, as the embedded backbone has it."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from adapterx import places
    from adapterx.backbones import embedded

    core = Tokenizer.from_file(str(embedded.checkpoint(places.cache()) / "tokenizer.json"))
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **roles)  # type: ignore[no-untyped-call]
