"""Batches that take turns, text beside tasks, and pairs to learn retrieval from, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterx.cli import main
from tests.end_to_end.test_run import records

LANGUAGES = ("en", "de", "sw")
WORDS = {
    "en": ("where is", "stands in"),
    "de": ("wo ist", "steht in"),
    "sw": ("iko wapi", "iko katika"),
}
PLACES = ("Berlin", "Lima", "Oslo", "Quito", "Rabat", "Seoul", "Tunis", "Vaduz", "Accra", "Dakar", "Hanoi", "Kabul")
HEAD = """\
adapterx: 1
name: {name}
description: Where things are.
format: {format}
parallel: true
languages: [en, de, sw]
licence: mine
"""
PAIRS = (
    HEAD.format(name="where", format="contrastive")
    + "sources: {local: {kind: local, reader: jsonl, columns: {query: q, candidate: c, negatives: n, id: id},"
    ' splits: {train: {paths: "where-{language}.jsonl"}}}}\n'
)
SEARCHED = (
    HEAD.format(name="found", format="retrieval")
    + "metrics: [mean_average_precision, rank_distance]\npool: all\n"
    + "sources: {local: {kind: search, splits: {test: {\n"
    + '  queries: {paths: "found-q-{language}.tsv", id: 0, text: 1},\n'
    + '  candidates: {paths: "found-c-{language}.tsv", id: 0, text: 1},\n'
    + '  relevant: "found-r-{language}.tsv"}}}}\n'
)


@pytest.fixture
def grid(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Writes a recipe of one small backbone."""

    def write(**sections: Any) -> Path:
        return recipe(
            **{
                "backbones": {"small": str(checkpoints["small"])},
                "methods": {"lora": {"kind": "lora", "rank": 2}},
                "transfers": ["continue"],
                "seeds": [1],
                "train": {"learning_rate": 1e-3, "batch_size": 8, "steps": 8, "max_length": 32, "limit": 48},
                "compare": None,
                **sections,
            }
        )

    return write


def losses(store: Path, label: str) -> list[float]:
    """The losses of a stored training."""
    (stage,) = (store / "stages").glob(f"*/{label}-*")
    return [json.loads(line)["loss"] for line in (stage / "training.jsonl").read_text().splitlines()]


def test_batches_and_text_are_what_they_are_alone(grid: Callable[..., Path], tmp_path: Path) -> None:
    own = {"tasks": ["time-order", "place-match"], "languages": [*LANGUAGES]}
    hybrid = {**own, "batches": {"monolingual": 0.5}}
    text = {"tasks": "time-order", "with": {"task": "cldr-text", "share": 0.25, "languages": ["en", "fi"]}}
    target = {"task": "time-order", "train_languages": [*LANGUAGES], "batches": {"monolingual": 0}, "languages": ["en"]}
    sections: dict[str, Any] = {"targets": {"order": target}}
    together, alone = tmp_path / "together", tmp_path / "alone"
    path = grid(intermediates={"none": None, "hybrid": hybrid, "plain": own, "text": text}, **sections)
    assert main(["run", str(path), "--store", str(together)]) in (0, 1)
    for name, learnt in (("hybrid", hybrid), ("text", text)):
        path = grid(intermediates={name: learnt}, **sections)
        assert main(["run", str(path), "--store", str(alone)]) in (0, 1)
        label = f"small.lora.{name}.seed1"
        assert losses(alone, label) == pytest.approx(losses(together, label), abs=1e-5)
    curve = losses(together, "small.lora.text.seed1")
    masked = [loss for step, loss in enumerate(curve) if step % 4 == 3]
    assert min(masked) > 3 * max(loss for step, loss in enumerate(curve) if step % 4 != 3), "guesses among all tokens"
    found = records(together)
    assert found["intermediate small.lora.hybrid.seed1"]["settings"]["batches"]["monolingual"] == 0.5
    assert found["intermediate small.lora.text.seed1"]["settings"]["with"] == {"share": 0.25, "version": 1}
    assert "batches" not in found["intermediate small.lora.plain.seed1"]["settings"]
    assert not list(together.rglob("failure*.json"))


def test_a_retriever_learns_from_pairs_and_is_searched_with(
    grid: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    (tmp_path / "where.yaml").write_text(PAIRS)
    (tmp_path / "found.yaml").write_text(SEARCHED)
    for code, (asks, says) in WORDS.items():
        lines = [
            {"id": str(at), "q": f"{asks} {at + 20}?", "c": f"{at + 20} {says} {place}", "n": [f"{says} {place}"]}
            for at, place in enumerate(PLACES)
        ]
        (tmp_path / f"where-{code}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for part, key in (("q", "q"), ("c", "c")):
            text = "".join(f"{line['id']}\t{line[key]}\n" for line in lines)
            (tmp_path / f"found-{part}-{code}.tsv").write_text(text)
        (tmp_path / f"found-r-{code}.tsv").write_text("".join(f"{line['id']}\t{line['id']}\n" for line in lines))
    learnt = {"tasks": "where", "languages": "all", "batches": {"monolingual": 0.5}}
    path = grid(
        intermediates={"none": None, "hybrid": {**learnt, "contrastive": {"query_prefix": "query: "}}},
        targets={
            "multi": {"task": "found", "retrieval": {"layer": 3, "query_prefix": "query: "}},
            "trained": {"task": "found", "train_task": "where", "train_languages": "all", "retrieval": {"layer": 3}},
        },
        train={"learning_rate": 3e-3, "batch_size": 12, "steps": 40, "max_length": 32},
        evaluate=None,
    )
    assert main(["run", str(path), "--store", str(tmp_path / "store")]) in (0, 1)
    shown = capsys.readouterr().out
    assert "trained 3 stages, evaluated 4" in shown, shown
    report = json.loads((tmp_path / "store" / "runs" / "grid" / "report" / "report.json").read_text())
    scores = {(cell["intermediate"], cell["target"]): cell for cell in report["cells"]}
    assert len(scores) == 4 and all(cell["status"] in ("done", "collapsed") for cell in scores.values()), scores
    (hybrid,) = (tmp_path / "store" / "stages" / "intermediate").iterdir()
    settings = json.loads((hybrid / "record.json").read_text())["settings"]
    assert settings["contrastive"]["query_prefix"] == "query: " and settings["contrastive"]["temperature"] == 0.05
    curve = losses(tmp_path / "store", "small.lora.hybrid.seed1")
    assert sum(curve[-5:]) < sum(curve[:5]), "candidates are told apart"
    # The libraries' own models draw the same batches and find the same losses.
    assert main(["run", str(path), "--store", str(tmp_path / "other"), "lane=reference"]) in (0, 1)
    reference = losses(tmp_path / "other", "small.lora.hybrid.seed1")
    assert reference[:10] == pytest.approx(curve[:10], abs=0.01)


@pytest.mark.parametrize(
    ("learnt", "target", "reason"),
    [
        ({"tasks": "squad-pairs"}, {"task": "squad-pairs"}, "is pairs to learn from, and is not scored"),
        (
            {"tasks": "time-order", "contrastive": {}},
            {"task": "time-order"},
            "learns nothing of the format contrastive",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_the_plan(
    learnt: dict[str, Any],
    target: dict[str, Any],
    reason: str,
    grid: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = grid(intermediates={"own": learnt}, targets={"own": target})
    main(["plan", str(path), "--store", str(tmp_path / "store")])
    assert reason in " ".join(capsys.readouterr().out.split())
