"""Cases are recipes that can be planned and run; the page says what it was measured on. Its times are no test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterx.recipe import read
from adapterx.tasks.catalog import find
from tools.time_prediction import CASES, HEAD, WIDE, Case, family, measure, page, prepare


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.backbone}")
def test_each_case_is_a_recipe_with_its_task(case: Case, tmp_path: Path) -> None:
    recipe = read(prepare(case, tmp_path))
    assert recipe.name == "timed" and len(recipe.seeds) == case.seeds
    assert find("made", tmp_path).tokens == case.length
    rows = (tmp_path / "data" / "test.tsv").read_text().splitlines()
    words = [len(row.split("\t")[0].split(" ")) for row in rows]
    assert len(rows) == case.items
    mean = 2 + (2 if case.backbone == WIDE else 1) * sum(words) / len(words)
    assert mean == pytest.approx(case.length, rel=0.1)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Intel(R) Xeon(R) Platinum 8488C", "Intel Xeon Platinum"),
        ("Intel(R) Xeon(R) Processor @ 2.70GHz", "Intel Xeon"),
        ("AMD EPYC 9B45 96-Core Processor", "AMD EPYC"),
        ("9000", "a processor of unknown family"),
    ],
)
def test_a_processor_is_named_by_its_family(model: str, expected: str) -> None:
    assert family(model) == expected


def test_the_page_counts_what_is_within_thirty_percent() -> None:
    found: dict[str, Any] = {
        "processor": {"model": "AMD EPYC 1", "cores": 2, "threads": 1},
        "libraries": {name: {"version": "1"} for name in ("torch", "transformers")},
        "calibration": {"measured": "2026-11-29"},
    }
    stages = [
        {"kind": "training", "predicted": 1.0, "measured": 1.0, "range": (0.9, 1.1)},
        {"kind": "evaluation", "predicted": 1.5, "measured": 1.0, "range": (1.0, 1.0)},
    ]
    text = page([{"case": CASES[0], "stages": stages}], found, [0.5, 2.0], 3)
    joined = " ".join(text.split())
    assert "1 of 2 predictions are within 30 %" in joined and "the largest 50 %" in joined
    assert "AMD EPYC, 2 cores, 1 thread;" in joined and "| 1.50 |" in text
    assert "was 0.5 before" in joined and "at most 2.0 between" in joined and "other programs were at work" in joined
    quiet = " ".join(page([{"case": CASES[0], "stages": stages}], found, [0.1, 1.0], 3).split())
    assert "nothing else was at work" in quiet and "other programs" not in quiet


@pytest.mark.slow
@pytest.mark.long
def test_a_case_is_planned_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    row = measure(Case("head", "embedded/e5-small@1", HEAD, 8, 4, 2, 8), tmp_path / "case", rounds=1)
    assert [stage["kind"] for stage in row["stages"]] == ["training", "evaluation"]
    assert all(stage["predicted"] > 0 and stage["measured"] > 0 for stage in row["stages"])
