"""What a machine refuses, in words that name the file and what helps."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from adapterx import cli, faults, places
from adapterx.errors import AdapterxError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in (places.STORE, places.CACHE, "XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "option"),
    [
        ("adapterx-store/stages/target/x/adapter.safetensors", "--store or ADAPTERX_STORE"),
        ("adapterx-store", "--store or ADAPTERX_STORE"),
        (".cache/adapterx/backbones/x", "ADAPTERX_CACHE"),
        (".cache/adapterx", "ADAPTERX_CACHE"),
        (".cache", "ADAPTERX_CACHE"),
        (".cache/huggingface/hub", "HF_HOME"),
    ],
)
def test_the_option_or_variable_that_helps_is_named(home: Path, file: str, option: str) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(home / file))
    assert faults.worded(error) == f"{home / file}: Permission denied; choose another place with {option}"


def test_the_store_in_use_is_the_one_that_is_asked_of(home: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(home / "elsewhere" / "x"))
    assert "--store" not in faults.worded(error)
    told = faults.worded(error, home / "elsewhere")
    assert told.endswith("make room, or choose another place with --store or ADAPTERX_STORE")


def test_a_file_of_the_users_own_gets_no_advice(home: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(home / "recipes" / "r.yaml"))
    assert faults.worded(error) == f"{home / 'recipes' / 'r.yaml'}: Permission denied"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EIO, "input/output error"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.ENOLCK, "no locks"),
        (errno.ENOSYS, "no locks"),
        (errno.EOPNOTSUPP, "no locks"),
    ],
)
def test_each_fault_says_what_it_is_about(home: Path, number: int, words: str) -> None:
    told = faults.worded(OSError(number, os.strerror(number), str(home / "adapterx-store" / "x")))
    assert words in told and "\n" not in told


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EIO, "x"), errno.EIO),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), errno.ENOSPC),
        (Exception("No such file or directory (os error 2)"), errno.ENOENT),
        (OSError("Cannot open file: [errno 5] Input/output error"), errno.EIO),
        (RuntimeError("The size of tensor a (12) must match the size of tensor b (28)"), None),
        (AdapterxError("cannot be read: (os error 12)"), None),
        (ValueError("x (os error 99999)"), None),
    ],
)
def test_the_systems_number_is_found_whoever_tells_it(error: Exception, number: int | None) -> None:
    assert faults.code(error) == number


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("unable to mmap 471 bytes from file <model.safetensors>: Cannot allocate memory (12)"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (SafetensorError("Cannot allocate memory (os error 12)"), True),
        (RuntimeError("The size of tensor a (12) must match the size of tensor b (28)"), False),
    ],
)
def test_a_mapping_that_finds_no_memory_is_out_of_memory(error: Exception, expected: bool) -> None:
    assert faults.is_out_of_memory(error) == expected


def test_a_path_of_5000_letters_is_told_on_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "s" * 5000
    for arguments in (["report", "x", "--store", long], ["report", long], ["tasks", "show", long]):
        assert cli.main(arguments) == 2
        told = capsys.readouterr().err
        assert len(told.splitlines()) == 1 and len(told) < 500, told


@pytest.mark.parametrize("variable", [places.CACHE, "XDG_CACHE_HOME", "HOME"])
def test_a_cache_that_cannot_be_written_is_told_with_its_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    (home / "file").write_text("")  # nobody, not even root, makes a directory in a file
    monkeypatch.setenv(variable, str(home / "file"))
    assert cli.main(["tasks", "show", "time-order", "-n", "1"]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert str(home / "file") in told and "choose another place with ADAPTERX_CACHE" in told
