from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from adapterx import report
from adapterx.plan.cells import Cell
from adapterx.report.analysis import analyse
from adapterx.report.collect import collect
from adapterx.results.run_file import UnreadableRun
from adapterx.store import JSON, Store, fingerprint
from tests.report.fake import Fake, predictions, write

CELLS = {cell.label: cell for cell in Fake().cells()}
VICTIM = CELLS["small.lora.multi.continue.choice.seed1"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_every_cell_of_a_finished_run_is_done(store: Store) -> None:
    results = collect(store, write(store, Fake()))
    assert [result.cell for result in results.cells] == list(Fake().cells())
    assert {result.status for result in results.cells} == {"done"}
    facts = results.targets["choice"]
    assert (facts.languages, facts.sources, facts.others) == (("en", "de", "sw"), ("en",), ("de", "sw"))
    assert facts.parallel
    assert len(results.curves) == 4 + 6


def test_languages_with_items_of_their_own_are_not_parallel(store: Store) -> None:
    assert not collect(store, write(store, Fake(parallel=False))).targets["choice"].parallel


@pytest.mark.parametrize(
    ("status", "message", "scored"),
    [
        ("collapsed", "answers “yes” to 100 % of the items", True),
        ("diverged", "loss is not a number at step 7", False),
        ("failed", "failed at step 7 <of> 40", False),
        ("out-of-memory", "out-of-memory at step 7 <of> 40", False),
        ("out-of-disk", "out-of-disk at step 7 <of> 40", False),
        ("missing", "target small.lora.multi.continue.choice.seed1 is not stored", False),
        ("blocked", "intermediate small.lora.multi.seed1 diverged: loss is not a number at step 7", False),
        ("refused", "the backbone reads 16 tokens only", False),
    ],
)
def test_the_first_stage_that_is_not_done_gives_the_status(
    store: Store, status: str, message: str, scored: bool
) -> None:
    results = collect(store, write(store, Fake(statuses={VICTIM: status})))
    by_cell = {result.cell: result for result in results.cells}
    victim = by_cell.pop(VICTIM)
    assert (victim.status, victim.message, victim.scores is not None) == (status, message, scored)
    assert {result.status for result in by_cell.values()} == {"done"}


def test_a_damaged_file_of_predictions_makes_the_cell_missing(store: Store) -> None:
    run = write(store, Fake())
    path = (
        store.directory("evaluation", VICTIM.label, fingerprint(["evaluation", VICTIM.label])) / "predictions.parquet"
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    victim = next(result for result in collect(store, run).cells if result.cell == VICTIM)
    assert victim.status == "missing"
    assert "predictions.parquet has changed" in victim.message


def test_a_cell_with_other_items_is_no_result(store: Store) -> None:
    fake = Fake()
    run = write(store, fake)
    _replace_predictions(store, replace(fake, items=49), VICTIM)
    victim = next(result for result in collect(store, run).cells if result.cell == VICTIM)
    assert (victim.status, victim.scores) == ("failed", None)
    assert "other items" in victim.message


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "holds an item of de twice"),
        (lambda table: table.drop_columns(["gold"]), "gold"),
        (lambda table: table.slice(0, 0), "holds no item"),
        (lambda table: table.replace_schema_metadata({}), "labels"),
        (
            lambda table: table.drop_columns(["id"]).append_column("id", pa.nulls(len(table), pa.string())),
            "values of id are missing",
        ),
    ],
)
def test_predictions_that_cannot_be_scored_fail_their_own_cell(
    store: Store, spoil: Callable[[pa.Table], pa.Table], why: str
) -> None:
    run = write(store, Fake())
    _replace_predictions(store, Fake(), VICTIM, spoil)
    by_cell = {result.cell: result for result in collect(store, run).cells}
    victim = by_cell.pop(VICTIM)
    assert (victim.status, victim.scores) == ("failed", None)
    assert why in victim.message and "predictions.parquet cannot be scored" in victim.message
    assert {result.status for result in by_cell.values()} == {"done"}


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_flipped_log_costs_its_curve_and_nothing_else(store: Store, place: int) -> None:
    run = write(store, Fake())
    directory = store.directory("target", VICTIM.label, fingerprint(["target", VICTIM.label]))
    data = bytearray((directory / "training.jsonl").read_bytes())
    data[place] ^= 4
    (directory / "training.jsonl").write_bytes(data)
    results = collect(store, run)
    assert {result.status for result in results.cells} == {"done"}
    assert [ref.label for ref in results.curveless] == [VICTIM.label]
    assert len(results.curves) == 4 + 6 - 1
    assert directory.is_dir()
    (directory / "training.jsonl").unlink()
    analysis = analyse(store, run)
    report.write(analysis, run)
    assert f"a curve is left out, of target {VICTIM.label}." in (run / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    "result",
    [
        {"tuning": 5},
        {"tuning": [{"learning_rate": "x"}]},
        {"weights_tried": [{"weights": [1.0], "dev": 0.5}], "weights": [0.5]},
        {"weights_tried": [[]]},
        {"collapsed": "perhaps"},
    ],
)
def test_a_record_that_says_nonsense_fails_its_own_cell(store: Store, result: dict[str, JSON]) -> None:
    run = write(store, Fake())
    id = fingerprint(["evaluation", VICTIM.label])
    path = store.directory("evaluation", VICTIM.label, id) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "result": result}))
    report.write(analyse(store, run), run)
    by_cell = {one.cell: one for one in collect(store, run).cells}
    victim = by_cell.pop(VICTIM)
    assert victim.status == "failed" and "says nonsense" in victim.message
    assert {one.status for one in by_cell.values()} == {"done"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "\ufffd",
        "[" * 100_000,
        '{"recipe": {"name": "x"}}',
        '{"recipe": {"name": 5}}',
        '{"recipe": [], "overrides": [], "cells": [], "backbones": {}}',
        '{"recipe": {"name": "x"}, "overrides": [], "cells": [], "backbones": {}}',
        '{"recipe": {"name": "x", "evaluate": {"bootstrap": "x"}}, "overrides": [], "cells": [], "backbones": {}}',
    ],
)
def test_a_run_file_that_no_run_writes_is_named(store: Store, text: str) -> None:
    run = write(store, Fake())
    (run / "run.json").write_text(text)
    with pytest.raises(UnreadableRun, match=r"run\.json .*`adapterx run` the recipe again"):
        collect(store, run)


