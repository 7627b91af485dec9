from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from adapterx.store import DamagedFile, Failure, Record, Store, fingerprint, write_bytes, write_json, write_stream

ID = fingerprint("one")
OTHER = fingerprint("two")
KIND, SLUG = "target", "small.lora.multi.continue.choice.seed1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commit(store: Store, id: str = ID, **changes: object) -> Record:
    arguments: dict[str, object] = {
        "settings": {"learning_rate": 1e-4, "languages": ["en", "no"]},
        "inputs": (OTHER,),
        "files": {"adapter.safetensors": b"weights", "training.jsonl": lambda path: path.write_text('{"step": 1}\n')},
        "result": {"steps": 1, "best_dev": None},
        "provenance": {"seconds": 1.5},
        **changes,
    }
    return store.commit(KIND, SLUG, id, **arguments)  # type: ignore[arg-type]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


def test_what_is_committed_is_found(store: Store) -> None:
    assert store.find(ID, KIND, SLUG) is None
    record = commit(store)
    assert store.find(ID, KIND, SLUG) == record
    assert store.read(record, "adapter.safetensors").read_bytes() == b"weights"
    assert store.directory(KIND, SLUG, ID) == store.root / "stages" / KIND / f"{SLUG}-{ID[:12]}"
    assert names(store.directory(KIND, SLUG, ID)) == {"record.json", "adapter.safetensors", "training.jsonl"}


def test_the_id_finds_a_stage_whatever_its_label(store: Store) -> None:
    record = commit(store)
    assert store.find(ID, KIND, "renamed.lora.multi.continue.choice.seed1") == record
    assert store.find(OTHER, KIND, SLUG) is None
    # A failure under the new name does not hide the result under the old one.
    store.fail(KIND, "renamed.again", ID, Failure("failed", "once", "2026-01-01T00:00:00+00:00"))
    assert store.find(ID, KIND, "renamed.again") == record
    commit(store, OTHER)
    renamed = store.find(OTHER, KIND, "renamed")
    assert renamed is not None
    assert store.read(renamed, "adapter.safetensors").read_bytes() == b"weights"


def test_diverged_is_an_outcome_that_stays(store: Store) -> None:
    commit(store, status="diverged")
    found = store.find(ID, KIND, SLUG)
    assert found is not None
    assert found.status == "diverged"


def test_a_file_the_record_does_not_list_is_not_handed_out(store: Store) -> None:
    record = commit(store)
    with pytest.raises(DamagedFile, match=r"head\.safetensors is not listed") as raised:
        store.read(record, "head.safetensors")
    assert raised.value.stage == ID
    assert store.find(ID, KIND, SLUG) is None


