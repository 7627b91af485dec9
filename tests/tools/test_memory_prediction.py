"""Cases are recipes that can be planned; the page counts what is within its bound. Its bytes are no test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from adapterx.recipe import read
from tools.memory_cases import CASES, LORA, Case, prepare
from tools.memory_prediction import WITHIN, anonymous, measured, page, predicted

SMALL = {case.task: case for case in CASES if isinstance(case.backbone, str)}


@pytest.mark.parametrize("task", SMALL)
def test_each_kind_of_case_is_a_recipe(task: str, tmp_path: Path) -> None:
    recipe = read(prepare(SMALL[task], tmp_path / "case"))
    assert recipe.name == "measured" and len(recipe.seeds) == SMALL[task].seeds


def test_anonymous_memory_is_told_of_a_process_that_lives() -> None:
    assert anonymous(os.getpid()) > 10_000_000
    assert anonymous("no such process") == 0


def test_the_page_counts_what_is_within_the_bound() -> None:
    found: dict[str, Any] = {
        "processor": {"model": "AMD EPYC 1"},
        "libraries": {name: {"version": "1"} for name in ("torch", "transformers")},
    }
    parts = {"the program": 500_000_000, "weights": 500_000_000}
    rows = [
        {"case": CASES[0], "predicted": {"bytes": 10**9, "parts": parts}, "measured": size}
        for size in (10**9, 2 * 10**9)
    ]
    joined = " ".join(page(rows, found, "A note.").split())
    assert f"1 of 2 predictions are within {100 * WITHIN:.0f} %" in joined and "A note." in joined
    assert "the largest 50 %" in joined and "the largest 67 %" in joined and "| 1.00 | 2.00 | 0.50 |" in joined


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process' anonymous pages")
@pytest.mark.parametrize("case", [CASES[3], CASES[12], Case("LoRA", "embedded/e5-small", LORA, 128, 24)], ids=str)
def test_a_run_takes_about_what_was_predicted(case: Case, tmp_path: Path) -> None:
    """By a looser bound than the page's: what an allocator makes of a few steps differs from run to run."""
    recipe = prepare(case, tmp_path / "case")
    assert predicted(recipe)["bytes"] == pytest.approx(measured(recipe), rel=0.25)
