"""The benchmark of tokenisation runs, and the lanes tokenise the same texts. Its ratios are no test."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tasks.conftest import tokenizer
from tests.tasks.qa import questions
from tools import bench_tokenise
from tools.bench_tokenise import OURS, Case, measure, page

__all__ = ["tokenizer"]
LANES = [OURS, "tokenizer per 1,000"]


@pytest.mark.parametrize("task", ["time-order", "time-mentions", "place-choice", "squad"])
def test_lanes_see_the_same_tokens(task: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if task == "squad":
        monkeypatch.setattr(bench_tokenise, "examples", lambda case: questions())
    rows = measure(Case(task, task, ("en",), "train", 512, 20, "embedded"), LANES, tokenizer, rounds=1)
    assert [row["lane"] for row in rows] == LANES
    assert rows[0]["tokens"] == rows[1]["tokens"] > 0
    assert rows[0]["ratio"] == 1
    shown = page([{**row, "peak MB": 1.0} for row in rows], 1, {"packages": {}, "processor": "", "cores": 2}, "")
    assert shown.count(f"| {task} |") == 2
