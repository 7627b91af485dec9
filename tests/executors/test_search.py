"""Which texts are read in one pass: a cell's layers together, no more vectors at a time than fit."""

from __future__ import annotations

import pytest

from adapterx.executors import search
from adapterx.methods.pooling import Pooling
from adapterx.plan.stage import SearchSettings


def asked(layer: int, similarity: str = "cosine") -> SearchSettings:
    return SearchSettings(layer, "mean", True, similarity, None, 64)  # type: ignore[arg-type]


def test_layers_of_a_cell_come_together_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = [(0, asked(2)), (1, asked(2)), (0, asked(5)), (0, asked(2, "margin")), (1, asked(5))]
    both = (Pooling(2), Pooling(5))
    one_vector = 4 * 10 * 8
    assert search.passes(searches, 10, 8) == [[(0, both), (1, both)]]
    monkeypatch.setattr(search, "BYTES", 2 * one_vector)
    assert search.passes(searches, 10, 8) == [[(0, both)], [(1, both)]]
    monkeypatch.setattr(search, "BYTES", one_vector - 1)
    alone = [[(cell, (pooling,))] for cell in (0, 1) for pooling in both]
    assert search.passes(searches, 10, 8) == alone
    assert search.passes([(3, asked(1))], 0, 8) == [[(3, (Pooling(1),))]]
