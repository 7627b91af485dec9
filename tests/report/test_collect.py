from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from adapterx.plan.cells import Cell
from adapterx.report.collect import collect
from adapterx.store import Store, fingerprint, write_text
from tests.report.fake import Fake, predictions, write

CELLS = {cell.slug: cell for cell in Fake().cells()}
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
    path = store.directory("evaluation", VICTIM.slug, fingerprint(["evaluation", VICTIM.slug])) / "predictions.parquet"
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


def test_an_item_that_occurs_twice_fails_its_cell_alone(store: Store) -> None:
    fake = Fake()
    run = write(store, fake)
    _replace_predictions(store, replace(fake, languages=("en", "en")), VICTIM)
    by_cell = {result.cell: result for result in collect(store, run).cells}
    victim = by_cell.pop(VICTIM)
    assert (victim.status, victim.scores) == ("failed", None)
    assert "holds an item of en twice" in victim.message
    assert {result.status for result in by_cell.values()} == {"done"}


def test_a_directory_that_is_no_run_is_named(store: Store) -> None:
    with pytest.raises(FileNotFoundError, match=r"run\.json does not exist"):
        collect(store, store.run_directory("nothing"))
    run = write(store, Fake())
    write_text(run / "run.json", '{"recipe": {"name": "x"}}')
    with pytest.raises(ValueError, match=r"run\.json is not what a run writes: KeyError\('overrides'\)"):
        collect(store, run)


def _replace_predictions(store: Store, fake: Fake, cell: Cell) -> None:
    table = predictions(fake, cell)

    def save(path: Path) -> None:
        parquet.write_table(table, path)

    id = fingerprint(["evaluation", cell.slug])
    files = {"predictions.parquet": save}
    store.commit("evaluation", cell.slug, id, settings={}, inputs=(), files=files, result={}, provenance={})
