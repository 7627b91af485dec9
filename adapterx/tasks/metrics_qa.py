"""Exact match and F1 of answers in words, as SQuAD and MLQA are scored.

SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250) normalises in the English way, and so do XQuAD and TyDiQA in every
language; MLQA (Lewis et al. 2020, arXiv 1910.07475; facebookresearch/MLQA, mlqa_evaluation_v1.py) has its own way for
each of its languages. An answer counts with the best of its right answers. F1 of two answers without a common token is
0, be it that both are empty. A question without an answer (SQuAD 2.0) is right if nothing is left of the prediction.
SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822; its evaluate-v2.0.py) drops right answers of which nothing is left,
"The" or "?" say, and a question that has no others counts as one without an answer; 1.1 keeps them.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": "ال",  # the article is a prefix, and goes wherever these letters stand, within a word too
    "zh": None,
}
"""By language of MLQA, what its script takes for an article."""
MLQA_LANGUAGES = tuple(_ARTICLES)
_ALONE = re.compile(r"[\u4e00-\u9fa5]")
"""Characters that are tokens by themselves in MLQA's Chinese."""

Normalise = Callable[[str], str]
"""An answer as it is compared: tokens separated by single spaces."""


def squad(text: str) -> str:
    """The English way: lower case, no ASCII punctuation, no articles."""
    bare = text.lower().translate(_ascii_punctuation())
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def mlqa(text: str, language: str) -> str:
    """MLQA's way in one of its languages: lower case, no Unicode punctuation, no articles; Chinese by characters."""
    bare = text.lower().translate(_punctuation())
    articles = _ARTICLES[language]
    if articles is not None:
        bare = re.sub(articles, " ", bare)
    if language == "zh":
        bare = _ALONE.sub(lambda found: f" {found[0]} ", bare)
    return " ".join(bare.split())


def exact(prediction: str, right: str) -> float:
    """Whether two normalised answers are the same."""
    return float(prediction == right)


def f1(prediction: str, right: str) -> float:
    """Harmonic mean of precision and recall of the tokens of a normalised answer."""
    said, wanted = prediction.split(), right.split()
    common = sum((Counter(said) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class AnswerScore:
    """`{squad,mlqa}_{f1,em,mean}`; the mean of both is XTREME's score of a task."""

    name: str
    unanswerable: bool = False
    """Whether right answers of which nothing is left are dropped, as SQuAD 2.0's script does, and not MLQA's."""

    def statistics(
        self, gold: Sequence[Sequence[str]], prediction: Sequence[str], language: str = ""
    ) -> NDArray[np.float64]:
        """Columns: score, 1."""
        normalise = self._normalise(language)
        found = [self._score(normalise, right, said) for right, said in zip(gold, prediction, strict=True)]
        return np.stack([np.array(found, np.float64), np.ones(len(found))], axis=1)

    def value(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score / items."""
        return np.divide(sums[..., 0], sums[..., 1], out=np.zeros_like(sums[..., 0]), where=sums[..., 1] != 0)

    def plainest(self, gold: Sequence[Sequence[str]]) -> list[str]:
        """No answer to anything."""
        return [""] * len(gold)

    def _normalise(self, language: str) -> Normalise:
        if self.name.startswith("squad"):
            return squad
        if language not in _ARTICLES:
            raise ValueError(
                f"{self.name} knows {', '.join(_ARTICLES)}, not '{language}'; squad metrics know any language"
            )
        return lambda text: mlqa(text, language)

    def _score(self, normalise: Normalise, right: Sequence[str], said: str) -> float:
        answer, wanted = normalise(said), [normalise(one) for one in right]
        if self.unanswerable and self.name.startswith("squad"):
            wanted = [one for one in wanted if one]
        if not wanted:
            return exact(answer, "")
        match, overlap = max(exact(answer, one) for one in wanted), max(f1(answer, one) for one in wanted)
        return {"em": match, "f1": overlap, "mean": (match + overlap) / 2}[self.name.partition("_")[2]]


NAMES = tuple(f"{way}_{score}" for way in ("squad", "mlqa") for score in ("f1", "em", "mean"))


@cache
def _ascii_punctuation() -> dict[int, None]:
    return dict.fromkeys(map(ord, string.punctuation))


@cache
def _punctuation() -> dict[int, None]:
    """ASCII's, and every character of the categories P of Unicode."""
    found = (code for code in range(sys.maxunicode) if unicodedata.category(chr(code)).startswith("P"))
    return dict.fromkeys(found) | _ascii_punctuation()
