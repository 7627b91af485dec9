"""Metrics as functions of summed per-item statistics, so that a score on other items is another sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from adapterx.plugins import Plugin, PluginError, plugins
from adapterx.tasks import metrics_qa, metrics_regression, metrics_retrieval, tag_schemes
from adapterx.tasks.answers import LABELS, NUMBERS, PAIRS, RANKINGS, TEXTS, AnswerType
from adapterx.tasks.tag_schemes import OUTSIDE, Scheme, SchemeError

Labels = Sequence[NDArray[np.int64]]
Array = NDArray[np.float64]

_AS_XTREME = ("udpos", "pan-x")
"""Tasks whose published spans are those of seqeval 0.0.12, by name, whatever their tags look like."""


@dataclass(frozen=True)
class Unit:
    """In what a metric's values are told."""

    factor: int
    """Of a value as it is shown."""
    words: str
    better: Literal["higher", "lower"] = "higher"
    within: str = "[0, 1]"
    """Between what values themselves lie."""


SHARE = Unit(100, "in per cent")
RANKS = Unit(1, "in ranks, lower is better", "lower", "ranks")
CORRELATION = Unit(100, "times 100", within="[-1, 1]")


@dataclass(frozen=True)
class ScoredTask:
    """A task, as far as its metrics depend on it."""

    labels: Sequence[str] = ()
    task: str = ""
    """Its name; XTREME's tagging tasks are read as XTREME was scored."""
    unanswerable: bool = False
    """Whether some questions have no answer, as SQuAD 2.0's."""


@dataclass(frozen=True)
class Scoring:
    """A metric as tasks name it."""

    name: str
    answers: AnswerType
    """What it scores."""
    make: Callable[[ScoredTask], Metric]
    """The metric for a task; raises ValueError for labels that it cannot read."""
    unit: Unit = SHARE


def unit(name: str) -> Unit:
    """The unit of a metric; of none, where nothing was scored, the usual one."""
    return scoring(name).unit if name else SHARE


class Metric(Protocol):
    """A score of any set of items, from sums over those items; in [0, 1] unless its `unit` is another."""

    @property
    def name(self) -> str:
        """The name a task specification uses."""
        ...

    def statistics(self, gold: Sequence[Any], prediction: Sequence[Any], language: str = "") -> Array:
        """Per-item statistics, (items, s), of n gold and n predicted label arrays of equal lengths.

        Of extractive QA, of n collections of right answers and n predicted ones, texts in a language. Of retrieval, as
        `metrics_retrieval` says.
        """
        ...

    def value(self, sums: Array) -> Array:
        """The score, (...), of statistics summed over items, (..., s). No evidence at all scores 0."""
        ...

    def plainest(self, gold: Sequence[Any]) -> Sequence[Any]:
        """What answers whoever gives one answer to everything, the best one by the right answers."""
        ...


class Accuracy:
    """Right labels among all labels: items with one label weigh 1, sentences weigh by their words."""

    name = "accuracy"

    def statistics(self, gold: Labels, prediction: Labels, language: str = "") -> Array:
        """Columns: right labels, labels."""
        flat_gold, flat_prediction, lengths = _flatten(gold, prediction)
        item = np.repeat(np.arange(len(lengths)), lengths)
        right = np.bincount(item[flat_gold == flat_prediction], minlength=len(lengths))
        return np.stack([right, lengths], axis=1).astype(np.float64)

    def value(self, sums: Array) -> Array:
        """Right labels / labels."""
        return _ratio(sums[..., 0], sums[..., 1])

    def plainest(self, gold: Sequence[Any]) -> Sequence[Any]:
        """The most frequent label everywhere."""
        return _most_frequent(gold)


