"""A store that a failing disk or a hand has damaged: told, made anew where it can be, and never in the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.files import NEVER, PERHAPS, WEIGHTS, Break, copied, mutations, rewrite
from tests.fuzz.outcome import Outcome, command, sampled

STAGES = {
    "an intermediate": "stages/intermediate/small.seq.en.*",
    "a target": "stages/target/small.lora.none.*",
    "an evaluation": "stages/evaluation/small.lora.none.*",
}
FILES = {
    f"{what} {name}": f"{where}/{name}"
    for what, where in STAGES.items()
    for name in ("record.json", "predictions.parquet" if "evaluation" in where else "adapter.safetensors")
} | {
    "a log": "stages/target/small.lora.none.*/training.jsonl",
    "the run": "runs/fuzz/run.json",
    "tokens": "cache/tokens/*",
}
"""What is damaged, by pattern; the first file that fits."""
PARTS = 6
"""Tests that share the changes of one record."""
Adapterx = Callable[..., Outcome]


@pytest.fixture
def adapterx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path
) -> Adapterx:
    """A command on a copy of the store, which is `store`."""
    monkeypatch.chdir(tmp_path)
    copied(run / "store", tmp_path / "store")
    (tmp_path / "r.yaml").write_text((run / "r.yaml").read_text())
    return lambda *arguments: command(capsys, *arguments, "--store", "store")


def _file(name: str, store: Path) -> Path:
    return min(path for path in store.glob(FILES[name]) if path.is_file())


def _results(store: Path) -> list[dict[str, str]]:
    with (store / "runs" / "fuzz" / "report" / "results.csv").open() as file:
        return [{key: value for key, value in row.items() if "second" not in key} for row in csv.DictReader(file)]


def test_every_pattern_names_a_file(run: Path) -> None:
    assert all(_file(name, run / "store").stat().st_size for name in FILES)


BREAKS = {**NEVER, **PERHAPS, "other numbers": WEIGHTS["one tensor less"]}


def _cases() -> tuple[list[Any], list[str]]:
    found = {
        f"{name}: {what}": (name, make)
        for name, pattern in FILES.items()
        for what, make in BREAKS.items()
        if what != "other numbers" or pattern.endswith(".safetensors")
    }
    return list(found.values()), list(found)


@pytest.mark.parametrize(("name", "make"), sampled(*_cases(), everyday=3))
def test_a_damaged_file(name: str, make: Break, tmp_path: Path, adapterx: Adapterx) -> None:
    """Plan and report tell it or do without it, whatever it is."""
    make(_file(name, tmp_path / "store"))
    adapterx("plan", "r.yaml").clean()
    adapterx("report", "fuzz").clean()


AGAIN = ("missing", "half of it", "flipped bits", "a directory")


@pytest.mark.slow
@pytest.mark.parametrize("what", AGAIN)
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_is_made_anew(name: str, what: str, tmp_path: Path, run: Path, adapterx: Adapterx) -> None:
    """The next run ends with the same results."""
    BREAKS[what](_file(name, tmp_path / "store"))
    outcome = adapterx("run", "r.yaml")
    outcome.clean()
    assert outcome.code != 2, outcome.told
    assert _results(tmp_path / "store") == _results(run / "store")


RECORDS = ("an intermediate record.json", "an evaluation record.json", "the run")


def _changed() -> tuple[list[Any], list[str]]:
    cases = [(name, part) for name in RECORDS for part in range(PARTS)]
    return cases, [f"{name} {part}" for name, part in cases]


@pytest.mark.parametrize(("name", "part"), sampled(*_changed(), everyday=0))
def test_a_record_of_other_types(name: str, part: int, tmp_path: Path, run: Path, adapterx: Adapterx) -> None:
    path = _file(name, tmp_path / "store")
    failed = []
    changes = list(mutations(json.loads(path.read_text()), values=2))
    for what, content in changes[part :: 3 * PARTS]:
        rewrite(_restored(path, run, tmp_path), content)
        for arguments in (("plan", "r.yaml"), ("report", "fuzz")):
            try:
                adapterx(*arguments).clean()
            except AssertionError as error:
                failed.append(f"{name} {what}, {arguments[0]}: {str(error).splitlines()[0]}")
    assert not failed, "\n".join(failed)


def _restored(path: Path, run: Path, here: Path) -> Path:
    """The file, in its stage as it was: what is damaged is moved aside."""
    origin = run / "store" / path.relative_to(here / "store")
    if not path.parent.exists():
        copied(origin.parent, path.parent)
    if not path.exists():
        path.write_bytes(origin.read_bytes())
    return path