@pytest.mark.parametrize("file", ["adapter.safetensors", "training.jsonl", "record.json"])
def test_killed_before_any_one_write_is_never_found(store: Store, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """What SIGKILL leaves: no handler runs, so neither the temporary file nor earlier files are tidied away."""
    monkeypatch.setattr("adapterx.store.store._discard", lambda *_: None)
    monkeypatch.setattr("adapterx.store.atomic.Path.unlink", lambda *_, **__: None)
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == file:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr("adapterx.store.atomic.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            commit(store)
    assert any(name.endswith(".tmp") for name in names(store.directory(KIND, SLUG, ID)))
    assert store.find(ID, KIND, SLUG) is None
    assert store.failure(KIND, SLUG, ID) is None
    assert store.siblings(KIND, SLUG) == []
    monkeypatch.undo()
    record = commit(store)
    assert store.find(ID, KIND, SLUG) == record
    assert names(store.directory(KIND, SLUG, ID)) == {"record.json", *record.files}


@pytest.mark.parametrize("full_at", [1, 2, 3])
def test_full_disk_leaves_no_half_stage(store: Store, monkeypatch: pytest.MonkeyPatch, full_at: int) -> None:
    fsync, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2 * full_at - 1:  # one for each file, one for its directory
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("adapterx.store.atomic.os.fsync", full)
        with pytest.raises(OSError, match="No space left") as error:
            commit(store)
    assert error.value.errno == errno.ENOSPC
    assert not store.directory(KIND, SLUG, ID).exists()
    assert store.find(ID, KIND, SLUG) is None
    store.fail(KIND, SLUG, ID, Failure("out-of-disk", str(error.value), "2026-01-01T00:00:00+00:00"))
    assert store.failure(KIND, SLUG, ID) is not None


def test_a_writer_that_raises_passes_its_error_on(store: Store) -> None:
    def writer(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("gradient exploded")

    with pytest.raises(RuntimeError, match="exploded"):
        commit(store, files={"first": b"1", "second": writer})
    assert not store.directory(KIND, SLUG, ID).exists()


def test_flipped_byte_is_named_and_the_stage_made_anew(store: Store) -> None:
    record = commit(store)
    path = store.directory(KIND, SLUG, ID) / "adapter.safetensors"
    path.write_bytes(b"Weights")
    assert store.find(ID, KIND, SLUG) == record  # the size still fits: only reading sees it
    with pytest.raises(DamagedFile, match=r"adapter\.safetensors has changed"):
        store.read(record, "adapter.safetensors")
    assert store.find(ID, KIND, SLUG) is None
    with pytest.raises(DamagedFile, match=r"adapter\.safetensors is missing"):
        store.read(record, "adapter.safetensors")
    assert commit(store) == store.find(ID, KIND, SLUG)


def damage_truncate(directory: Path) -> None:
    (directory / "adapter.safetensors").write_bytes(b"{")


def damage_remove(directory: Path) -> None:
    (directory / "adapter.safetensors").unlink()


def damage_record(directory: Path) -> None:
    (directory / "record.json").write_text('{"schema": 1')


def damage_other_id(directory: Path) -> None:
    text = (directory / "record.json").read_text()
    (directory / "record.json").write_text(text.replace(ID, ID[:12] + OTHER[12:]))


@pytest.mark.parametrize("damage", [damage_truncate, damage_remove, damage_record, damage_other_id])
def test_a_damaged_stage_is_moved_aside_with_the_reason(
    store: Store, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    for number in (1, 2):
        commit(store)
        directory = store.directory(KIND, SLUG, ID)
        damage(directory)  # type: ignore[operator]
        with caplog.at_level(logging.WARNING):
            assert store.find(ID, KIND, SLUG) is None
        assert not directory.exists()
        assert (store.root / "quarantine" / KIND / f"{directory.name}-{number}").is_dir()
    assert "is damaged (" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("status", "failed"),
        ("status", None),
        ("inputs", [1]),
        ("files", []),
        ("files", {"a": {"sha256": "00", "bytes": 1}}),
        ("files", {"../../etc": {"sha256": "0" * 64, "bytes": 1}}),
        ("result", 3),
    ],
)
def test_an_invalid_record_is_moved_aside(store: Store, key: str, value: object) -> None:
    record = commit(store)
    path = store.directory(KIND, SLUG, ID) / "record.json"
    path.write_text(json.dumps({**record.to_json(), key: value}))
    assert store.find(ID, KIND, SLUG) is None
    assert not path.exists()


def test_a_failure_is_kept_until_a_success(store: Store) -> None:
    failure = Failure("out-of-memory", "CUDA out of memory", "2026-01-01T00:00:00+00:00")
    store.fail(KIND, SLUG, ID, failure)
    assert store.failure(KIND, SLUG, ID) == failure
    assert store.find(ID, KIND, SLUG) is None
    commit(store)
    assert store.failure(KIND, SLUG, ID) is None
    assert "failure.json" not in names(store.directory(KIND, SLUG, ID))


def test_an_unreadable_failure_is_no_failure(store: Store) -> None:
    path = store.directory(KIND, SLUG, ID) / "failure.json"
    write_bytes(path, b'{"status": "bored"}')
    assert store.failure(KIND, SLUG, ID) is None


def test_siblings_are_newest_first_and_of_that_label_only(store: Store) -> None:
    first, second = commit(store), commit(store, id=OTHER)
    store.commit(KIND, SLUG + "-x", ID, settings={}, inputs=(), files={}, result={}, provenance={})
    for age, record in ((100, first), (50, second)):
        path = store.directory(KIND, SLUG, record.id) / "record.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert store.siblings(KIND, SLUG) == [second, first]
    assert store.siblings(KIND, "nobody") == []


def test_a_label_longer_than_file_names_may_be(store: Store) -> None:
    label = "s" * 400
    record = store.commit(KIND, label, ID, settings={}, inputs=(), files={}, result={}, provenance={})
    assert store.find(ID, KIND, label) == record
    assert store.siblings(KIND, label) == [record]
    assert store.siblings(KIND, "s" * 300) == []


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "record.json", "failure.json"])
def test_files_stay_inside_their_stage(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        commit(store, files={name: b""})
    with pytest.raises(ValueError, match="cannot be a directory"):
        store.directory("..", SLUG, ID)


def test_a_result_that_json_cannot_carry_is_refused_whole(store: Store) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        commit(store, result={"loss": float("nan")})
    assert not store.directory(KIND, SLUG, ID).exists()


def test_a_failed_write_keeps_the_former_content(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})

    def writer(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_stream(path, writer)
    assert json.loads(path.read_text()) == {"a": 1}
    assert names(tmp_path) == {"run.json"}


def test_a_full_disk_is_told_with_the_file_it_was_for(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*run\.json"):
        write_stream(tmp_path / "run.json", full)
    assert not list(tmp_path.iterdir())
