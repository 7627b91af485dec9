"""A whole run that takes a GPU's ways, whose kernels fail one after another: it ends with the library's results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from pyarrow import parquet

from adapterx.cli import main
from adapterx.kernels import choice, launch
from adapterx.kernels.choice import NAMES

FAILING = ("attention_forward", "lora_forward", "norm_backward", "adamw_rows")
"""One of each way: on the way there, in products, on the way back, in the update."""
OTHERS = [name for name in NAMES if name != "dropout"]


def logits(store: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Those of every evaluation, by its label."""
    found = {}
    for path in sorted(store.glob("stages/evaluation/*/predictions.parquet")):
        columns = parquet.read_table(path, columns=["cell", "logits"]).to_pydict()
        found[columns["cell"][0]] = np.array(columns["logits"], dtype=float)
    return found


@pytest.mark.slow
def test_failing_kernels_change_no_result(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = recipe(
        backbones={"small": str(checkpoints["small"])},
        intermediates={"none": None, "en": {"tasks": "time-order"}},
        transfers=["continue"],
        targets={"latest": {"task": "time-latest", "languages": ["en", "de"]}},
        seeds=[1],
        train={"learning_rate": 1e-3, "batch_size": 4, "steps": 3},
        evaluate={"limit": 6, "bootstrap": 100},
        compare=None,
    )
    assert main(["run", str(path), "--store", str(tmp_path / "plain")]) == 0
    launched, run = set(), launch.run

    def failing(function: Any, *how: Any) -> None:
        launched.add(function.__name__)
        if function.__name__ in FAILING:
            raise RuntimeError(f"no code for {function.__name__}")
        run(function, *how)

    with patch.object(launch, "run", failing), choice.emulated(OTHERS), caplog.at_level(logging.WARNING):
        assert main(["run", str(path), "--store", str(tmp_path / "failing")]) == 0
        assert not any(choice.runs(name, torch.device("cpu")) for name in ("attention", "lora", "norm", "adamw"))
    assert launched >= set(FAILING)
    told = [one.getMessage() for one in caplog.records if "the library's code takes its place" in one.getMessage()]
    assert len(told) == len(set(told)) == len(FAILING)
    plain, mine = (logits(tmp_path / name) for name in ("plain", "failing"))
    assert plain.keys() == mine.keys() and len(plain) == 2
    for label, expected in plain.items():
        assert np.allclose(mine[label], expected, atol=2e-4), label
