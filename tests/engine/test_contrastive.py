"""Learning to tell candidates apart: the same alone, bundled, and in parts of a batch whose losses are one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.head import Head, VectorComparison
from adapterx.methods.lora.spec import Lora
from adapterx.tasks.encoded import Encoded, offsets
from tests.cells import cell, settings
from tests.engine.trainings import ARCHITECTURES, assert_same, losses, mixed, packed

METHODS: dict[str, MethodSpec] = {
    "lora": Lora(rank=4, alpha=8.0),
    "dropout": Lora(rank=2, alpha=4.0, dropout=0.2, layers=(1, 2)),
    "bottleneck": Bottleneck(reduction_factor=4.0),
}


def pairs(examples: int = 40, seed: int = 0, wrong: int = 1) -> Encoded:
    """Queries and candidates that share a token, and as many as `wrong` candidates that share none."""
    random = np.random.default_rng(seed)
    sequences: list[np.ndarray[Any, Any]] = []
    counts = random.integers(0, wrong + 1, size=examples)
    for example in range(examples):
        key = 20 + example % 60
        bodies = [key, key, *(81 + example % 17 for _ in range(counts[example]))]
        for first in bodies:
            body = random.integers(100, 119, size=random.integers(1, 9))
            sequences.append(np.array([0, first, *body, 2], np.int32))
    per_example = 2 + counts
    bounds, of_example = offsets([len(one) for one in sequences]), offsets(per_example)
    tokens = np.concatenate(sequences)
    return Encoded(
        ids=tuple(f"pair{number}" for number in range(examples)),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=of_example,
        read_tokens=np.arange(len(tokens), dtype=np.int64),
        example_reads=bounds[of_example],
        labels=np.arange(int((1 + counts).sum()), dtype=np.int64) % 50,
        example_labels=offsets(1 + counts),
    )


def retriever(
    method: MethodSpec,
    seed: int = 1,
    data_seed: int = 0,
    pooling: Literal["mean", "cls"] = "mean",
    temperature: float = 0.05,
    **changes: Any,
) -> TrainingCell:
    """A cell that learns pairs."""
    head = Head("pairs", "contrastive", 0, VectorComparison(temperature, pooling))
    task = TaskData(head, None, (Pool("en", pairs(seed=data_seed)),))
    chosen = settings(**{"steps": 6, "learning_rate": 1e-2, **changes})
    return TrainingCell(f"pairs{seed}", f"pairs {seed} {data_seed}", seed, method, chosen, (task,), np.ones(1))


def company(method: MethodSpec) -> list[TrainingCell]:
    several = mixed(method, steps=6, learning_rate=1e-2)
    own = retriever(method)
    both = replace(several, key="both", tasks=(*several.tasks, *own.tasks), probabilities=np.full(4, 0.25))
    return [
        own,
        # Of rows that hardly differ, most of a gradient is rounding, which Adam makes steps of the full size.
        retriever(method, seed=2, data_seed=3, pooling="cls", temperature=0.1, batch_size=5, learning_rate=1e-4),
        both,
        cell(method, seed=5, steps=6, learning_rate=1e-2),
    ]


WAYS = {"as-is": Options(workers=0), "aligned": Options(aligned=True, lag=4, graphs=False)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_cells_in_a_bundle_equal_the_cells_alone(method: MethodSpec, architecture: str) -> None:
    enc, cells = packed(architecture), company(method)
    expected = [outcome for one in cells for outcome in train(enc, [one], options=WAYS["as-is"])]
    for options in WAYS.values():
        assert_same(train(enc, cells, options=options), expected)


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_batch_in_parts_is_learnt_as_a_whole(method: MethodSpec, parts: int) -> None:
    enc, cells = packed(), company(method)
    expected = train(enc, cells, options=WAYS["as-is"])
    assert_same(train(enc, cells, options=WAYS["as-is"], parts=parts), expected)


def test_parts_are_told_of_each_other() -> None:
    """Each part by itself would be an easier task: fewer candidates to be told from."""

    def first_loss(parts: int) -> float:
        enc, one = packed(), retriever(METHODS["lora"], batch_size=16)
        own = Bundle(enc, [one], [CellState.start(one, shape_of(enc))], WAYS["as-is"], parts=parts)
        own.step()
        ((loss,),) = own.book()
        return loss

    assert first_loss(4) == pytest.approx(first_loss(1), rel=1e-5)
    assert first_loss(1) > np.log(8), "sixteen candidates and more, of which an untrained encoder knows little"


def test_candidates_are_told_apart_in_the_end() -> None:
    enc = packed()
    (outcome,) = train(enc, [retriever(METHODS["lora"], steps=60, batch_size=20)], options=WAYS["as-is"])
    curve = losses(outcome)
    assert np.mean(curve[-10:]) < 0.5 * np.mean(curve[:10])
    assert not any(name.startswith("head.") for name in outcome.trained.heads), "there is no head"


def test_the_encoder_stays_as_it_is(architecture: str = "xlm-roberta") -> None:
    enc: PackedEncoder = packed(architecture)
    before = {name: tensor.clone() for name, tensor in enc.weights().items()}
    train(enc, [retriever(METHODS["bottleneck"])], options=WAYS["as-is"], parts=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in enc.weights().items())
