"""Kinds of task and metrics that an installed package adds: CONTRIBUTING's own example, in a package of its own."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest

from tests.support.command import ROOT, Done, environment, process
from tests.support.distribution import install
from tests.tasks.test_source_plugins import python

METRIC = """
from adapterx.tasks.answers import LABELS
from adapterx.tasks.metrics import Accuracy, Scoring


class Errors(Accuracy):
    name = "errors"

    def value(self, sums):
        return 1 - super().value(sums)


ERRORS = Scoring("errors", LABELS, lambda of: Errors())
RENAMED = Scoring("mistakes", LABELS, lambda of: Errors())
"""
TASK = """\
adapterx: 1
name: pairs
description: Which is acceptable?
format: minimal-pairs
labels: [first, second]
metrics: [accuracy, errors, all_right]
languages: [en]
licence: CC0-1.0
sources:
  local:
    kind: local
    reader: tsv
    columns: {good: 0, bad: 1}
    splits: {train: {paths: pairs.tsv}, test: {paths: others.tsv}}
"""
RECIPE = """\
adapterx: 1
name: mine
backbones: {small: embedded/e5-small@2}
methods: {lora: {kind: lora, rank: 2}}
intermediates: {none: null}
targets: {pairs: {task: pairs}}
train: {target: {steps: 1, batch_size: 4, max_length: 16}}
evaluate: {}
"""
KIND = {"minimal-pairs": "minimal:KIND"}
SCORING = {"errors": "mistaken:ERRORS", "all_right": "right:ALL_RIGHT"}
FINGERPRINT = """
from pathlib import Path
from adapterx.tasks import data
spec = data.find("pairs", Path())
print([data.fingerprint(spec, "local", {split: ["en"]}) for split in ("train", "test")])
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a task of the kind `minimal-pairs`, its files, and a recipe for it."""
    (tmp_path / "pairs.yaml").write_text(TASK)
    (tmp_path / "r.yaml").write_text(RECIPE)
    for name, noun in (("pairs", "cat"), ("others", "dog")):
        lines = [f"the {noun} sleeps {number}\tthe {noun} sleep {number}\n" for number in range(20)]
        (tmp_path / f"{name}.tsv").write_text("".join(lines))
    return tmp_path


def page(begins: str) -> str:
    """The module of CONTRIBUTING whose docstring begins so."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```python\n(\"\"\"{begins}.*?)```", text, re.DOTALL)
    return str(found)


def installed(
    here: Path, version: str = "1.2", kind: dict[str, str] | None = None, metric: dict[str, str] | None = None
) -> Path:
    points = {
        "adapterx.tasks": KIND if kind is None else kind,
        "adapterx.metrics": SCORING if metric is None else metric,
    }
    modules = {"minimal": page("Minimal pairs"), "right": page("The share of sentences"), "mistaken": METRIC}
    return install(here / f"packages-{version}", "blimp", version, modules, points)


def adapterx(here: Path, packages: Path | None, *arguments: str) -> Done:
    path = os.pathsep.join(str(one) for one in (packages, ROOT) if one is not None)
    return process(*arguments, cwd=here, env=environment(PYTHONPATH=path, ADAPTERX_DATA=str(here)))


@pytest.mark.slow
def test_a_kind_and_a_metric_of_a_package_are_shown_and_run(here: Path) -> None:
    packages = installed(here)
    shown = adapterx(here, packages, "tasks", "show", "pairs", "--split", "test", "-n", "2")
    assert shown.returncode == 0, shown.stderr
    assert "minimal-pairs" in shown.stdout
    sentences = re.findall(r"^  (→ |  )«<s>» the dog (sleeps?) (\d)", shown.stdout, re.MULTILINE)
    assert [(word, number) for arrow, word, number in sentences if arrow == "→ "] == [("sleeps", "0"), ("sleeps", "1")]
    assert len(sentences) == 4, shown.stdout
    done = adapterx(here, packages, "run", "r.yaml", "--store", "store")
    # One step on few items: the cell may collapse (exit code 1), but it was evaluated.
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stdout + done.stderr
    (results,) = (here / "store" / "runs").glob("*/report/results.csv")
    with results.open(encoding="utf-8") as file:
        found = {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
    assert set(found) == {"accuracy", "errors", "all_right"}
    assert found["all_right"] == pytest.approx(found["accuracy"]), "a choice has one label"
    assert found["errors"] == pytest.approx(1 - found["accuracy"])


def test_the_packages_version_is_part_of_the_identity(here: Path) -> None:
    found = [python_in(here, installed(here, version)) for version in ("1.2", "1.3")]
    assert found[0] == python_in(here, here / "packages-1.2")
    assert all(one != other for one, other in zip(*found, strict=True))


def test_a_metric_is_part_of_the_identity_of_what_is_scored_alone(here: Path) -> None:
    """Of a kind that adapterx has itself, trained on the same rows."""
    text = TASK.replace("minimal-pairs", "pair-classification").replace("{good: 0, bad: 1}", "{text: 0, label: 1}")
    (here / "pairs.yaml").write_text(text)
    (here / "pairs.tsv").write_text("a\tfirst\nb\tsecond\n")
    (here / "others.tsv").write_text("c\tfirst\nd\tsecond\n")
    train, test = zip(*(python_in(here, installed(here, version, {})) for version in ("1.2", "1.3")), strict=True)
    assert train[0] == train[1]
    assert test[0] != test[1]


def python_in(here: Path, packages: Path) -> list[str]:
    """Fingerprints of the task's training and test data."""
    train, test = re.findall(r"[0-9a-f]{16,}", python(here, packages, FINGERPRINT, ADAPTERX_DATA=str(here)))
    return [train, test]


@pytest.mark.parametrize(
    ("kind", "metric", "message"),
    [
        ({"tagging": "minimal:KIND"}, {}, "(entry point adapterx.tasks: tagging) adds 'tagging', which adapterx has"),
        ({"minimal-pairs": "minimal:NONE"}, {}, "(entry point adapterx.tasks: minimal-pairs) cannot be loaded: module"),
        ({"minimal-pairs": "minimal:MinimalPairs"}, {}, "which is no object of a subclass of"),
        ({"pairs-of-two": "minimal:KIND"}, {}, 'adapterx.tasks.kinds.base.TaskKind with `name = "pairs-of-two"`'),
        (None, {"accuracy": "mistaken:ERRORS"}, "(entry point adapterx.metrics: accuracy) adds 'accuracy', which"),
        (None, {"errors": "mistaken:RENAMED"}, "which is no adapterx.tasks.metrics.Scoring of that name"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    here: Path, kind: dict[str, str] | None, metric: dict[str, str], message: str
) -> None:
    done = adapterx(here, installed(here, kind=kind, metric=metric), "plan", "r.yaml")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split()), done.stderr
    assert "blimp 1.2" in done.stderr and "Traceback" not in done.stderr


def test_without_the_package_kind_and_metric_are_unknown(here: Path) -> None:
    done = adapterx(here, None, "plan", "r.yaml")
    assert done.returncode == 2 and "'minimal-pairs' is not one of 'pair-classification'" in done.stderr, done.stderr
