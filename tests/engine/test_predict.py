"""Scores of many cells in one sweep."""

from __future__ import annotations

import numpy as np
import pytest

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import predict as predict_module
from adapterx.engine.batches import Batch
from adapterx.engine.predict import predict
from adapterx.engine.train import train
from tests.cells import METHODS, cell, encoded
from tests.models import encoder


def test_a_sweep_that_runs_out_of_memory_goes_in_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    one = cell(METHODS["lora"], steps=2)
    (outcome,) = train(packed, [one])
    cells = [(outcome.trained, one.tasks[0].head)]
    pools = [encoded("pair-classification", seed=seed) for seed in (1, 2)]
    (expected,) = predict(packed, cells, pools)
    sweep, sizes = predict_module._sweep, []

    def small(encoder_: object, active: object, batch: Batch, *rest: object) -> object:
        sizes.append(batch.examples[0])
        if sizes[-1] > 10:
            raise MemoryError
        return sweep(encoder_, active, batch, *rest)

    monkeypatch.setattr(predict_module, "_sweep", small)
    (found,) = predict(packed, cells, pools)
    assert max(sizes) == 80 and sum(size for size in sizes if size <= 10) == 80
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.stack(ours), np.stack(theirs), atol=1e-6)

    monkeypatch.setattr(predict_module, "_sweep", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        predict(packed, cells, pools)