@pytest.mark.parametrize("name", ["../../etc", "/etc", "", 5, None])
def test_a_run_file_leads_nowhere_outside_the_store(store: Store, name: object) -> None:
    run = write(store, Fake())
    content = json.loads((run / "run.json").read_text())
    content["cells"][0]["stages"]["target"]["slug"] = name
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(UnreadableRun, match=r"run\.json is not what a run writes"):
        collect(store, run)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_run_file_that_is_no_file_is_named(store: Store, make: Callable[[Path], None]) -> None:
    run = write(store, Fake())
    (run / "run.json").unlink()
    make(run / "run.json")
    with pytest.raises(UnreadableRun, match=r"run\.json is a "):
        collect(store, run)


def test_a_directory_that_is_no_run_is_named(store: Store) -> None:
    with pytest.raises(UnreadableRun, match=r"run\.json does not exist"):
        collect(store, store.run_directory("nothing"))


def _replace_predictions(
    store: Store, fake: Fake, cell: Cell, spoil: Callable[[pa.Table], pa.Table] = lambda table: table
) -> None:
    table = spoil(predictions(fake, cell))

    def save(path: Path) -> None:
        parquet.write_table(table, path)

    id = fingerprint(["evaluation", cell.label])
    files = {"predictions.parquet": save}
    store.commit("evaluation", cell.label, id, settings={}, inputs=(), files=files, result={}, provenance={})
