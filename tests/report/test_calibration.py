"""The expected calibration error, and where it is read from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from adapterx.plan.cells import Cell
from adapterx.report import analyse, evidence_tables
from adapterx.report.calibration import by_language, expected_error
from adapterx.report.document import document
from adapterx.report.exports import report_json
from adapterx.store import Store
from tests.report.fake import Fake, predictions, write


def test_what_is_as_right_as_it_is_sure_has_no_error() -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1.0, 200_000)
    assert expected_error(confidence, random.random(200_000) < confidence) < 0.01
    assert expected_error(np.ones(10), np.zeros(10, bool)) == 1.0


def test_bins_weigh_by_their_items() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.55])
    right = np.array([True, True, False, False])
    assert expected_error(confidence, right, bins=10) == pytest.approx((3 * (0.95 - 2 / 3) + 0.55) / 4)


def logits(fake: Fake, cell: Cell) -> pa.Table:
    """Predictions with logits that are sure of them by 0.9."""
    table = predictions(fake, cell)
    answers = [row[0] for row in table["prediction"].to_pylist()]
    scores = [[np.log(9.0), 0.0] if one == 0 else [0.0, np.log(9.0)] for one in answers]
    return table.append_column("logits", pa.array(scores, pa.list_(pa.float32())))


def test_a_report_tells_it_where_logits_are_stored(tmp_path: Path) -> None:
    plain = Fake(("small",), items=400, seeds=(1, 2))
    fake = Fake(("small",), items=400, seeds=(1, 2), answers=lambda cell: logits(plain, cell))
    store = Store(tmp_path)
    analysis = analyse(store, write(store, fake))
    errors = [error for cell in analysis.results.cells for error in cell.calibration.values()]
    assert len(errors) == 6 * 3 and all(0.1 < error < 0.3 for error in errors)  # sure by 0.9, right by 0.7
    assert "calibration" in [one.name for one in evidence_tables.tables(analysis)]
    content = json.loads(json.dumps(report_json(analysis, document(analysis))))["evidence"]
    assert len(content["calibration"]) == 6 and len(content["learning"]) > 0


def test_other_answers_have_none(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    for gold, scores in (([[0, 1]], [[0.1, 0.2]]), ([[0]], [[0.1]]), ([["a"]], [[0.1, 0.2]])):
        table = {"language": ["en"], "gold": gold, "logits": scores}
        parquet.write_table(pa.table(table), path)
        assert by_language(path) == {}
    parquet.write_table(pa.table({"language": ["en"], "gold": [[0]]}), path)
    assert by_language(path) == {}
