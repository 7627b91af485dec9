"""Every metric by itself, as an `evaluate.Metric`: on lists as users have them, without a network.

>>> load("mlqa_f1").compute(predictions=["北京"], references=[["北京大学"]], language="zh")
{'mlqa_f1': 0.6666666666666666}

What a run computes is what these compute: they are the metrics of `adapterx.tasks.metrics` with lists for arrays. Only
this module imports `evaluate`, which comes with `pip install 'adapterx[evaluate]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

try:
    import datasets
    import evaluate
except ImportError as error:
    raise ImportError(f"needs the extra: pip install 'adapterx[evaluate]' ({error})") from error

from adapterx.tasks.metrics import metric, scoring, scorings, unit

_TEXT, _NUMBER, _REAL = datasets.Value("string"), datasets.Value("int64"), datasets.Value("float64")
_TEXTS, _NUMBERS = datasets.Sequence(_TEXT), datasets.Sequence(_NUMBER)
_SAYS = {
    "texts": "predictions: a text per item; references: a list of the right texts per item, empty where there is none.",
    "rankings": "references: per query the places of its relevant candidates; predictions: the place of the nearest"
    " candidate, then the rank of each relevant one, counted from 1.",
    "tags": "predictions, references: a list of tags per sentence; all that occur tell how they mark spans (bare"
    " tags, BIO, BIOES, BILOU).",
    "labels": "predictions, references: a label per item, or a list of tags per sentence; texts or whole numbers.",
    "numbers": "predictions, references: a number per item.",
}
_CITATIONS = {
    "squad": "Rajpurkar et al. 2016, arXiv 1606.05250",
    "mlqa": "Lewis et al. 2020, arXiv 1910.07475",
    "span_f1": "Tjong Kim Sang and Buchholz 2000 (conlleval)",
    "pair_f1": "Hu et al. 2020, arXiv 2003.11080",
    "rank_distance": "Elmahdy et al. 2024, arXiv 2408.10536",
}


class EvaluateMetric(evaluate.Metric):  # type: ignore[misc]
    """One of `metrics.scorings()`; `compute` gives its value under its name, in the metric's unit: a share, or ranks.

    Beside predictions and references `compute` takes the `language` of the texts, which the metrics of MLQA need; the
    `task`, where spans are to be those that XTREME finds in its own (`udpos`, `pan-x`); and `unanswerable`, for SQuAD
    2.0's way with right answers of which normalising leaves nothing.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        self._scored = name
        # Items pass through a file. In memory (`keep_in_memory`) datasets 5.0 pickles tables of pyarrow 26 and fails.
        self._scratch = TemporaryDirectory(prefix="adapterx-metric-")
        super().__init__(**{"cache_dir": self._scratch.name, **settings})

    def _info(self) -> evaluate.MetricInfo:
        kind = _kind(self._scored)
        told = unit(self._scored)
        better = f"In {told.within}, {told.better} is better."
        return evaluate.MetricInfo(
            description=f"{self._scored} as adapterx computes it. {better}",
            citation=next((cited for part, cited in _CITATIONS.items() if self._scored.startswith(part)), ""),
            inputs_description=_SAYS[kind],
            features=_features(kind),
        )

    def _compute(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        language: str = "",
        task: str = "",
        unanswerable: bool = False,
    ) -> dict[str, float]:
        kind = _kind(self._scored)
        if kind == "rankings":
            predictions, references = _arrays(predictions), _arrays(references)
        labels: list[str] = []
        if kind in ("labels", "tags"):
            labels, predictions, references = _numbered(predictions, references)
        scorer = metric(self._scored, labels, task, unanswerable)
        statistics = scorer.statistics(references, predictions, language)
        return {self._scored: float(scorer.value(statistics.sum(axis=0)))}


def load(name: str, **settings: Any) -> EvaluateMetric:
    """The metric of that name; ValueError for an unknown one.

    Args:
        settings: of `evaluate.Metric`; several processes that score together share a `cache_dir`, by default it is the
            metric's own and temporary.
    """
    if name not in scorings():
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(scorings())}")
    return EvaluateMetric(name, **settings)


def _kind(name: str) -> str:
    """Which of `_SAYS` tells of a metric's input."""
    answers = {"pairs": "texts"}.get(scoring(name).answers.name, scoring(name).answers.name)
    return "tags" if name == "span_f1" else answers


def _features(kind: str) -> list[datasets.Features]:
    """What may come in; texts are tried first, since a text of digits is no number."""
    if kind == "texts":
        return [datasets.Features({"predictions": _TEXT, "references": _TEXTS})]
    labels = [_TEXT, _TEXTS, _NUMBER, _NUMBERS]
    both = {"rankings": [_NUMBERS], "tags": [_TEXTS], "labels": labels, "numbers": [_REAL]}[kind]
    return [datasets.Features({"predictions": one, "references": one}) for one in both]


def _arrays(items: Sequence[Sequence[int]]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    return [np.array(item, dtype=np.int64) for item in items]


def _numbered(predictions: Sequence[Any], references: Sequence[Any]) -> tuple[list[str], list[Any], list[Any]]:
    """The labels that occur, and both lists with their numbers for them; of single labels lists of one."""
    both = [[item if isinstance(item, list) else [item] for item in side] for side in (predictions, references)]
    labels = sorted({label for side in both for item in side for label in item})
    number = {label: at for at, label in enumerate(labels)}
    said, right = (_arrays([[number[label] for label in item] for item in side]) for side in both)
    return labels, said, right
