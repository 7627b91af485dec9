"""Sources that an installed package adds, in a fresh process that finds its metadata on `sys.path`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, Done, environment, process
from tests.support.distribution import install

MODULE = '''
from typing import Literal
from adapterx.config.fields import PositiveInt
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.sources.base import SourceSpec


class Counting(SourceSpec):
    """Numbers, which are even or not."""

    kind: Literal["counting"]
    up_to: PositiveInt

    @property
    def split_names(self):
        return ("train", "dev", "test")

    def entries(self, task, language, split):
        return (PairExample(f"{split}-{n}", f"{language} {split} {n}", None, n % 2) for n in range(self.up_to))

    def digest(self, task, splits):
        return {"up_to": self.up_to, "splits": {split: sorted(languages) for split, languages in splits.items()}}

    def size(self, task, language, split):
        return self.up_to


class Other(SourceSpec):
    kind: Literal["something"]
'''
TASK = """\
adapterx: 1
name: parity
description: Even or not.
format: pair-classification
labels: ["even", "odd"]
metrics: accuracy
languages: [en, de]
licence: CC0-1.0
sources:
  made: {kind: counting, up_to: 40}
"""
RECIPE = """\
adapterx: 1
name: mine
backbones: {small: embedded/e5-small@2}
methods: {lora: {kind: lora, rank: 2}}
intermediates: {none: null}
targets: {parity: {task: parity}}
train: {target: {steps: 2, batch_size: 4}}
evaluate: {}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a task of the kind `counting`, and a recipe for it."""
    (tmp_path / "parity.yaml").write_text(TASK)
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def installed(here: Path, version: str = "1.2", named: str = "counting = counting:Counting") -> Path:
    name, _, stands_for = named.partition(" = ")
    points = {"adapterx.sources": {name: stands_for}}
    return install(here / f"packages-{version}", "count-up", version, {"counting": MODULE}, points)


def adapterx(here: Path, packages: Path | None, *arguments: str) -> Done:
    path = os.pathsep.join(str(one) for one in (packages, ROOT) if one is not None)
    return process(*arguments, cwd=here, env=environment(PYTHONPATH=path))


def python(here: Path, packages: Path, program: str, **variables: str) -> str:
    """What a program prints in a process that knows the packages."""
    path = os.pathsep.join(map(str, (packages, ROOT)))
    command, own = [sys.executable, "-c", program], environment(PYTHONPATH=path, **variables)
    done = subprocess.run(command, cwd=here, env=own, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_source_of_a_package_is_listed_shown_and_planned(here: Path) -> None:
    packages = installed(here)
    listed = adapterx(here, packages, "tasks")
    assert listed.returncode == 0, listed.stderr
    (line,) = [line for line in listed.stdout.splitlines() if line.strip().startswith("parity")]
    assert line.split()[1:8] == ["*", "pair-classification", "2", "40", "40", "40", "made"] and "here" in line
    shown = adapterx(here, packages, "tasks", "show", "parity", "--split", "dev", "-n", "2", "--language", "de")
    assert "dev-1" in shown.stdout and "odd" in shown.stdout, shown.stdout + shown.stderr
    planned = adapterx(here, packages, "plan", "r.yaml")
    assert planned.returncode == 0 and "2 stages" in planned.stdout, planned.stdout + planned.stderr


def test_the_packages_version_is_part_of_the_identity(here: Path) -> None:
    program = (
        "from pathlib import Path; from adapterx.tasks import data;"
        "print(data.fingerprint(data.find('parity', Path()), 'made', {'test': ['de']}))"
    )
    found = []
    for version in ("1.2", "1.3"):
        packages = installed(here, version)
        for _ in range(2):
            found.append(python(here, packages, program))
    assert found[0] == found[1] != found[2] == found[3]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            "local = counting:Counting",
            "count-up 1.2 (entry point adapterx.sources: local) adds 'local', which adapterx has itself: uninstall the"
            " package",
        ),
        (
            "counting = counting:Absent",
            "count-up 1.2 (entry point adapterx.sources: counting) cannot be loaded: module 'counting' has no attribute"
            " 'Absent'; upgrade or uninstall the package",
        ),
        (
            "counting = counting:Other",
            "count-up 1.2 adds the kind of source 'counting', which is no subclass of"
            ' adapterx.tasks.sources.base.SourceSpec with `kind: Literal["counting"]`: upgrade or uninstall the'
            " package",
        ),
        ("counting = counting:Literal", "count-up 1.2 adds the kind of source 'counting', which is no subclass of"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(here: Path, named: str, message: str) -> None:
    done = adapterx(here, installed(here, named=named), "plan", "r.yaml")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_package_the_kind_is_unknown(here: Path) -> None:
    done = adapterx(here, None, "plan", "r.yaml")
    assert done.returncode == 2 and "unknown kind 'counting'" in done.stderr, done.stderr
