"""The benchmark of methods runs, and both lanes do the same work in every case. Its ratios are no test."""

from __future__ import annotations

import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from tools.bench import shapes
from tools.bench_methods import BATCH, TEXTS, cases, measure

TINY = shapes.SHAPES["tiny"]


@pytest.mark.parametrize("name", [case.name for case in cases(TINY.layers)])
def test_both_lanes_do_the_same(name: str) -> None:
    (case,) = (one for one in cases(TINY.layers) if one.name == name)
    pytest.importorskip(case.library)
    model = shapes.encoder(TINY, "cpu", torch.float32)
    row = measure(case, model, PackedEncoder(model), rounds=1, steps=1)
    assert row["difference"] < 1e-4 and row["fused"] > 0 and row["library"] > 0
    assert TEXTS % BATCH == 0
