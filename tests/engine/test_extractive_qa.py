"""Extractive QA in the engine: the loss by hand, alone as in a bundle, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Selection, weighed
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.engine.collate import collate
from adapterx.engine.evaluate import collapse, evaluate, summary
from adapterx.engine.options import Options
from adapterx.engine.predict import predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe
from adapterx.reference import train as reference_train
from adapterx.reference.predict import predict as reference_predict
from adapterx.report import predictions
from adapterx.results import predictions as predictions_file
from adapterx.results.predictions import Evaluated, StoredPredictions
from adapterx.tasks.metrics import metric
from adapterx.train_settings import EarlyStopping
from tests.cells import cell
from tests.engine.questions import HEAD, answerer, passages
from tests.engine.trainings import ARCHITECTURES, assert_same, losses, mixed, packed
from tests.models import encoder


def tensors(hidden: int = 32) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(3)
    return {one.name: torch.randn(one.shape, generator=random) for one in HEAD.parameters(hidden)}


def test_the_head_is_one_layer_of_two_outputs() -> None:
    assert {one.name: one.shape for one in HEAD.parameters(32)} == {
        "head.qa.output.weight": (2, 32),
        "head.qa.output.bias": (2,),
    }


def test_the_loss_is_the_mean_over_windows_of_both_cross_entropies() -> None:
    data, chosen = passages(seed=4), np.array([3, 0, 17, 9])
    batch = collate([weighed([Selection(0, data, chosen)])])
    ((rows,),) = batch.cells
    hidden = torch.randn(rows.stop - rows.start, 32, generator=torch.Generator().manual_seed(1))
    scores = HEAD.scores(tensors(), hidden)
    found = HEAD.kind.loss(scores, rows)
    single: list[Tensor] = []
    at = 0
    for example in chosen:
        first_window, stop_window = data.example_sequences[example : example + 2]
        for first, last in pairwise(data.sequence_offsets[first_window : stop_window + 1]):
            count = int(((data.read_tokens >= first) & (data.read_tokens < last)).sum())
            window = len(single)
            gold = rows.labels[2 * window : 2 * window + 2]
            start, end = (scores[at : at + count, side].log_softmax(0)[gold[side]] for side in (0, 1))
            single.append(-(start + end) / 2)
            at += count
    assert at == len(scores) and 2 * len(single) == len(rows.labels)
    torch.testing.assert_close(found, torch.stack(single).mean())


def company(method: MethodSpec) -> list[TrainingCell]:
    settings: dict[str, Any] = {"steps": 4, "learning_rate": 1e-2}
    several = mixed(method, **settings)
    answers = answerer(method, **settings)
    both = replace(several, key="both", tasks=(*several.tasks, *answers.tasks), probabilities=np.full(4, 0.25))
    return [
        answers,
        replace(answers, key="twin", settings=replace(answers.settings, learning_rate=3e-3)),
        answerer(method, seed=2, data_seed=3, batch_size=3, **settings),
        both,
        cell(method, seed=5, **settings),
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", [Bottleneck(reduction_factor=4.0), Lora(rank=2, layers=(1, 2))],
                         ids=["bottleneck", "lora"])  # fmt: skip
def test_cells_in_a_bundle_equal_the_cells_alone(method: MethodSpec, architecture: str) -> None:
    enc = packed(architecture)
    cells = company(method)
    expected = [train(enc, [one])[0] for one in cells]
    for options in (Options(workers=0), Options(aligned=True, lag=4, graphs=False)):
        assert_same(train(enc, cells, options=options), expected)
    with patch.object(PackedEncoder, "spans", property(lambda own: True)):
        assert_same(train(enc, cells, options=Options(aligned=True, graphs=False)), expected)
    assert_same(train(enc, cells, prefix=PrefixCache(enc, 10**9)), expected)


def test_a_batch_in_parts_gives_the_same_gradients() -> None:
    enc = packed()
    cells = company(Lora(rank=2))[:3]
    for parts in (2, 3):
        whole, cut = (
            Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], parts=number)
            for number in (1, parts)
        )
        for bundle in (whole, cut):
            bundle.step()
        for one, other in zip(whole.book()[0], cut.book()[0], strict=True):
            assert one == pytest.approx(other, abs=2e-6)
        torch.testing.assert_close(
            whole.trained.adapter.bank.gradients, cut.trained.adapter.bank.gradients, atol=2e-6, rtol=1e-4
        )


def test_both_lanes_train_and_answer_alike() -> None:
    model = encoder("xlm-roberta")
    enc = PackedEncoder(model)
    one = answerer(Lora(rank=2), steps=5, learning_rate=1e-2)
    (fused,), plain = train(enc, [one]), reference_train(model, one)
    assert_same([plain], [fused])
    pool = passages(seed=8)
    ((ours,),) = predict(enc, [(fused.trained, HEAD)], [pool])
    (theirs,) = reference_predict(model, fused.trained, HEAD, [pool], seed=1)
    assert [len(scores) for scores in ours] == np.diff(pool.example_reads).tolist()
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.slow
def test_it_learns_to_answer_and_when_not_to(tmp_path: Path) -> None:
    """Dev scores rise along the way, and what is stored scores as the evaluation did."""
    enc = packed()
    stopping = EarlyStopping(every=40, patience=9)
    one = answerer(Lora(rank=4), examples=80, steps=120, learning_rate=2e-2, batch_size=12, early_stopping=stopping)
    (outcome,) = train(enc, [one])
    assert np.mean(losses(outcome)[-10:]) < np.mean(losses(outcome)[:3]) / 3
    assert outcome.state.best is not None and outcome.state.best.score > 0.8
    pools = [Pool("en", passages(seed=9), True), Pool("de", passages(seed=10), False)]
    (found,) = evaluate(enc, [(outcome.trained, HEAD)], pools)
    metrics = [metric(name, ()) for name in ("squad_f1", "squad_em", "squad_mean", "mlqa_f1")]
    values = summary(found, metrics)
    assert values["en"]["squad_f1"] > 0.7 and values["en"]["n"] == 40
    assert "" in found[0].prediction, "some passages hold no answer"
    assert "" not in found[1].prediction, "no answer is no answer where it may not be one"
    assert collapse(found, (), HEAD.kind) is None
    of = Evaluated("qa", (), tuple(one.name for one in metrics), format=HEAD.kind.name)
    predictions_file.write(tmp_path / "p.parquet", "cell", StoredPredictions(of, found))
    stored = predictions_file.read(tmp_path / "p.parquet", by_item=True)
    again = predictions.scored(stored)
    for language in ("en", "de"):
        items = again.languages[language]
        for one_metric in again.metrics:
            score = one_metric.value(items.statistics[one_metric.name].sum(axis=0, dtype=np.float64))
            assert score == pytest.approx(values[language][one_metric.name], abs=1e-6)
    nothing = predictions.majority(stored)["squad_f1"]["en"]
    assert nothing == np.mean([not right for right in found[0].gold])


def test_what_is_stored_is_readable_by_others(tmp_path: Path) -> None:
    from pyarrow import parquet

    enc = packed()
    (outcome,) = train(enc, [answerer(Probe(), steps=1)])
    (found,) = evaluate(enc, [(outcome.trained, HEAD)], [Pool("en", passages(examples=3))])
    stored = StoredPredictions(Evaluated("qa", (), ("squad_f1",), format=HEAD.kind.name), found)
    predictions_file.write(tmp_path / "p.parquet", "cell", stored)
    rows = parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["prediction"] for row in rows] == list(found[0].prediction)
    assert [tuple(row["gold"]) for row in rows] == list(found[0].gold)
    assert all(len(row["logits"]) == 2 for row in rows)


def test_cells_that_say_one_thing_everywhere_have_collapsed() -> None:
    enc = packed()
    (outcome,) = train(enc, [answerer(Probe(), steps=1)])
    (found,) = evaluate(enc, [(outcome.trained, HEAD)], [Pool("en", passages())])
    silent = replace(found[0], prediction=[""] * 40)
    assert (
        collapse([silent, replace(silent, language="de")], (), HEAD.kind)
        == "gives no answer to anything in en, de (2 of 2 languages)"
    )
    assert collapse([silent, found[0]], (), HEAD.kind) is None
