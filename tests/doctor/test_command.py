"""`adapterx doctor` through the real command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapterx.backbones.precisions import PRECISIONS
from adapterx.doctor.libraries import LIBRARIES
from tests.support.command import ROOT, Done, adapterx, environment, process
from tests.support.marks import everyday

CANARY = "hf_canary1234567890"
KEYS = {
    "adapterx_doctor": {},
    "adapterx": {},
    "python": {},
    "quickstart": {},
    "reasons": {},
    "advice": {},
    "processor": {"model", "cores", "threads", "instructions"},
    "gpu": {},
    "device": {},
    "memory": {"total_bytes", "free_bytes", "limit_bytes", "swap_bytes"},
    "formats": {"bfloat16", "int8", "fp8"},
    "libraries": {one.name for one in LIBRARIES},
    "store": {"path", "free_bytes", "writable", "error"},
    "cache": {"path", "free_bytes", "writable", "error"},
    "caches": {"adapterx", "hub"},
    "hub": {"token", "offline"},
    "calibration": {"measured", "precisions", "largest_error", "load", "note"},
    "fits": {"memory_bytes", "cells"},
}


def shadowed(directory: Path, name: str) -> dict[str, str]:
    """Surroundings in which a library is broken."""
    (directory / f"{name}.py").write_text("raise ImportError('broken by a test')\n")
    return environment(PYTHONPATH=os.pathsep.join([str(directory), str(ROOT)]))


def told(done: Done) -> Any:
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store and a cache of the test's own, and a Hub of nobody's."""
    root = tmp_path_factory.mktemp("places")
    return {"ADAPTERX_STORE": str(root / "store"), "ADAPTERX_CACHE": str(root / "cache"), "HF_HOME": str(root / "hub")}


@pytest.mark.slow
def test_json_has_every_key_and_no_token(places: dict[str, str]) -> None:
    done = adapterx("doctor", "--json", env=environment(**places, HF_TOKEN=CANARY))
    found = told(done)
    assert set(found) == set(KEYS)
    for name, below in KEYS.items():
        assert not below or set(below) <= set(found[name]), name
    assert found["hub"] == {"token": "HF_TOKEN", "offline": True}
    assert set(found["fits"]["cells"]) == {"XLM-R base", "XLM-R large", "XLM-R XL", "XLM-R XXL"}
    assert all(list(row) == list(PRECISIONS) for row in found["fits"]["cells"].values())
    assert found["libraries"]["torch"]["usable"] and found["calibration"]["measured"] is None
    assert done.returncode == (0 if found["quickstart"] else 1) and found["quickstart"] is not bool(found["reasons"])
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_page_says_it_in_words_and_shows_no_token(places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(CANARY)
    here = environment(**{**places, "HF_HOME": str(tmp_path)})
    done = adapterx("doctor", env={**here, "HOME": str(tmp_path)})
    assert "a token in the file that `hf auth login` writes" in done.stdout
    assert "The quickstart will" in done.stdout and "XLM-R base" in done.stdout and "calibration" in done.stdout
    assert CANARY not in done.stdout + done.stderr and str(tmp_path) not in done.stdout


@pytest.mark.slow
def test_a_store_that_cannot_be_written_is_a_reason(places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = adapterx("doctor", "--json", "--store", tmp_path / "file", env=environment(**places))
    found = told(done)
    assert done.returncode == 1 and not found["quickstart"] and not found["store"]["writable"]
    assert any("written to the store" in reason and "--store" in reason for reason in found["reasons"])


@pytest.mark.slow
def test_a_library_that_is_broken_is_a_reason(places: dict[str, str], tmp_path: Path) -> None:
    done = process("doctor", "--json", env={**shadowed(tmp_path, "safetensors"), **places})
    found = told(done)
    assert done.returncode == 1
    assert any(
        "safetensors" in reason and "ImportError: broken by a test" in reason and "install it again" in reason
        for reason in found["reasons"]
    )
    assert found["libraries"]["torch"]["usable"]


@pytest.mark.parametrize("name", everyday(["torch", "pydantic", "filelock", "rich"], []))
def test_whatever_is_broken_is_told(name: str, places: dict[str, str], tmp_path: Path) -> None:
    done = process("doctor", env={**shadowed(tmp_path, name), **places})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    text = " ".join(done.stdout.split())
    assert "broken by a test" in text and "The quickstart will not run." in text
    measured = process("doctor", "--calibrate", env={**shadowed(tmp_path, name), **places})
    assert measured.returncode == 2 and "nothing can be measured" in measured.stderr


@pytest.mark.slow
def test_a_home_that_nobody_has_and_a_cache_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = environment(HOME="/nowhere", ADAPTERX_CACHE=str(tmp_path / "file"))
    done = process("doctor", "--json", env={name: value for name, value in env.items() if name != "XDG_CACHE_HOME"})
    found = told(done)
    assert done.returncode == 1 and not found["cache"]["writable"]
    assert any("ADAPTERX_CACHE" in reason for reason in found["reasons"])


def test_mistaken_arguments_are_told_before_torch_is_imported() -> None:
    import subprocess
    import sys

    code = (
        "import sys, adapterx.cli\ntry: adapterx.cli.main(['doctor', '--jsn'])\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 2 and "unrecognized arguments: --jsn" in done.stderr and done.stdout == "False\n"


@pytest.mark.slow
def test_a_calibration_of_nonsense_is_ignored_by_plan_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapterx.pace import calibration

    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = calibration.path_of(calibration.this_machine())
    path.parent.mkdir(parents=True)
    path.write_text("{")
    env = environment(ADAPTERX_CACHE=str(tmp_path / "cache"))
    done = adapterx("plan", "recipes/quickstart.yaml", "--store", tmp_path / "store", env=env)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "is ignored" in line and "at 100 GFLOP/s" in " ".join(done.stdout.split())
    found = told(adapterx("doctor", "--json", "--store", tmp_path / "store", env=env))
    assert "is ignored" in found["calibration"]["note"] and found["calibration"]["measured"] is None
