"""Commands that read stored runs, through the real command line: report, show, compare, results, watch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from adapterx import report
from adapterx.cli import READING
from adapterx.report.collect import collect
from adapterx.report.merge import UnmergeableRuns, merged
from adapterx.report.pairs import NothingToCompare, paired_differences
from adapterx.report.scores import Grid
from adapterx.results import progress_file
from adapterx.results.progress_file import CellProgress, RunProgressFile
from adapterx.store import Store, write_json
from adapterx.store.atomic import machine
from tests.report.fake import Fake, write
from tests.support.command import Done, adapterx

GRID = Fake(seeds=(1, 2), targets=("choice", "names"), tagging=("names",), bootstrap=100, items=30)
CELL = "small.lora.multi.continue.choice.seed1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run, in which one cell failed."""
    store = Store(tmp_path_factory.mktemp("store"))
    victim = next(cell for cell in GRID.cells() if cell.label == "large.lora.multi.continue.choice.seed2")
    write(store, replace(GRID, statuses={victim: "failed"}))
    return store.root


def told(done: Done) -> Any:
    """The JSON of a command that went well."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "fakke", "--json"),
        ("show", "fakke", "--json"),
        ("compare", "multi", "en", "--run", "fakke", "--json"),
        ("results", "fakke", "--json"),
        ("watch", "fakke", "--json"),
        ("figures", "fakke", "--out", "nowhere", "--json"),
    ],
    ids=READING,
)
def test_programs_are_told_of_errors_in_one_form(root: Path, arguments: tuple[str, ...]) -> None:
    done = adapterx(*arguments, "--store", root)
    assert done.returncode == 2 and "no run 'fakke'" in done.stderr
    assert json.loads(done.stdout) == {
        "error": {
            "type": "CommandError",
            "message": done.stderr.rstrip("\n"),
            "where": str(root / "runs"),
            "hint": "did you mean 'fake'?",
        }
    }


def test_without_json_stdout_is_silent_about_errors(root: Path) -> None:
    done = adapterx("show", "fakke", "--store", root)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_damaged_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    done = adapterx("show", "broken", "--store", tmp_path, "--json")
    found = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and found["type"] == "UnreadableRun" and "run.json" in found["message"]


# show


def test_show_lists_cells_with_their_states_and_scores(root: Path) -> None:
    done = adapterx("show", "fake", "--store", root)
    assert done.returncode == 0, done.stderr
    listed = done.stdout.partition("main score\n")[2].splitlines()[1:]
    lines = {name: rest for name, *rest in map(str.split, listed)}
    assert set(lines) == {cell.label for cell in GRID.cells()}
    assert lines["large.lora.multi.continue.choice.seed2"] == ["failed", "–"]
    analysis = report.analyse(Store(root), root / "runs" / "fake")
    (one,) = [one for one in analysis.results.cells if one.cell.label == CELL]
    mean = Grid(analysis.results).mean_of_cell(one, "accuracy", ["de", "sw"])
    assert mean is not None and lines[CELL] == ["done", f"{100 * mean.value:.1f}"]
    whole = told(adapterx("show", "fake", "--store", root, "--json"))
    assert whole["statuses"] == {"done": 23, "failed": 1} and len(whole["cells"]) == 24


def test_show_tells_everything_of_a_cell(root: Path) -> None:
    done = adapterx("show", "fake", CELL, "--store", root)
    assert done.returncode == 0 and "wrong: " in done.stdout and "Answers stand without texts" in done.stdout
    cell = told(adapterx("show", "fake", CELL, "--store", root, "--json"))
    assert cell["label"] == CELL and [stage["kind"] for stage in cell["stages"]] == [
        "intermediate",
        "target",
        "evaluation",
    ]
    assert {one["language"] for one in cell["scores"]} == {"de", "en", "sw"}
    # What is told agrees with itself: an item is right where its answer is the right one.
    for items in cell["answers"].values():
        assert items and all(one["right"] == (one["answer"] == one["right_answer"]) for one in items)
    confused = dict(cell["confusions"])
    (score,) = [one for one in cell["scores"] if one["language"] == "sw"]
    right = sum(confused["sw"][at][at] for at in range(2))
    assert score["value"] == pytest.approx(100 * right / 30, abs=0.01)


@pytest.mark.parametrize(
    ("name", "message"),
    [("small.lora.multi", "4 cells begin with"), ("tiny", "no cell 'tiny'")],
)
def test_show_asks_for_one_cell(root: Path, name: str, message: str) -> None:
    done = adapterx("show", "fake", name, "--store", root)
    assert done.returncode == 2 and message in done.stderr


# compare


def test_compare_gives_the_gaps_of_the_report(root: Path) -> None:
    """The recipe compares the same arms, so the numbers have to be those of report.json."""
    found = told(adapterx("compare", "multi", "en", "--store", root, "--json"))["pairs"]
    report.build(Store(root), root / "runs" / "fake")
    gaps = json.loads((root / "runs" / "fake" / "report" / "report.json").read_text())["gaps"]
    ours = {(one["a"].split(".")[0], one["target"]): one["difference"]["others"] for one in found}
    assert ours == {(gap["backbone"], gap["target"]): gap["others"] for gap in gaps}
    assert "missing" in ours["large", "choice"] and len(ours) == 4
    table = adapterx("compare", "multi", "en", "--store", root).stdout
    assert "small.lora.multi.continue" in table and "0 of 2 seeds" not in table and "1 of 2 seeds" in table


def test_compare_turned_round_is_the_same_with_the_other_sign(root: Path) -> None:
    one = told(adapterx("compare", "multi", "none", "--store", root, "--json"))["pairs"]
    other = told(adapterx("compare", "none", "multi", "--store", root, "--json"))["pairs"]
    assert len(one) == len(other) == 4
    for first, second in zip(one, other, strict=True):
        if "value" in first["difference"]["mean"]:
            assert first["difference"]["mean"]["value"] == -second["difference"]["mean"]["value"]
            assert first["difference"]["mean"]["low"] == -second["difference"]["mean"]["high"]


def test_compare_takes_cells_backbones_and_beginnings(root: Path) -> None:
    (pair,) = told(
        adapterx("compare", CELL, CELL.replace("multi", "en").replace("seed1", "seed2"), "--store", root, "--json")
    )["pairs"]
    assert pair["seeds"] == [] and pair["metric"] == "accuracy"
    sides = [score["mean"]["value"] for score in pair["scores"]]
    assert pair["difference"]["mean"]["value"] == pytest.approx(sides[0] - sides[1], abs=1e-6)
    sizes = told(adapterx("compare", "small", "large", "--store", root, "--json"))["pairs"]
    assert len(sizes) == 3 * 2
    begun = told(adapterx("compare", "small.lora.mu", "small.lora.en", "--store", root, "--json", "--all-metrics"))[
        "pairs"
    ]
    assert [(one["target"], one["metric"]) for one in begun] == [
        ("choice", "accuracy"),
        ("names", "span_f1"),
        ("names", "accuracy"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("multi", "nobody", "nothing in this run is called 'nobody'"),
        (CELL, CELL, "cannot differ from itself"),
        (CELL, CELL.replace("choice", "names"), "answer different items"),
        (CELL, "large.lora.multi.continue.choice.seed2", "it is failed"),
        ("choice", "names", "has a counterpart"),
    ],
)
def test_compare_says_why_there_is_nothing(root: Path, first: str, second: str, message: str) -> None:
    analysis = report.analyse(Store(root), root / "runs" / "fake")
    with pytest.raises(NothingToCompare) as caught:
        paired_differences(analysis, first, second)
    assert message in str(caught.value)


# results


def test_results_are_those_of_the_report(root: Path) -> None:
    report.build(Store(root), root / "runs" / "fake")
    done = adapterx("results", "fake", "--csv", "--store", root)
    assert done.stdout == (root / "runs" / "fake" / "report" / "results.csv").read_text()
    rows = told(adapterx("results", "fake", "--json", "--store", root))["rows"]
    assert len(rows) == len(list(csv.DictReader(StringIO(done.stdout))))


def ask(root: Path, question: str) -> Done:
    return adapterx("results", "fake", "--sql", question, "--json", "--store", root)


def test_sql_answers_over_scores_cells_and_predictions(root: Path) -> None:
    pytest.importorskip("duckdb")
    scores = told(
        ask(root, "SELECT cell, value FROM scores WHERE language = 'sw' AND metric = 'accuracy' ORDER BY cell")
    )
    shares = told(
        ask(
            root,
            "SELECT cell, avg(correct::INT) AS value FROM predictions WHERE language = 'sw' AND target = 'choice'"
            " GROUP BY cell ORDER BY cell",
        )
    )
    by_cell = {row["cell"]: row["value"] for row in scores["rows"]}
    assert len(shares["rows"]) == 11
    assert all(row["value"] == pytest.approx(by_cell[row["cell"]], abs=1e-6) for row in shares["rows"])
    assert told(ask(root, "SELECT status, count(*) AS n FROM cells GROUP BY ALL ORDER BY n"))["rows"] == [
        {"status": "failed", "n": 1},
        {"status": "done", "n": 23},
    ]
    table = adapterx("results", "fake", "--sql", "SELECT 0.5 AS half, NULL AS nothing", "--store", root).stdout
    assert "half" in table and "0.5" in table and "–" in table


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "COPY (SELECT 1) TO 'HERE/stolen.csv'",
        "ATTACH 'HERE/other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM read_parquet('HERE/stages/evaluation/*/predictions.parquet')",
        "SELECT nonsense FROM scores",
        "SELECT * FROM analysis",
    ],
)
def test_sql_reaches_nothing_else(root: Path, question: str) -> None:
    pytest.importorskip("duckdb")
    done = ask(root, question.replace("HERE", str(root)))
    assert done.returncode == 2, done.stdout
    assert json.loads(done.stdout)["error"]["type"] == "SqlError"
    assert not (root / "stolen.csv").exists() and not (root / "other.db").exists()


def test_sql_without_its_engine_names_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = ask(root, "SELECT 1")
    assert done.returncode == 2 and "pip install 'adapterx[duckdb]'" in done.stderr


# report


def test_reports_of_two_runs_merge(tmp_path: Path) -> None:
    """Seeds of one recipe, run apart in two stores, come to the report of both seeds run together."""
    for seeds, name in (((1,), "one"), ((2,), "two"), ((1, 2), "both")):
        write(Store(tmp_path / name), Fake(seeds=seeds, bootstrap=100, items=30))
    parts = [tmp_path / name / "runs" / "fake" for name in ("one", "two")]
    out = told(adapterx("report", *parts, "--out", tmp_path / "out", "--json"))
    assert Path(out["report"]) == tmp_path / "out" / "report" / "index.html"
    both = report.statistics(collect(Store(tmp_path / "both"), tmp_path / "both" / "runs" / "fake"))
    ours = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    expected = {one.arm.backbone: one.summary.headline for one in both.gaps}
    assert {gap["backbone"]: gap["others"]["value"] for gap in ours["gaps"]} == {
        name: pytest.approx(getattr(value, "value", None), abs=1e-6) for name, value in expected.items()
    }
    assert {gap["seeds"] for gap in ours["gaps"]} == {2}
    assert [cell["status"] for cell in ours["cells"]] == ["done"] * 12


def test_runs_that_mean_different_things_by_a_name_do_not_merge(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        run = write(store, Fake(bootstrap=100, items=10))
        if name == "two":
            content = json.loads((run / "run.json").read_text())
            content["recipe"]["backbones"]["small"] = {"model": "other/model"}
            write_json(run / "run.json", content)
        results.append(collect(store, run))
    with pytest.raises(UnmergeableRuns, match=r"backbones\.small means something else in each"):
        merged(results)


# watch


def progress(run: Path, **changes: Any) -> None:
    """Write a progress file as a run of this process would."""
    now = time.time()
    found = RunProgressFile(
        "running", os.getpid(), machine(), now - 30, now, 0.25, 90.0, "training a and 2 more", 24, 6, 1, 3.5,
        (CellProgress("a", 7, 40, 0.61), CellProgress("b", 7, 40, None)),
    )  # fmt: skip
    progress_file.write(run, replace(found, **changes))


def test_watch_tells_how_far_a_run_is(root: Path) -> None:
    run = root / "runs" / "fake"
    (run / progress_file.NAME).unlink(missing_ok=True)
    before = adapterx("watch", "fake", "--once", "--store", root)
    assert before.returncode == 0 and "has not begun" in before.stdout
    progress(run)
    done = adapterx("watch", "fake", "--once", "--store", root)
    assert done.returncode == 0, done.stderr
    for part in (
        "24 cells, 23 evaluated, 1 failed",
        "is at work",
        "25% after",
        "about 1 min 30 s left",
        "6 of 24 stages",
    ):
        assert part in done.stdout, done.stdout
    for part in (
        "3.50 steps a second × 2 trainings",
        "a: step 7 of 40, loss 0.6100",
        "b: step 7 of 40, loss not finite",
    ):
        assert part in done.stdout, done.stdout
    assert told(adapterx("watch", "fake", "--json", "--store", root))["progress"]["cells"][0]["loss"] == 0.61


@pytest.mark.parametrize(
    ("changes", "words", "code"),
    [
        ({"state": "done", "share": 1.0}, "has come to its end", 0),
        ({"state": "interrupted"}, "was interrupted", 1),
        ({"state": "failed"}, "ended by an error", 1),
        ({"process": None}, "was killed", 1),
        ({"machine": "another", "updated": 1000.0}, "has not been heard of", 1),
    ],
    ids=["done", "interrupted", "failed", "killed", "silent"],
)
def test_watch_ends_with_the_run_and_tells_a_dead_one(
    root: Path, changes: dict[str, Any], words: str, code: int
) -> None:
    if changes.get("process", 0) is None:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        changes = {"process": ended.pid}
    progress(root / "runs" / "fake", **changes)
    done = adapterx("watch", "fake", "--store", root)
    assert done.returncode == code and words in done.stdout


def test_watch_names_a_file_that_no_run_wrote(root: Path) -> None:
    (root / "runs" / "fake" / progress_file.NAME).write_text('{"state": "x"}')
    done = adapterx("watch", "fake", "--json", "--store", root)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["where"] == str(root / "runs" / "fake" / progress_file.NAME)
