"""Bundles trained with every kernel, through Triton's interpreter, end where those of the library do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.predict import predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import Outcome, train
from adapterx.kernels import choice, launch
from adapterx.kernels.choice import NAMES, Name
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.cells import cell, encoded
from tests.kernels.compared import distance
from tests.models import encoder

METHODS: dict[str, MethodSpec] = {
    "lora": Lora(rank=4, alpha=8.0),
    "lora-dropout": Lora(rank=4, alpha=8.0, dropout=0.2, target_modules=("key", "value", "output")),
    "lora-upper": Lora(rank=4, alpha=8.0, layers=(1,)),
    "sequential": Bottleneck(reduction_factor=4.0),
    "double-dropout": Bottleneck(placement="double", reduction_factor=4.0, activation="swish", dropout=0.2),
}
EVERY_WAY = Options(workers=0, lag=2)


def made(
    method: MethodSpec, architecture: str = "xlm-roberta", **changes: Any
) -> tuple[PackedEncoder, list[TrainingCell]]:
    """Three cells, two of which see the same batches, of unequal lengths."""
    with choice.emulated([]):  # with products as on a GPU
        enc = PackedEncoder(encoder(architecture, hidden=32, layers=2, heads=2))
    plain = {"steps": 2, "batch_size": 2, "learning_rate": 1e-2} | changes
    cells = [cell(method, seed=1, **plain), cell(method, seed=2, **plain)]
    return enc, [
        *cells,
        replace(cells[1], name="again", key="again", settings=replace(cells[1].settings, learning_rate=1e-3)),
    ]


def trained(names: Sequence[Name], enc: PackedEncoder, cells: Sequence[TrainingCell]) -> list[Outcome]:
    with choice.emulated(names):
        found = train(enc, cells, options=EVERY_WAY)
        for name in names:
            assert choice.runs(name, torch.device("cpu")), f"{name} failed"
    return found


def assert_alike(mine: Sequence[Outcome], theirs: Sequence[Outcome], bound: float = 1e-4) -> None:
    """Losses and weights within a bound: an AdamW step can turn a rounding of a gradient into more than itself."""
    for one, other in zip(mine, theirs, strict=True):
        assert one.status == other.status
        losses = [torch.tensor([loss for loss, _ in outcome.state.losses]) for outcome in (one, other)]
        assert distance(*losses) < bound
        for rows in ("adapter", "head"):
            assert distance(getattr(one.state, rows).values, getattr(other.state, rows).values) < bound


NOT_LONG = [("lora", "xlm-roberta-xl")]
"""Of XL."""
LONG = (pytest.mark.slow, pytest.mark.long)
BOTH = ("xlm-roberta", "xlm-roberta-xl")


def marks(method: str, architecture: str) -> tuple[pytest.MarkDecorator, ...]:
    """How seldom a bundle is tried."""
    return LONG if architecture.endswith("xl") and (method, architecture) not in NOT_LONG else LONG[:1]


@pytest.mark.parametrize(
    ("method", "architecture"),
    [pytest.param(method, one, marks=marks(method, one)) for method in METHODS for one in BOTH],
)
def test_a_bundle_with_every_kernel_equals_the_library(method: str, architecture: str) -> None:
    enc, cells = made(METHODS[method], architecture)
    assert_alike(trained(NAMES, enc, cells), trained([], enc, cells))


@pytest.mark.parametrize("kept", [False, True], ids=["computed", "kept"])
def test_answers_are_those_of_the_library(kept: bool) -> None:
    """With hidden states below the adapters kept and not; of sequences that are short, and longer than a block."""
    enc, (first, *_) = made(Lora(rank=4, alpha=8.0, layers=(1,)))
    (outcome,) = trained([], enc, [first])
    pool = encoded("pair-classification", examples=12, longest=160)
    launched: list[str] = []
    run = launch.run

    def noted(function: Any, *how: Any) -> None:
        launched.append(function.__name__)
        run(function, *how)

    found = []
    choices: tuple[tuple[Name, ...], ...] = ((), ("attention",))
    for names in choices:
        with choice.emulated(names), patch.object(launch, "run", noted):
            prefix = PrefixCache(enc, 2**30) if kept else None
            (scores,) = predict(enc, [(outcome.trained, first.tasks[0].head)], [pool], prefix)
        found.append(scores)
        assert ("attention_forward" in launched) is bool(names)
    for mine, theirs in zip(found[0][0], found[1][0], strict=True):
        assert torch.allclose(torch.from_numpy(mine), torch.from_numpy(theirs), atol=1e-5)
