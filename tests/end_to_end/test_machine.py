"""Faults of a machine through the real command line: no locks, no room, a bare C locale, strict modes."""

from __future__ import annotations

import json
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.test_run import records
from tests.support.command import ROOT, adapterx, environment

Recipe = Callable[..., Path]
NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ENOLCK; return -1; }
"""


def small(recipe: Recipe, **more: object) -> Path:
    """One target of one seed and its evaluation."""
    return recipe(**{"intermediates": {"none": None}, "seeds": [1], "compare": None, **more})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a compiler to stand in for the file system")
def test_a_file_system_without_locks_ends_a_run_with_one_line(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "nolock.c").write_text(NO_LOCKS)
    library = tmp_path / "nolock.so"
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "nolock.c")]
    subprocess.run(command, check=True)
    store = tmp_path / "store"
    run = adapterx("run", small(recipe), "--store", store, env=environment(LD_PRELOAD=str(library)), timeout=120)
    assert run.returncode == 2
    told = run.stderr.strip().splitlines()
    assert len(told) == 1 and ".lock: its file system has no locks" in told[0] and "--store" in told[0]
    assert not records(store)


@pytest.mark.slow
def test_a_file_too_large_fails_its_stage_and_the_next_run_mends_it(recipe: Recipe, tmp_path: Path) -> None:
    store, path = tmp_path / "store", small(recipe, methods={"lora": {"kind": "lora", "rank": 64}})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # a run.json has room, an adapter none

    command = [sys.executable, "-m", "adapterx", "run", str(path), "--store", str(store)]
    env = environment(MPLCONFIGDIR=str(tmp_path))
    run = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, preexec_fn=limit, timeout=240, check=False
    )
    assert run.returncode in (1, 2), run.stdout + run.stderr
    assert "ulimit -f" in run.stdout + run.stderr and "Traceback" not in run.stderr
    failures = [json.loads(file.read_text()) for file in store.glob("stages/target/*/failure.json")]
    assert failures and {one["status"] for one in failures} == {"out-of-disk"}
    assert not [key for key in records(store) if key.startswith("target")]
    assert not list(store.rglob("*.tmp"))
    again = adapterx("run", path, "--store", store)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(records(store)) == 4


@pytest.mark.slow
def test_everything_works_in_the_c_locale_and_files_have_the_mode_of_umask(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = small(recipe, description="Größe, 大小, размер — ≤ 3")
    env = environment(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="")
    for arguments in (
        ("run", path, "--store", store),
        ("tasks",),
    ):
        done = adapterx(*arguments, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Error" not in done.stderr
    assert "大小" in (store / "runs" / "grid" / "report" / "report.md").read_text(encoding="utf-8")
    (tmp_path / "file").touch()
    expected = stat.S_IMODE((tmp_path / "file").stat().st_mode)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (store / "stages").rglob("*") if file.is_file()}
    assert modes == {expected}
