from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapterx.limits import Limit
from adapterx.tasks import stored
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds import encoding
from adapterx.tasks.token_cache import TokenCache, token_key
from tests.arrays import same
from tests.cells import encoded
from tests.support.command import ROOT

SETTINGS: dict[str, object] = {"content": "data", "limit": None, "tokenizer": "xlm-r", "max_length": 128}

WRITE = """
import sys
from pathlib import Path
from adapterx.tasks.token_cache import TokenCache
from tests.arrays import mapped
from tests.cells import encoded
for _ in range(20):
    assert mapped(TokenCache(Path(sys.argv[1])).keep("key", encoded("tagging")).tokens)
"""


def key(**changes: object) -> str:
    return token_key(**(SETTINGS | changes))  # type: ignore[arg-type]


def test_every_setting_has_its_part_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        key(),
        key(content="other"),
        key(limit=Limit(3, "first")),
        key(limit=Limit(2, "first")),
        key(limit=Limit(3)),
        key(tokenizer="other"),
        key(max_length=127),
    }
    monkeypatch.setattr(encoding, "VERSION", encoding.VERSION + 1)
    keys.add(key())
    monkeypatch.setattr(stored, "LAYOUT", stored.LAYOUT + 1)
    keys.add(key())
    assert len(keys) == 9


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    data = encoded("tagging")
    assert TokenCache(tmp_path).find("key") is None
    kept = TokenCache(tmp_path).keep("key", data)
    assert isinstance(kept.ids, stored.StoredTexts)
    found = TokenCache(tmp_path).find("key")
    assert found is not None
    assert same(found, data) and same(kept, data)
    assert TokenCache(tmp_path).find("other") is None


def test_a_damaged_entry_is_named_ignored_and_written_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, data = TokenCache(tmp_path), encoded("tagging")
    cache.keep("key", data)
    path = cache.path("key")
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.find("key") is None
    assert str(path) in caplog.text
    assert same(cache.keep("key", data), data)
    assert cache.find("key") is not None


def test_a_full_disk_is_told_once_and_leaves_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("adapterx.store.atomic.synchronise", full)
    cache, data = TokenCache(tmp_path / "tokens"), encoded("tagging")
    assert cache.keep("one", data) is data
    assert cache.keep("two", data) is data
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(cache.path("one")) in record.message and "No space left" in record.message
    assert list((tmp_path / "tokens").iterdir()) == []


def test_a_directory_that_cannot_be_is_told_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("a file in its place")
    cache, data = TokenCache(tmp_path / "tokens"), encoded("tagging")
    assert cache.find("key") is None
    assert cache.keep("key", data) is data
    assert str(tmp_path / "tokens") in caplog.text


def test_threads_may_write_the_same_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, kept, start = encoded("tagging"), list[Encoded](), threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(10):
            kept.append(TokenCache(tmp_path).keep("key", data))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 40 and all(same(found, data) for found in kept)
    assert not caplog.records
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]


def test_processes_may_write_the_same_entry(tmp_path: Path) -> None:
    commands = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for command in commands:
        _, complaint = command.communicate(timeout=120)
        assert (command.returncode, complaint) == (0, b"")
    found = TokenCache(tmp_path).find("key")
    assert found is not None and same(found, encoded("tagging"))
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]
