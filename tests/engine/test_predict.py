"""Scores of many cells in one sweep are those of each alone, and what they share is computed once."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from adapterx.backbones.layout import PackedBatch
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import passes as passes_module
from adapterx.engine import predict as predict_module
from adapterx.engine.batches import Batch
from adapterx.engine.collate import collate
from adapterx.engine.predict import TrainedCell, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.head import Head
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from tests.cells import cell, encoded
from tests.engine.trainings import ARCHITECTURES, packed, slot

METHODS: list[tuple[MethodSpec, int]] = [
    (Lora(rank=2, layers=(2,)), 1),
    (Lora(rank=2, target_modules=("output",), layers=(1, 2)), 2),
    (Bottleneck(reduction_factor=4.0, layers=(2,)), 1),
]


def trained(enc: PackedEncoder, format_: str) -> list[tuple[TrainedCell, Head]]:
    """Cells of different methods and numbers of adapters, with a head each."""
    found = []
    for seed, (method, slots) in enumerate(METHODS):
        one = cell(method, seed=seed, format_=format_, steps=1)
        (outcome,) = train(enc, [one])
        tensors = tuple(Slot(method, slot(method, 10 * seed + at, enc)) for at in range(slots))
        found.append((TrainedCell(tensors, outcome.trained.heads), one.tasks[0].head))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("format_", ["pair-classification", "tagging", "multiple-choice"])
def test_together_as_alone(format_: str, architecture: str) -> None:
    enc = packed(architecture)
    cells = trained(enc, format_)
    labels = {"tagging": 4}.get(format_, 3)
    pools = [encoded(format_, examples=n, seed=n, labels=labels) for n in (7, 1, 12)]
    kept = PrefixCache(enc, 10**9)
    together = predict(enc, cells, pools, rows=50)
    for one, scores in zip(cells, together, strict=True):
        ways: tuple[dict[str, Any], ...] = ({}, {"prefix": kept}, {"prefix": kept, "rows": 200})
        for way in ways:
            (alone,) = predict(enc, [one], pools, **way)
            for ours, theirs in zip(scores, alone, strict=True):
                for example, other in zip(ours, theirs, strict=True):
                    np.testing.assert_allclose(example, other, atol=2e-6, rtol=0)
    assert np.abs(together[0][0][0] - together[1][0][0]).max() > 1e-4


def test_what_lies_below_all_adapters_is_computed_once_per_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    enc = packed()
    cells = trained(enc, "pair-classification")
    pools = [encoded("pair-classification", examples=n, seed=n) for n in (9, 5)]
    rows: list[int] = []
    layers: list[int] = []
    embed, layer = PackedEncoder.embed, PackedEncoder.layer

    def embedding(own: PackedEncoder, batch: PackedBatch) -> torch.Tensor:
        rows.append(len(batch.tokens))
        return embed(own, batch)

    def layering(own: PackedEncoder, index: int, *more: Any) -> torch.Tensor:
        layers.append(index)
        return layer(own, index, *more)

    monkeypatch.setattr(PackedEncoder, "embed", embedding)
    monkeypatch.setattr(PackedEncoder, "layer", layering)
    predict(enc, cells, pools, rows=60)
    assert sum(rows) == sum(len(pool.tokens) for pool in pools)
    chunks = len(rows)
    assert chunks > 2 and max(rows) <= 60
    # The lowest adapter of all is in layer 1.
    assert [layers.count(index) for index in range(3)] == [chunks, len(cells) * chunks, len(cells) * chunks]
    rows.clear()
    kept = PrefixCache(enc, 10**9)
    for _ in range(2):
        predict(enc, cells, pools, kept)
    assert sum(rows) == sum(len(pool.tokens) for pool in pools), "a second time nothing"


def test_an_example_longer_than_a_pass_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    enc = packed()
    cells = trained(enc, "pair-classification")[:1]
    pool = encoded("pair-classification", examples=5)
    (wide,) = predict(enc, cells, [pool])
    states, passes = PackedEncoder.states, []

    def counted(own: PackedEncoder, batch: PackedBatch, *more: Any) -> list[torch.Tensor]:
        passes.append(len(batch.tokens))
        return states(own, batch, *more)

    monkeypatch.setattr(PackedEncoder, "states", counted)
    (narrow,) = predict(enc, cells, [pool], rows=1)
    assert sorted(passes) == sorted(pool.sequence_offsets[1:] - pool.sequence_offsets[:-1])
    for one, other in zip(narrow[0], wide[0], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize("kept", [False, True])
def test_passes_that_do_not_fit_memory_are_halved(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    enc = packed()
    cells = trained(enc, "multiple-choice")
    pools = [encoded("multiple-choice", examples=n, seed=n) for n in (9, 5)]
    expected = predict(enc, cells, pools)
    states, passes = PackedEncoder.states, []

    def tight(own: PackedEncoder, batch: PackedBatch, *more: Any) -> list[torch.Tensor]:
        passes.append(len(batch.tokens))
        if len(batch.tokens) > 60:
            raise torch.OutOfMemoryError("no room")
        return states(own, batch, *more)

    monkeypatch.setattr(PackedEncoder, "states", tight)
    found = predict(enc, cells, pools, PrefixCache(enc, 10**9) if kept else None)
    for one, other in zip(found, expected, strict=True):
        for pool, same in zip(one, other, strict=True):
            np.testing.assert_allclose(np.concatenate(pool), np.concatenate(same), atol=2e-6)
    failed = [rows for rows in passes if rows > 60]
    assert 2 <= len(failed) <= 6, "what fitted once is not exceeded again"
    monkeypatch.setattr(PackedEncoder, "states", lambda *_: torch.empty(1 << 50))
    with pytest.raises(RuntimeError, match="allocate memory"):
        predict(enc, cells, pools)


def test_a_sweep_that_runs_out_of_memory_goes_in_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    enc = packed()
    one = cell(Lora(rank=4), steps=2)
    (outcome,) = train(enc, [one])
    cells = [(outcome.trained, one.tasks[0].head)]
    pools = [encoded("pair-classification", seed=seed) for seed in (1, 2)]
    (expected,) = predict(enc, cells, pools)
    sweep, sizes = predict_module._sweep, []

    def small(encoder_: PackedEncoder, active: Any, batch: Batch, *rest: Any) -> Any:
        sizes.append(batch.examples[0])
        if sizes[-1] > 10:
            raise MemoryError
        return sweep(encoder_, active, batch, *rest)

    monkeypatch.setattr(predict_module, "_sweep", small)
    (found,) = predict(enc, cells, pools)
    assert max(sizes) == 80 and sum(size for size in sizes if size <= 10) == 80
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.stack(ours), np.stack(theirs), atol=1e-6)

    monkeypatch.setattr(predict_module, "_sweep", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        predict(enc, cells, pools)


@pytest.mark.parametrize("kept", [False, True])
def test_passes_laid_out_ahead_give_the_same_answers(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: the next pass is laid out by a thread, answers are fetched a pass later, and memory may run out."""
    enc = packed()
    one = cell(Lora(rank=4, layers=(2,)), format_="multiple-choice", steps=2)
    cells = [(train(enc, [one])[0].trained, one.tasks[0].head)] * 2
    pools = [encoded("multiple-choice", examples=n, seed=n) for n in (9, 5)]
    expected = predict(enc, cells, pools, rows=150)
    monkeypatch.setattr(passes_module, "ahead", lambda device: 1)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    events: list[str] = []
    sweep = predict_module._sweep

    def laid(*given: Any, **more: Any) -> Batch:
        events.append(threading.current_thread().name)
        return collate(*given, **more)

    def swept(encoder_: PackedEncoder, active: Any, batch: Batch, *rest: Any) -> Any:
        events.append("swept")
        if events.count("swept") == 2:
            raise torch.OutOfMemoryError("no room")
        return sweep(encoder_, active, batch, *rest)

    monkeypatch.setattr(passes_module, "collate", laid)
    monkeypatch.setattr(predict_module, "_sweep", swept)
    heard: list[int] = []
    prefix = PrefixCache(enc, 10**9) if kept else None
    found = predict(enc, cells, pools, prefix, 150, lambda examples, rows: heard.append(events.count("swept")))
    for mine, theirs in zip(found, expected, strict=True):
        for pool, same in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(np.concatenate(pool), np.concatenate(same), atol=2e-6)
    assert {one for one in events if one != "swept"} and all(
        one == "swept" or one.startswith("adapterx-loader") for one in events
    )
    assert heard[0] == 3, "the first answers were fetched when another pass, after one that failed, was on its way"
    assert len(heard) == events.count("swept") - 1


def test_nothing_to_predict() -> None:
    enc = packed()
    assert predict(enc, [], [encoded("tagging", examples=2)]) == []
    assert predict(enc, trained(enc, "pair-classification")[:1], []) == [[]]
