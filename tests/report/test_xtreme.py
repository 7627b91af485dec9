"""XTREME's averages, and the files of a submission, of a made-up run that has all nine tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from adapterx.cli import main
from adapterx.plan.cells import Cell
from adapterx.report import analyse, build
from adapterx.report.statistics import Estimate, Missing
from adapterx.report.table import markdown
from adapterx.report.xtreme_table import table
from adapterx.results import predictions as predictions_file
from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions
from adapterx.store import Store, fingerprint
from adapterx.tasks.catalog import find
from adapterx.tasks.xtreme import GROUPS, TASKS
from tests.report.fake import Fake, write
from tests.support.xtreme import GROUPS as FOLDERS_OF_GROUPS
from tests.support.xtreme import LANGUAGES, choose, evaluate

TEXTS = [
    "the cat",
    "a cat",
    "Kater!",
    "北京大学",
    "北京",
    "القاهرة",
    "قاهرة",
    "กรุงเทพ",
    "",
    "el niño",
    "der",
    "1946–47",
]
LABELS = {
    "xnli": ["entailment", "neutral", "contradiction"],
    "paws-x": ["different", "paraphrase"],
    "udpos": ["ADJ", "CCONJ", "NOUN", "SCONJ", "VERB"],
    "pan-x": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
}
METRICS = {"xquad": ["squad_f1", "squad_em", "squad_mean"], "mlqa": ["mlqa_f1", "mlqa_em", "mlqa_mean"]}
METRICS["tydiqa"] = METRICS["xquad"]
METRICS["tatoeba"] = ["retrieval_accuracy", "rank_distance"]
ITEMS = 12


class Made:
    """Answers of every cell to twelve items per task and language, whose gold is the same in all cells."""

    def __init__(self, languages: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.languages = languages or {name: task.languages for name, task in TASKS.items()}

    def predictions(self, cell: Cell) -> list[LanguagePredictions]:
        found = []
        for code in self.languages[cell.target]:
            gold_random = np.random.default_rng([*cell.target.encode(), *code.encode()])
            random = np.random.default_rng([int(fingerprint([cell.label, code])[:8], 16)])
            pairs = [self._item(cell.target, at, gold_random, random) for at in range(ITEMS)]
            # In an order that is not that of the ids.
            ids = [f"{code}-{(5 * at) % ITEMS:x}x" for at in range(ITEMS)]
            gold, said = ([pair[side] for pair in pairs] for side in (0, 1))
            found.append(LanguagePredictions(code, ids, gold, said, [np.zeros((1, 1), np.float32)] * ITEMS))
        return found

    def table(self, cell: Cell, scratch: Path) -> pa.Table:
        metrics = METRICS.get(cell.target, [TASKS[cell.target].metric])
        of = Evaluated(
            cell.target, tuple(LABELS.get(cell.target, ())), tuple(metrics), format=find(cell.target).kind.name
        )
        predictions_file.write(scratch, cell.label, StoredPredictions(of, self.predictions(cell)))
        return parquet.read_table(scratch)

    def gold(self, directory: Path) -> None:
        """The benchmark's label files."""
        for name, task in TASKS.items():
            (directory / task.folder).mkdir(parents=True)
            for one in self.predictions(Cell("small", "lora", "none", "none", name, 1)):
                _write_gold(directory / task.folder, name, one)

    def _item(self, name: str, at: int, gold: np.random.Generator, random: np.random.Generator) -> tuple[Any, Any]:
        layout = TASKS[name].layout
        if layout == "answers":
            right = [str(gold.choice(TEXTS)) for _ in range(1 + at % 2)]
            return right, choose(random, TEXTS, right[0])
        if layout == "pairs":
            right = [f"en-{at}"] if gold.random() < 0.7 else []
            return right, choose(random, ["", f"en-{at + 1}"], right[0] if right else "")
        if layout == "places":
            place = int(gold.integers(40))
            nearest = int(choose(random, [str(other) for other in range(40)], str(place)))
            if nearest == place:
                return np.array([place, 40]), np.array([nearest, 1, 1301])
            return np.array([place, 40]), np.array([nearest, 2, 1302])
        size, words = len(LABELS[name]), 1 if layout == "labels" else 1 + at % 6
        classes = gold.integers(size, size=words)
        return classes, np.where(random.random(words) < 0.7, classes, random.integers(size, size=words))