class SpanF1:
    """Micro-averaged F1 of labelled spans, with the spans of seqeval's default mode.

    On BIO tags it equals `seqeval.metrics.f1_score` (CoNLL-2000's conlleval rules: an I- that nothing precedes opens
    a span). Adjacent words with the same bare tag are a span. Tags written in another way are translated first.
    """

    name = "span_f1"

    def __init__(self, scheme: Scheme) -> None:
        known = {type_: index for index, type_ in enumerate(dict.fromkeys(scheme.types))}
        self._outside = len(scheme.places)  # one more label, which stands between items
        self._place = np.array([ord(place) for place in (*scheme.places, OUTSIDE)])
        self._type = np.array([*(known[type_] for type_ in scheme.types), -1])

    def statistics(self, gold: Labels, prediction: Labels, language: str = "") -> Array:
        """Columns: spans in both, predicted spans, gold spans."""
        _, _, lengths = _flatten(gold, prediction)
        gold_end, gold_begin, gold_type = self._spans(gold)
        end, begin, type_ = self._spans(prediction)
        both = gold_end & end & (gold_begin == begin) & (gold_type == type_)
        item = np.repeat(np.arange(len(lengths)), lengths + 1)
        counts = [np.bincount(item[which], minlength=len(lengths)) for which in (both, end, gold_end)]
        return np.stack(counts, axis=1).astype(np.float64)

    def value(self, sums: Array) -> Array:
        """2 · both / (predicted + gold)."""
        return _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])

    def plainest(self, gold: Sequence[Any]) -> Sequence[Any]:
        """The most frequent label everywhere."""
        return _most_frequent(gold)

    def _spans(self, items: Labels) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Where a span has just ended, with that span's first position and type there.

        All arrays run over the items laid end to end, each followed by one outside tag that closes its last span.
        """
        between = np.array([self._outside])
        flat = np.concatenate([between, *(part for item in items for part in (item, between))])
        place, type_ = self._place[flat], self._type[flat]
        before, now = place[:-1], place[1:]
        changed = type_[:-1] != type_[1:]
        outside = ord(OUTSIDE)
        opens = (now == ord("B")) | (now == ord("S")) | ((now != outside) & changed)
        opens |= np.isin(before, [ord(c) for c in "ESO"]) & np.isin(now, [ord(c) for c in "EI"])
        ends = (before == ord("E")) | (before == ord("S")) | ((before != outside) & changed)
        ends |= np.isin(before, [ord(c) for c in "BI"]) & np.isin(now, [ord(c) for c in "BSO"])
        position = np.arange(len(now))
        last_open = np.maximum.accumulate(np.where(opens, position, 0))
        return ends, np.concatenate([[0], last_open[:-1]]), type_[:-1]


def _span_f1(of: ScoredTask) -> SpanF1:
    return SpanF1(tag_schemes.seqeval_0_0_12(of.labels) if of.task in _AS_XTREME else tag_schemes.scheme(of.labels))


def _answer_score(name: str) -> Scoring:
    return Scoring(name, TEXTS, lambda of: metrics_qa.AnswerScore(name, of.unanswerable))


def _ranking_score(name: str) -> Scoring:
    return Scoring(
        name, RANKINGS, lambda of: metrics_retrieval.RankingScore(name), RANKS if name == "rank_distance" else SHARE
    )


def _correlation(name: str) -> Scoring:
    return Scoring(name, NUMBERS, lambda of: metrics_regression.Correlation(name), CORRELATION)


BUILT_IN = (
    Scoring("accuracy", LABELS, lambda of: Accuracy()),
    Scoring("span_f1", LABELS, _span_f1),
    *map(_answer_score, metrics_qa.NAMES),
    *map(_ranking_score, metrics_retrieval.RANKING_NAMES),
    Scoring("pair_f1", PAIRS, lambda of: metrics_retrieval.PairF1()),
    *map(_correlation, metrics_regression.NAMES),
)
"""Metrics that adapterx comes with, in the order in which messages list them."""


@cache
def _added() -> tuple[Plugin, ...]:
    """What installed packages add under `adapterx.metrics`; loaded when metrics are first asked for."""
    return plugins("adapterx.metrics", [one.name for one in BUILT_IN])


def _checked(plugin: Plugin) -> Scoring:
    """The metric of an entry point; PluginError for anything else."""
    found = plugin.loaded
    if not isinstance(found, Scoring) or found.name != plugin.name:
        raise PluginError(
            f"{plugin.package} adds the metric '{plugin.name}', which is no adapterx.tasks.metrics.Scoring of that"
            " name: upgrade or uninstall the package"
        )
    return found


@cache
def scorings() -> Mapping[str, Scoring]:
    """All metrics by name, those of installed packages last. Raises PluginError for one that cannot be used."""
    return {one.name: one for one in (*BUILT_IN, *map(_checked, _added()))}


@cache
def packages() -> Mapping[str, str]:
    """Name and version of the package, of the metrics that another package adds: part of the identity of scores."""
    return {one.name: one.package for one in _added()}


def scoring(name: str) -> Scoring:
    """The metric of that name, for any task. Raises ValueError for an unknown one."""
    found = scorings().get(name)
    if found is None:
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(scorings())}")
    return found


def metric(name: str, labels: Sequence[str], task: str = "", unanswerable: bool = False) -> Metric:
    """The metric of that name for a task with these labels; ValueError for an unknown name, or unknown tags.

    Args:
        task: as of `ScoredTask`, like `unanswerable`.
    """
    return scoring(name).make(ScoredTask(labels, task, unanswerable))


def span_reading(labels: Sequence[str], task: str = "") -> str | None:
    """The scheme by which a task's tags are read, where seqeval 0.0.12 would find other spans in them; else None."""
    if task in _AS_XTREME:
        return None
    try:
        found = tag_schemes.scheme(labels)
    except SchemeError:
        return None
    other = tag_schemes.seqeval_0_0_12(labels)
    same = all(
        (place, type_) == before or place == before[0] == OUTSIDE
        for place, type_, before in zip(
            found.places, found.types, zip(other.places, other.types, strict=True), strict=True
        )
    )
    return None if same else found.name


def majority_baseline(scorer: Metric, gold: Sequence[Any], language: str = "") -> float:
    """Score of answering the most frequent gold label everywhere (the smallest one among equals).

    Where answers are texts, of giving none; where candidates are ranked, of leaving them in their own order.
    """
    return float(scorer.value(scorer.statistics(gold, scorer.plainest(gold), language).sum(axis=0)))


def _most_frequent(gold: Labels) -> list[NDArray[np.int64]]:
    answer = np.bincount(np.concatenate(list(gold))).argmax()
    return [np.full_like(item, answer) for item in gold]


def _flatten(gold: Labels, prediction: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(item) for item in gold], dtype=np.int64)
    if len(gold) != len(prediction) or any(len(a) != len(b) for a, b in zip(gold, prediction, strict=True)):
        raise ValueError("gold and predicted labels differ in number")
    if not len(gold):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), lengths
    return np.concatenate(list(gold)), np.concatenate(list(prediction)), lengths


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)
