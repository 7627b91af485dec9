"""Where things are kept, and that nothing there can be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from adapterx.doctor import disks


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = disks.store(tmp_path / "a" / "b")
    assert found.error == "" and found.free is not None and found.free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_told_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "file" / "cache"))
    for found, option in ((disks.store(tmp_path / "file"), "--store"), (disks.cache(None), "ADAPTERX_CACHE")):
        assert "Not a directory" in found.error and option in found.error and "\n" not in found.error


@pytest.mark.parametrize(("number", "word"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only")])
def test_what_the_system_refuses_is_told(
    number: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("adapterx.doctor.disks.tempfile.TemporaryFile", refuses)
    found = disks.store(tmp_path)
    assert word in found.error and "--store" in found.error and found.free is not None


def test_a_home_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADAPTERX_STORE", "ADAPTERX_CACHE", "HF_HOME"):
        monkeypatch.setenv(name, "~nobody-of-that-name/x")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert "no such home directory" in disks.store(None).error and "ADAPTERX_CACHE" in disks.cache(None).error
    assert disks.cache_size() is None and disks.hub_size() is None and disks.token() is None


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_no_file_system_holds(path: str) -> None:
    assert disks.store(Path(path)).error


def test_files_are_counted_once_and_links_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "one").write_bytes(b"x" * 1000)
    (tmp_path / "snapshot").symlink_to(tmp_path / "blobs")
    (tmp_path / "link").symlink_to(tmp_path / "blobs" / "one")
    found = disks.hub_size()
    assert found is not None and (found.size, found.complete) == (1000, True)
    monkeypatch.setattr(disks, "_PATIENCE", -1.0)
    assert disks.hub_size() == disks.CacheSize(found.path, 0, False)


def test_where_a_token_comes_from_and_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert disks.token() is None
    (tmp_path / "token").write_text("")
    assert disks.token() is None
    (tmp_path / "token").write_text("hf_canary1234567890")
    assert disks.token() == "file"
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_other")
    assert disks.token() == "HUGGING_FACE_HUB_TOKEN"
    monkeypatch.setenv("HF_TOKEN", " ")
    assert disks.token() == "HUGGING_FACE_HUB_TOKEN"
    monkeypatch.setenv("HF_TOKEN", "hf_canary1234567890")
    assert disks.token() == "HF_TOKEN"
