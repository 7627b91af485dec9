"""A method of an installed package: CONTRIBUTING's own example, in a package of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backbones.checkpoints import save
from tests.support.command import ROOT, environment

ENTRY = "[adapterx.methods]\nshift = my_package.shift.spec:Shift\n"


def package(directory: Path, entry: str = ENTRY, version: str = "1.2") -> Path:
    """An installed distribution with CONTRIBUTING's method; its directory is a place to import from."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    spec, layers = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]
    shift = directory / "my_package" / "shift"
    shift.mkdir(parents=True)
    (shift.parent / "__init__.py").touch()
    (shift / "__init__.py").touch()
    for name, code in (("spec", spec), ("layers", layers)):
        (shift / f"{name}.py").write_text(code.replace("adapterx.methods.shift", "my_package.shift"))
    info = directory / f"my_package-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my-package\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry)
    return directory


def recipe(directory: Path) -> Path:
    content = {
        "adapterx": 1,
        "name": "shifts",
        "backbones": {"small": str(save(directory / "small", "xlm-roberta"))},
        "methods": {"shift": {"kind": "shift"}, "lora": {"kind": "lora", "rank": 2}},
        "intermediates": {"none": None, "en": {"tasks": "place-match"}},
        "transfers": ["continue", "stack"],
        "targets": {"order": {"task": "time-order", "languages": ["de"]}},
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 3, "limit": 12, "max_length": 32},
        "evaluate": {"limit": 4},
    }
    path = directory / "shifts.yaml"
    path.write_text(json.dumps(content))
    return path


def command(packages: Path | None, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that finds these packages."""
    extra = {} if packages is None else {"PYTHONPATH": f"{packages}:{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", "adapterx", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
    )


def stages(packages: Path, path: Path, store: Path) -> dict[str, Any]:
    done = command(packages, "plan", path, "--json", "--store", store)
    assert done.returncode == 0, done.stderr
    return {stage["slug"]: stage for stage in json.loads(done.stdout)["stages"] if stage["kind"] == "target"}


@pytest.mark.slow
def test_it_is_planned_trained_stacked_and_stored_under_its_package(tmp_path: Path) -> None:
    path, store = recipe(tmp_path), tmp_path / "store"
    ours = package(tmp_path / "one")
    done = command(ours, "run", path, "--store", store)
    assert done.returncode == 0, done.stdout + done.stderr
    first = stages(ours, path, store)
    assert len(first) == 6 and {stage["state"] for stage in first.values()} == {"stored"}
    (record,) = (store / "stages" / "target").glob("small.shift.none.order*/record.json")
    assert json.loads(record.read_text())["settings"]["method"] == {"kind": "shift", "package": "my-package 1.2"}

    newer = stages(package(tmp_path / "two", version="1.3"), path, store)
    for label, stage in first.items():
        assert (newer[label]["id"] == stage["id"]) == ("lora" in label), "another version, another id"


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    missing = command(None, "plan", path, "--store", tmp_path / "store")
    assert missing.returncode == 2 and "unknown kind 'shift'" in missing.stderr
    entries = {
        "lora = my_package.shift.spec:Shift": "adds 'lora', which adapterx has itself: uninstall the package",
        "shift = my_package.shift.spec:Shifts": "my-package 1.2 (entry point adapterx.methods: shift) cannot be loaded",
        "shift = my_package.shift.spec:Layers": "adds the method 'shift', which is no subclass of",
        "other = my_package.shift.spec:Shift": "adds the method 'other', which is no subclass of",
    }
    for number, (entry, told) in enumerate(entries.items()):
        packages = package(tmp_path / str(number), f"[adapterx.methods]\n{entry}\n")
        done = command(packages, "plan", path, "--store", tmp_path / "store")
        assert done.returncode == 2, done.stderr
        assert told in done.stderr and "Traceback" not in done.stderr


def test_a_name_that_two_packages_claim_is_refused(tmp_path: Path) -> None:
    both = package(tmp_path / "both")
    info = both / "other-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(ENTRY)
    done = command(both, "plan", recipe(tmp_path), "--store", tmp_path / "store")
    assert done.returncode == 2 and "adds 'shift', which" in done.stderr and "uninstall one of them" in done.stderr
