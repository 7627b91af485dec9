"""Stores whose files somebody, or a failing disk, has put something else in place of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx.store import DamagedFile, Failure, Store
from tests.store.test_store import ID, KIND, SLUG, commit

DEEP = "[" * 100_000


def directory(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nested(path: Path) -> None:
    path.write_text(DEEP)


def nested_a_little(path: Path) -> None:
    path.write_text('{"schema": 1, "settings": ' + "[" * 300 + "]" * 300 + "}")


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def not_finite(path: Path) -> None:
    path.write_text('{"schema": 1, "result": {"best_dev": NaN}}')


INSTEAD = [directory, pipe, device, nested, nested_a_little, not_text, not_finite]


@pytest.mark.parametrize("instead", INSTEAD)
def test_what_is_no_record_is_moved_aside_and_its_stage_made_anew(
    tmp_path: Path, instead: Callable[[Path], None]
) -> None:
    store = Store(tmp_path)
    commit(store)
    path = store.directory(KIND, SLUG, ID) / "record.json"
    path.unlink()
    instead(path)
    assert store.siblings(KIND, SLUG) == []
    assert store.find(ID, KIND, SLUG) is None
    assert not path.parent.exists()
    assert commit(store) == store.find(ID, KIND, SLUG)


@pytest.mark.parametrize("instead", INSTEAD)
def test_what_is_no_failure_is_moved_aside(tmp_path: Path, instead: Callable[[Path], None]) -> None:
    store = Store(tmp_path)
    path = store.directory(KIND, SLUG, ID) / "failure.json"
    path.parent.mkdir(parents=True)
    instead(path)
    assert store.failure(KIND, SLUG, ID) is None
    failure = Failure("failed", "once", "2026-01-01T00:00:00+00:00")
    store.fail(KIND, SLUG, ID, failure)
    assert store.failure(KIND, SLUG, ID) == failure


@pytest.mark.parametrize("instead", [directory, pipe, device])
@pytest.mark.parametrize("name", ["adapter.safetensors", "training.jsonl", "something"])
def test_a_stage_is_written_though_its_directory_holds_something_else(
    tmp_path: Path, name: str, instead: Callable[[Path], None]
) -> None:
    store = Store(tmp_path)
    path = store.directory(KIND, SLUG, ID) / name
    path.parent.mkdir(parents=True)
    instead(path)
    assert commit(store) == store.find(ID, KIND, SLUG)


@pytest.mark.parametrize("instead", [pipe, device, not_text])
def test_a_stage_is_written_though_its_directory_is_none(tmp_path: Path, instead: Callable[[Path], None]) -> None:
    store = Store(tmp_path)
    path = store.directory(KIND, SLUG, ID)
    path.parent.mkdir(parents=True)
    instead(path)
    assert store.find(ID, KIND, SLUG) is None
    assert commit(store) == store.find(ID, KIND, SLUG)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("slug", "../../etc"),
        ("slug", "/etc"),
        ("slug", ""),
        ("slug", "another"),
        ("slug", 5),
        ("kind", "../../../etc"),
        ("kind", "evaluation"),
        ("files", {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}),
        ("files", {"x" * 5000: {"sha256": "0" * 64, "bytes": 1}}),
        ("files", {"adapter.safetensors": {"sha256": "0" * 64, "bytes": 1e9}}),
        ("status", ["done"]),
        ("id", "\x1b[31m" * 1000),
    ],
)
def test_a_record_that_leads_elsewhere_is_moved_aside(
    tmp_path: Path, key: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "etc"
    outside.mkdir()
    (outside / "adapter.safetensors").write_bytes(b"weights")
    store = Store(tmp_path / "store")
    record = commit(store)
    path = store.directory(KIND, SLUG, ID) / "record.json"
    path.write_text(json.dumps({**record.to_json(), key: value}))
    assert store.find(ID, KIND, SLUG) is None
    assert not path.exists()
    assert [one.name for one in outside.iterdir()] == ["adapter.safetensors"]
    assert "\x1b" not in caplog.text and max(map(len, caplog.messages)) < 1000


def test_a_record_without_files_is_damaged_as_soon_as_one_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = commit(store, files={})
    assert store.find(ID, KIND, SLUG) == record
    with pytest.raises(DamagedFile, match=r"adapter\.safetensors is not listed"):
        store.read(record, "adapter.safetensors")
    assert store.find(ID, KIND, SLUG) is None


def test_a_log_that_is_gone_or_changed_spoils_no_stage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = commit(store)
    path = store.directory(KIND, SLUG, ID) / "training.jsonl"
    assert store.read_log(record, "training.jsonl") == path
    path.write_bytes(b"short")
    assert store.read_log(record, "training.jsonl") is None
    path.unlink()
    assert store.read_log(record, "training.jsonl") is None
    assert store.find(ID, KIND, SLUG) == record


def test_a_damaged_stage_that_cannot_be_moved_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    commit(store)
    (store.directory(KIND, SLUG, ID) / "record.json").write_text("{")

    def read_only(self: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr("adapterx.store.store.Path.rename", read_only)
    assert store.find(ID, KIND, SLUG) is None
    assert "cannot be moved" in caplog.text and "read-only" in caplog.text


def test_a_store_moved_to_another_place_is_the_same(tmp_path: Path) -> None:
    commit(Store(tmp_path / "one"))
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert Store(tmp_path / "two").find(ID, KIND, SLUG) is not None
