"""How often one answer is given to everything of a language, beside what would be right: the plainest sign that a
training taught nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.wording import shown

FEWEST = 20
"""Answers in all languages together from which on it is no chance that they are alike: an adapter that gives one of two
labels nine times in ten does so for ten items in one case of three, for twenty in one of eight."""


@dataclass(frozen=True)
class Answers:
    """What is said in one language, and what would be right."""

    always: str
    """What is done where the commonest answer is the only one: answers 'same' to everything."""
    share: float
    """Of the answers that are the commonest; of labels, those of all items together."""
    distinct: bool
    """Whether there are several among the answers."""
    right: str
    """The commonest of the right answers, of labels only."""
    right_share: float
    varied: bool
    """Whether there are several among the right answers; where there are not, one answer to everything is right."""
    items: int
    entropy: float | None = None
    """In nats, of the right labels: the loss of guessing by how frequent they are; None where answers are no labels."""

    @property
    def constant(self) -> bool:
        """Whether everything is answered alike that should not be."""
        return self.varied and not self.distinct


def of_labels(
    gold: Sequence[NDArray[np.int64]], prediction: Sequence[NDArray[np.int64]], names: Sequence[str]
) -> Answers:
    """Answers that are labels of items, or of their words."""
    said, right = (np.unique(np.concatenate(labels), return_counts=True) for labels in (prediction, gold))
    most = [int(counts.argmax()) for _, counts in (said, right)]
    shares = [float(counts[at] / counts.sum()) for (_, counts), at in zip((said, right), most, strict=True)]
    commonest, best = (names[int(labels[at])] for (labels, _), at in zip((said, right), most, strict=True))
    return Answers(
        f"answers {shown(commonest)} to everything",
        shares[0],
        len(said[0]) > 1,
        best,
        shares[1],
        len(right[0]) > 1,
        len(gold),
        entropy(right[1]),
    )


def of_texts(gold: Sequence[Sequence[str]], prediction: Sequence[str]) -> Answers:
    """Answers that are texts, each right if it is among the item's; no text where there should be none."""
    _, right_share, varied = _commonest(tuple(texts) for texts in gold)
    said, share, distinct = _commonest(prediction)
    told = f"answers {shown(said)} to everything" if said else "gives no answer to anything"
    return Answers(told, share, distinct, "", right_share, varied, len(gold))


def of_numbers(gold: Sequence[float], prediction: Sequence[float]) -> Answers:
    """Answers that are numbers, alike where they differ by less than rounding does."""
    said = np.asarray(prediction, np.float64)
    near = np.abs(said - np.median(said)) <= 1e-5 * max(1.0, float(np.abs(said).max()))
    _, right_share, varied = _commonest(gold)
    told = f"answers {np.median(said):.3g} to everything"
    return Answers(told, float(near.mean()), not bool(near.all()), "", right_share, varied, len(gold))


def of_rankings(
    ids: Sequence[str],
    gold: Sequence[NDArray[np.int64]],
    prediction: Sequence[NDArray[np.int64]],
    languages: Collection[str],
) -> Answers:
    """Answers that are rankings of candidates, the nearest one first.

    Where queries ask in several of the evaluated languages in turn (`id@language`), candidates of each are numbered
    anew, and one candidate of each is one answer.
    """
    marks = [id.rpartition("@")[2] if "@" in id else "" for id in ids]
    if not set(marks) <= set(languages):
        marks = [""] * len(ids)
    parts: dict[str, list[int]] = {}
    for place, mark in enumerate(marks):
        parts.setdefault(mark, []).append(place)
    found = [_commonest(int(prediction[place][0]) for place in places) for places in parts.values()]
    wanted = [_commonest(tuple(gold[place].tolist()) for place in places) for places in parts.values()]
    sizes = [len(places) for places in parts.values()]
    share, right = (float(np.average([one[1] for one in part], weights=sizes)) for part in (found, wanted))
    distinct, varied = (any(one[2] for one in part) for part in (found, wanted))
    return Answers("finds the same candidate for every query", share, distinct, "", right, varied, len(ids))


def entropy(counts: NDArray[np.int64]) -> float:
    """In nats, of the distribution that these counts are of."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0


def told(constant: Mapping[str, Answers], judged: int) -> str:
    """What a cell says to everything, and where: answers 'same' to everything in de, fr (2 of 10 languages)."""
    by_answer: dict[str, list[str]] = {}
    for language, answers in constant.items():
        by_answer.setdefault(answers.always, []).append(language)
    parts = [f"{always} in {', '.join(languages)}" for always, languages in by_answer.items()]
    return f"{'; '.join(parts)} ({len(constant)} of {judged} language{'' if judged == 1 else 's'})"


def single(items: int, split: str, languages: Sequence[str], label: str) -> str:
    """That all items have one label: all 200 test items in en have the label 'entailment'."""
    each = " each" if len(languages) > 1 else ""
    return (
        f"all {items:,} {split} items in {', '.join(languages)}{each} have the label {shown(label)}: nothing can be"
        " told apart by them"
    )


def collapsed(answers: Mapping[str, Answers]) -> str | None:
    """Why these answers are no result, by language, if they are none: constant in every language that can tell.

    Fewer than FEWEST answers may be alike by chance: that is told, and is a result.
    """
    judged = {language: one for language, one in answers.items() if one.varied}
    if not judged or not all(one.constant for one in judged.values()):
        return None
    if sum(one.items for one in judged.values()) < FEWEST:
        return None
    return told(judged, len(judged))


def _commonest(values: Iterable[Hashable]) -> tuple[Any, float, bool]:
    """The most frequent value, its share, and whether there are others."""
    counts = Counter(values)
    ((value, count),) = counts.most_common(1)
    return value, count / counts.total(), len(counts) > 1
