"""Trainings that differ in everything cells of one bundle may differ in, and what to compare of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.train import Outcome, train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.head import Head
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, parameters
from adapterx.tasks.metrics import Accuracy
from adapterx.tasks.sampling import pool_probabilities
from tests.cells import cell, encoded
from tests.models import encoder

STEPS = 6
ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")


@dataclass(frozen=True)
class Case:
    """A method, and whether it sits on a frozen adapter."""

    method: MethodSpec
    stacked: bool = False


CASES = {
    "lora": Case(Lora(rank=4, alpha=8.0)),
    "lora-dropout-top": Case(
        Lora(rank=2, alpha=4.0, dropout=0.2, target_modules=("key", "attention_output", "output"), layers=(2,))
    ),
    "lora-stacked": Case(Lora(rank=2, alpha=4.0, dropout=0.3, layers=(1, 2)), stacked=True),
    "sequential-dropout": Case(Bottleneck(reduction_factor=4.0, dropout=0.3)),
    "double-upper": Case(Bottleneck(placement="double", reduction_factor=4.0, activation="swish", layers=(1, 2))),
    "ia3": Case(Ia3()),
    "ia3-stacked-upper": Case(
        Ia3(
            target_modules=("query", "value", "attention_output"),
            feedforward_modules=("attention_output",),
            layers=(1, 2),
        ),
        stacked=True,
    ),
    "lora-adapter-drop": Case(Lora(rank=2, adapter_drop=2)),
    "double-adapter-drop": Case(Bottleneck(placement="double", reduction_factor=4.0, adapter_drop=2)),
    "fusion-upper": Case(
        Fusion(members=(Bottleneck(placement="double", reduction_factor=4.0, activation="swish", layers=(1, 2)),) * 2)
    ),
    "parallel-stacked-top": Case(Bottleneck(placement="parallel", reduction_factor=4.0, layers=(2,)), stacked=True),
}


def packed(architecture: str = "xlm-roberta", **sizes: int) -> PackedEncoder:
    return PackedEncoder(encoder(architecture, **sizes))


def slot(method: MethodSpec, seed: int, enc: PackedEncoder) -> dict[str, Tensor]:
    """The tensors of a trained adapter, so to speak: none of them is zero."""
    generator = torch.Generator().manual_seed(seed)
    wanted = parameters(method, shape_of(enc))
    return {one.name: torch.randn(one.shape, generator=generator) * 0.1 for one in wanted}


def like(cell: TrainingCell, name: str, **changes: Any) -> TrainingCell:
    """A training on the same batches with other settings."""
    return replace(cell, name=name, key=name, settings=replace(cell.settings, **changes))


def mixed(method: MethodSpec, seed: int = 4, **changes: Any) -> TrainingCell:
    """Two tasks of different formats, one of them in two languages."""
    pools = tuple(Pool(language, encoded("pair-classification", seed=at)) for at, language in enumerate(("en", "de")))
    tasks = (
        TaskData(Head("pairs", "pair-classification", 3), Accuracy(), pools),
        TaskData(Head("tags", "tagging", 4), Accuracy(), (Pool("en", encoded("tagging", labels=4)),)),
    )
    one = cell(method, seed=seed, **changes)
    return replace(one, name="mixed", key="mixed", tasks=tasks, probabilities=pool_probabilities([40, 40, 40]))


def company(case: Case, enc: PackedEncoder, steps: int = STEPS, several: bool = True) -> list[TrainingCell]:
    """Two cells that see the same batches, and cells of other formats, batch sizes and lengths.

    Args:
        several: with one that has several tasks.
    """
    method = case.method
    first = cell(method, seed=1, steps=steps, learning_rate=1e-2)
    cells = [
        first,
        like(first, "twin", learning_rate=3e-3, weight_decay=0.0),
        cell(method, seed=2, steps=steps - 2, batch_size=3, learning_rate=1e-2),
        cell(method, seed=1, steps=steps, format_="multiple-choice", batch_size=5, learning_rate=1e-2),
        cell(method, seed=3, steps=steps, format_="tagging", learning_rate=1e-2),
    ]
    cells = [replace(one, key=f"{place} {one.key}") for place, one in enumerate(cells)]
    if several:
        cells.append(mixed(method, steps=steps, learning_rate=1e-2))
    if case.stacked:
        cells = [replace(one, lower=(Slot(method, slot(method, 50 + at, enc)),)) for at, one in enumerate(cells)]
    if isinstance(method, Fusion):
        cells = [replace(one, lower=fused(method, 60 + 2 * at, enc)) for at, one in enumerate(cells)]
    return cells


def fused(method: Fusion, seed: int, enc: PackedEncoder) -> tuple[Slot, ...]:
    """The members of a fusion."""
    return tuple(Slot(member, slot(member, seed + at, enc)) for at, member in enumerate(method.members))


@cache
def alone(case: str, architecture: str) -> tuple[PackedEncoder, list[TrainingCell], list[Outcome]]:
    """The company, each of them trained alone."""
    enc = packed(architecture)
    cells = company(CASES[case], enc)
    return enc, cells, [train(enc, [one])[0] for one in cells]


def losses(outcome: Outcome) -> list[float]:
    return [loss for loss, _ in outcome.state.losses]


def assert_same(found: Sequence[Outcome], expected: Sequence[Outcome], tolerance: float = 2e-6) -> None:
    """Same ends, and losses and parameters within rounding."""
    for one, other in zip(found, expected, strict=True):
        assert (one.status, one.state.step) == (other.status, other.state.step)
        assert (one.state.examples, one.state.tokens) == (other.state.examples, other.state.tokens)
        np.testing.assert_allclose(losses(one), losses(other), atol=tolerance, rtol=0)
        # Adam turns the rounding of a gradient that is zero into steps of the full size: few numbers may differ.
        difference = (one.state.adapter.values - other.state.adapter.values).abs()
        assert difference.quantile(0.99) < 100 * tolerance
