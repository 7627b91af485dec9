"""What is rehearsed: methods, tasks and precisions, on both architectures.

Products of frozen weights, heads and adapters do not know of each other, so not every triple is tried but every pair:
each method in each precision and on each task, each task in each precision. Of XLM-R-XL, whose layers have their norms
elsewhere and all else alike, each method in the usual precisions, and LoRA in all and on all tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from adapterx.backbones.precisions import PRECISIONS as ALL_PRECISIONS
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe

LAYERS = 3
PRECISIONS = {name: one for name, one in ALL_PRECISIONS.items() if not one.needs}
"""All but those of bitsandbytes, whose weights are a kind of tensor that cannot be fake."""
ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
_MEMBER = Bottleneck(reduction_factor=4.0)

METHODS: dict[str, MethodSpec] = {
    "lora": Lora(rank=4, alpha=8.0),
    "lora-everywhere": Lora(
        rank=4, target_modules=("query", "key", "value", "attention_output", "intermediate", "output")
    ),
    "lora-top": Lora(rank=4, layers=(LAYERS - 1,)),
    "lora-dropout": Lora(rank=4, dropout=0.1),
    "lora-adapter-drop": Lora(rank=4, adapter_drop=2),
    "sequential": _MEMBER,
    "double": Bottleneck(placement="double", reduction_factor=4.0, activation="swish"),
    "parallel": Bottleneck(placement="parallel", reduction_factor=4.0, scaling=4.0),
    "invertible": Bottleneck(reduction_factor=4.0, invertible="nice"),
    "ia3": Ia3(),
    "fusion": Fusion(members=(_MEMBER,) * 3),
    "fusion-low-rank": Fusion(members=(_MEMBER,) * 3, value_rank=4),
    "head": Probe(),
    "full": Full(),
    "full-checkpointing": Full(gradient_checkpointing=True),
}
TASKS = {
    "classification": "pair-classification",
    "tagging": "tagging",
    "choice": "multiple-choice",
    "regression": "regression",
    "questions": "extractive-qa",
    "text": "masked-lm",
}
"""By the rehearsal's names the kinds of task that are trained; retrieval is evaluated alone."""
_USUAL = ("bfloat16", "float32")

Work = Literal["train", "predict", "embed"]
_KEPT: tuple[Work, ...] = ("train", "predict", "embed")
"""What is done with hidden states that are kept."""


@dataclass(frozen=True)
class Case:
    """One thing to rehearse."""

    work: Work
    architecture: str
    precision: str
    method: str
    task: str
    kept: bool = False
    """Whether hidden states below the lowest adapter are kept."""

    @property
    def name(self) -> str:
        """As tests are called."""
        parts = (self.work, self.architecture, self.precision, self.method, self.task, "kept" if self.kept else "")
        return " ".join(part for part in parts if part)

    @property
    def spec(self) -> MethodSpec:
        """The method."""
        return METHODS[self.method]


def cases(architecture: str) -> list[Case]:
    """All of an architecture."""
    return list(dict.fromkeys(_pairs(architecture)))


def _pairs(architecture: str) -> Iterator[Case]:
    whole = architecture == ARCHITECTURES[0]
    for method, spec in METHODS.items():
        for precision, number in PRECISIONS.items():
            if spec.trains_backbone and not number.trainable:
                continue
            if whole or method == "lora" or precision in _USUAL:
                yield Case("train", architecture, precision, method, "classification")
            if precision == "bfloat16" or method in ("lora", "full"):
                yield Case("predict", architecture, precision, method, "classification")
        if whole or method in ("lora", "sequential"):
            yield from (Case("train", architecture, "bfloat16", method, task) for task in TASKS)
    for task in TASKS:
        if whole:
            yield from (Case("train", architecture, precision, "lora", task) for precision in PRECISIONS)
        if task != "text":
            yield from (Case("predict", architecture, precision, "lora", task) for precision in _USUAL)
    for precision in _USUAL:
        for work in _KEPT:
            yield Case(work, architecture, precision, "lora-top", "classification", kept=True)
        yield from (Case("embed", architecture, precision, method, "classification") for method in ("head", "full"))


def quick() -> list[Case]:
    """What is rehearsed every day: the common ways, on one architecture."""
    wanted = [
        ("train", "bfloat16", "lora", "classification"),
        ("train", "bfloat16", "sequential", "tagging"),
        ("train", "float32", "lora", "choice"),
        ("train", "bfloat16", "full", "classification"),
        ("train", "int8-rows", "lora", "classification"),
        ("train", "fp8", "lora", "classification"),
        ("train", "bfloat16", "fusion", "classification"),
        ("train", "bfloat16", "ia3", "classification"),
        ("train", "bfloat16", "lora", "questions"),
        ("predict", "bfloat16", "lora", "classification"),
        ("predict", "bfloat16", "lora", "choice"),
        ("predict", "bfloat16", "full", "classification"),
    ]
    every = cases("xlm-roberta")
    return [one for one in every if (one.work, one.precision, one.method, one.task) in wanted and not one.kept]
