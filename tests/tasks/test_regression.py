"""The kind of task `regression`: rows to numbers, the loss, the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch

from adapterx.tasks.constancy import of_numbers
from adapterx.tasks.data import load
from adapterx.tasks.items import read
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.regression import ScoredPair
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import TaskSpec

KIND = kind("regression")
SCORES = [1.0, -2.5, 4.75, 0.1, -0.0, 1e6]


class Given(NamedTuple):
    labels: torch.Tensor
    weights: torch.Tensor
    reads: torch.Tensor
    windows: torch.Tensor


TASK: dict[str, Any] = {
    "adapterx": 1,
    "name": "likeness",
    "description": "How alike are they?",
    "format": "regression",
    "metrics": ["pearson"],
    "languages": ["en"],
    "licence": "CC0-1.0",
    "sources": {
        "local": {
            "kind": "local",
            "reader": "tsv",
            "columns": {"text": 0, "text_pair": 1, "score": 2},
            "splits": {"test": {"paths": "scores.tsv"}},
        }
    },
}


def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> TaskSpec:
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    (tmp_path / "scores.tsv").write_text("".join(f"{line}\n" for line in lines))
    return TaskSpec.model_validate(TASK)


def test_scores_are_read_encoded_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    spec = task(tmp_path, monkeypatch, *(f"the days\t3 ago\t{score}" for score in SCORES))
    examples = load(spec, "local", "en", "test")
    assert [one.score for one in examples if isinstance(one, ScoredPair)] == SCORES
    data = KIND.encode(examples, tokenizer, 32)
    assert data.labels.dtype == np.int64
    assert KIND.gold(data) == SCORES
    assert KIND.prior_loss(data.labels) == pytest.approx(np.var(SCORES))
    assert KIND.shown(data, 2, ()).answer == "4.75"


@pytest.mark.parametrize("score", ["high", "nan", "inf", "1e7", "1,5"])
def test_what_is_no_score_is_refused_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: str) -> None:
    spec = task(tmp_path, monkeypatch, "a\tb\t1", f"c\td\t{score}")
    with pytest.raises(DataError, match=rf"scores\.tsv:2: the score is '{score}', not a number of at most 1e\+06"):
        load(spec, "local", "en", "test")


def test_labels_have_no_place_in_it() -> None:
    with pytest.raises(ValueError, match="labels: the format regression has none"):
        TaskSpec.model_validate({**TASK, "labels": ["no", "yes"]})


def test_the_loss_is_torchs_squared_error_for_one_and_for_many() -> None:
    torch.manual_seed(0)
    hidden, count = 8, 5
    rows = torch.randn(2, count, hidden)
    gold = torch.randn(2, count).double()
    weights = torch.rand(2, count)
    weights[1, -1] = 0.0  # the shorter cell
    shapes = {part.name: part.shape for part in KIND.tensors(hidden, KIND.outputs(0))}
    assert shapes["output.weight"] == (1, hidden)
    tensors = {f"head.{name}": torch.randn(2, *shape) for name, shape in shapes.items()}
    together = KIND.losses("head.", tensors, rows, gold.view(torch.int64), weights, 1)
    for cell in range(2):
        own = {name.removeprefix("head."): tensor[cell] for name, tensor in tensors.items()}
        dense = torch.tanh(rows[cell] @ own["dense.weight"].T + own["dense.bias"])
        scores = dense @ own["output.weight"].T + own["output.bias"]
        expected = torch.nn.functional.mse_loss(scores[:, 0], gold[cell].float(), reduction="none") @ weights[cell]
        ones = torch.ones(count, dtype=torch.int64)
        alone = KIND.loss(scores, Given(gold[cell].view(torch.int64), weights[cell], ones, ones))
        torch.testing.assert_close(alone, expected)
        torch.testing.assert_close(together[cell], expected)


def test_answers_are_numbers_in_tables_and_for_new_items() -> None:
    columns = KIND.columns([1.5, -2.0], [0.25, 3.0])
    assert columns["gold"].type == pa.float64() and columns["prediction"].to_pylist() == [0.25, 3.0]
    (example,) = read([json.dumps({"text": "a", "text_pair": "b"})], "-", KIND, ())
    assert example == ScoredPair("1", "a", "b", 0.0)
    scores = [np.array([[0.12345678]], np.float32)]
    assert list(KIND.said(None, scores, (), False)) == [{"score": 0.123457}]  # type: ignore[arg-type]


def test_one_number_for_everything_is_a_collapse() -> None:
    gold = [1.0, 2.0, 3.0, 4.0]
    same, near, unlike = (of_numbers(gold, given) for given in ([2.0] * 4, [2.0, 2.000001, 2.0, 2.0], [2, 2, 2, 3]))
    assert same.constant and near.constant and same.share == near.share == 1.0
    assert same.always == "answers 2 to everything"
    assert unlike.distinct and unlike.share == 0.75
