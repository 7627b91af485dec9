"""Which settings are surely better than which, and the ranks that are left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from adapterx.plan.cells import Cell
from adapterx.report.collect import collect
from adapterx.report.multiplicity import benjamini_hochberg, holm
from adapterx.report.ranks import Rank, ranks
from adapterx.report.scores import Grid
from adapterx.store import Store
from tests.report.fake import Fake, write

DOUBTS = [np.random.default_rng(seed).uniform(0, 0.2, 12) ** 2 for seed in range(20)]


@pytest.mark.parametrize("doubts", DOUBTS)
def test_families_are_corrected_as_statsmodels_does(doubts: np.ndarray) -> None:
    for level in (0.05, 0.2):
        assert holm(list(doubts), level) == list(multipletests(doubts, level, "holm")[0])
        assert benjamini_hochberg(list(doubts), level) == list(multipletests(doubts, level, "fdr_bh")[0])


def test_nothing_compared_is_nothing_claimed() -> None:
    assert holm([], 0.05) == benjamini_hochberg([], 0.05) == []


def found(tmp_path: Path, accuracy: dict[str, float], items: int = 300) -> list[Rank]:
    fake = Fake(("small",), seeds=(1, 2, 3), items=items, accuracy=lambda cell, _: accuracy[cell.intermediate])
    store = Store(tmp_path)
    return list(ranks(Grid(collect(store, write(store, fake)))))


def test_clear_differences_leave_one_rank_each(tmp_path: Path) -> None:
    of = found(tmp_path, {"none": 0.3, "en": 0.6, "multi": 0.9})
    assert [(one.setting.intermediate, one.rank, one.low, one.high, one.of) for one in of] == [
        ("multi", 1, 1, 1, 3),
        ("en", 2, 2, 2, 3),
        ("none", 3, 3, 3, 3),
    ]


def test_what_is_alike_shares_its_ranks(tmp_path: Path) -> None:
    of = found(tmp_path, {"none": 0.2, "en": 0.7, "multi": 0.7})
    assert [(one.low, one.high) for one in of] == [(1, 2), (1, 2), (3, 3)]


def test_a_setting_without_all_of_its_seeds_has_no_rank(tmp_path: Path) -> None:
    victim = Cell("small", "lora", "en", "continue", "choice", 1)
    fake = replace(Fake(("small",)), statuses={victim: "failed"})
    store = Store(tmp_path)
    of = ranks(Grid(collect(store, write(store, fake))))
    assert {one.setting.intermediate for one in of} == {"none", "multi"}
