"""XTREME's nine tasks: what each is called, in which languages it is scored and by what.

Hu et al. 2020, arXiv 2003.11080; the lists are those of google-research/xtreme, evaluate.py (XTREME_TASK2LANGS,
XTREME_GROUP2TASK, METRIC_FUNCTION).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["labels", "tags", "answers", "pairs", "places"]


@dataclass(frozen=True)
class Task:
    """One of the nine."""

    name: str
    title: str
    folder: str
    """Of its predictions in a submission."""
    metric: str
    """Whose mean over languages is the task's score; of question answering that is (EM + F1) / 2."""
    languages: tuple[str, ...]
    layout: Layout
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the benchmark's files call our labels, where it has another name."""


_NINE = (
    ("xnli", "XNLI", "xnli", "accuracy", "ar bg de el en es fr hi ru sw th tr ur vi zh", "labels"),
    ("paws-x", "PAWS-X", "pawsx", "accuracy", "de en es fr ja ko zh", "labels"),
    (
        *("udpos", "UDPOS", "udpos", "span_f1"),
        "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh",
        "tags",
    ),
    (
        *("pan-x", "PAN-X", "panx", "span_f1"),
        "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr"
        " ur vi yo zh",
        "tags",
    ),
    ("xquad", "XQuAD", "xquad", "squad_mean", "ar de el en es hi ru th tr vi zh", "answers"),
    ("mlqa", "MLQA", "mlqa", "mlqa_mean", "ar de en es hi vi zh", "answers"),
    ("tydiqa", "TyDiQA", "tydiqa", "squad_mean", "ar bn en fi id ko ru sw te", "answers"),
    ("bucc", "BUCC", "bucc2018", "pair_f1", "de fr ru zh", "pairs"),
    (
        *("tatoeba", "Tatoeba", "tatoeba", "retrieval_accuracy"),
        "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi zh",
        "places",
    ),
)
_LABELS = {"paws-x": {"different": "0", "paraphrase": "1"}}

TASKS: Mapping[str, Task] = {
    name: Task(name, title, folder, metric, tuple(codes.split()), layout, _LABELS.get(name, {}))  # type: ignore[arg-type]
    for name, title, folder, metric, codes, layout in _NINE
}
"""By name in the catalog."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "sentence-pair classification": ("xnli", "paws-x"),
    "structured prediction": ("udpos", "pan-x"),
    "question answering": ("xquad", "mlqa", "tydiqa"),
    "retrieval": ("bucc", "tatoeba"),
}