def _write_gold(directory: Path, name: str, one: LanguagePredictions) -> None:
    path, layout = directory / f"test-{one.language}.tsv", TASKS[name].layout
    if layout == "answers":
        asked = [
            {"id": id, "answers": [{"text": text} for text in right]}
            for id, right in zip(one.ids, one.gold, strict=True)
        ]
        path.with_suffix(".json").write_text(json.dumps([{"paragraphs": [{"qas": asked}]}]))
        return
    if layout == "pairs":
        lines = [f"{id}\t{other}" for id, right in zip(one.ids, one.gold, strict=True) for other in right]
    elif layout == "places":
        lines = [str(right[0]) for right in one.gold]
    else:
        names = ["0", "1"] if name == "paws-x" else LABELS[name]
        lines = [line for right in one.gold for line in [*(names[at] for at in right), *[""] * (layout == "tags")]]
    path.write_text("".join(f"{line}\n" for line in lines))


def made_up(root: Path, made: Made, **changes: Any) -> tuple[Store, Path]:
    store, scratch = Store(root / "store"), root / "scratch.parquet"
    fake = Fake(
        backbones=("small",),
        intermediates=("none",),
        targets=tuple(made.languages),
        compare=False,
        bootstrap=50,
        answers=lambda cell: made.table(cell, scratch),
    )
    return store, write(store, replace(fake, **changes))


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all nine tasks, two seeds, and the label files beside its store."""
    root, made = tmp_path_factory.mktemp("nine"), Made()
    store, run = made_up(root, made, seeds=(1, 2))
    made.gold(root / "labels")
    build(store, run)
    return root


def test_languages_are_the_benchmarks() -> None:
    assert {task.folder: sorted(task.languages) for task in TASKS.values()} == {
        folder: sorted(codes.split(",")) for folder, codes in LANGUAGES.items()
    }


def test_a_submission_scores_what_the_report_says(
    nine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_seed = []
    for seed in (1, 2):
        out = tmp_path / str(seed)
        assert (
            main(["export-xtreme", "fake", "--store", f"{nine / 'store'}", "--seed", f"{seed}", "--out", f"{out}"]) == 0
        )
        by_seed.append(evaluate(out / "predictions", nine / "labels"))
        assert "pawsx: PAWS-X, 7 of 7 languages, 84 items, from small.lora.none.paws-x.seed" in capsys.readouterr().out
    expected = {name: (by_seed[0][name] + by_seed[1][name]) / 2 for name in by_seed[0]}
    report = json.loads((nine / "store" / "runs" / "fake" / "report" / "report.json").read_text())
    (row,) = report["xtreme"]
    for name, task in TASKS.items():
        one = row["tasks"][name]
        assert one["languages"] == one["of"] == len(task.languages)
        assert 100 * one["score"]["value"] == pytest.approx(expected[task.folder], abs=1e-3), name
    for (group, _), folders in zip(GROUPS.items(), FOLDERS_OF_GROUPS.values(), strict=True):
        theirs = next(name for name, members in FOLDERS_OF_GROUPS.items() if members == folders)
        assert 100 * row["groups"][group]["value"] == pytest.approx(expected[theirs], abs=1e-3)
    assert 100 * row["overall"]["value"] == pytest.approx(expected["all"], abs=1e-3)
    assert row["overall"]["low"] < row["overall"]["value"] < row["overall"]["high"]


def test_pages_show_the_section(nine: Path) -> None:
    directory = nine / "store" / "runs" / "fake" / "report"
    text, page = (directory / "report.md").read_text(), (directory / "index.html").read_text()
    section = text[text.index("## XTREME\n") : text.index("## Failed cells")]
    assert "averages of groups sentence-pair classification" in section
    assert "all nine tasks" in section
    assert "XTREME’s scores, in per cent" in page


def test_ranks_are_no_per_cent(nine: Path) -> None:
    text = (nine / "store" / "runs" / "fake" / "report" / "report.md").read_text()
    table = text[text.index("tatoeba: rank distance, in ranks, lower is better") :].split("\n\n")[1]
    assert table.count("| 1,300.0 [1,300.0, 1,300.0] |") == 1
    assert "130,000" not in table


def test_what_is_not_whole_enters_no_average(tmp_path: Path) -> None:
    languages = {name: TASKS[name].languages for name in ("xnli", "paws-x", "udpos", "xquad")}
    languages["udpos"] = languages["udpos"][:30]
    languages["xquad"] = (*languages["xquad"], "ro")
    store, run = made_up(tmp_path, Made(languages))
    analysis = analyse(store, run)
    (row,) = analysis.xtreme
    udpos, xquad = row.tasks["udpos"], row.tasks["xquad"]
    assert (udpos.languages, udpos.wanted, udpos.seeds) == (30, 33, ())
    assert list(row.groups) == ["sentence-pair classification"]
    assert row.overall == Missing(3, 9, "task")
    scores = {one.language: one.estimate.value for one in analysis.cells if one.metric == "squad_mean"}
    assert isinstance(xquad.quantity, Estimate)
    assert xquad.quantity.value == pytest.approx(np.mean([scores[code] for code in TASKS["xquad"].languages]))
    shown = table(analysis.xtreme, None)
    assert shown is not None
    assert "(30 of 33 languages)" in markdown(shown)
    assert markdown(shown).splitlines()[4].endswith("| 3 of 9 tasks |")


def test_a_missing_seed_or_a_second_target_of_a_task_makes_no_score(tmp_path: Path) -> None:
    made = Made({name: TASKS[name].languages for name in ("xnli", "paws-x")})
    failed = Cell("small", "lora", "none", "none", "xnli", 2)
    store, run = made_up(tmp_path, made, seeds=(1, 2), statuses={failed: "failed"})
    (row,) = analyse(store, run).xtreme
    assert row.tasks["xnli"].quantity == Missing(1, 2, "seed", "1 failed")
    assert (row.groups, row.overall) == ({}, Missing(1, 9, "task"))


def test_recipes_without_xtremes_tasks_have_no_section(tmp_path: Path) -> None:
    store = Store(tmp_path)
    analysis = analyse(store, write(store, Fake()))
    assert analysis.xtreme == ()
    assert table(analysis.xtreme, None) is None


REFUSED = [
    (["--seed", "3"], "the run 'fake' has no cell of seed 3"),
    (["small.lora.nothing"], "the run 'fake' has no cell 'small.lora.nothing'"),
    ([], "a submission is one setting's: one cell per task"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_the_cells_must_be_one_settings(
    nine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert main(["export-xtreme", "fake", *arguments, "--store", str(nine / "store"), "--out", str(out)]) == 2
    complaints = capsys.readouterr().err
    assert message in complaints
    assert not out.exists()
    if not arguments:
        assert "small.lora.none.xnli.seed1 (xnli)" in complaints and "small.lora.none.xnli.seed2 (xnli)" in complaints


def test_missing_languages_are_refused_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up(tmp_path, Made({"paws-x": ("de", "en", "fr")}))
    command = ["export-xtreme", "fake", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "lacks 4 of the 7 languages that XTREME scores PAWS-X in: es, ja, ko, zh" in capsys.readouterr().err
    assert main([*command, "--partial"]) == 0
    assert "PAWS-X, 3 of 7 languages, 36 items" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out" / "predictions" / "pawsx").iterdir()}
    assert names == {"test-de.tsv", "test-en.tsv", "test-fr.tsv"}
