"""Which tokens occur, and whose tokenizer they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapterx.tasks import token_set
from adapterx.tasks.known_tokenizers import KnownTokenizer, KnownTokenizers
from adapterx.tasks.token_set import TokenSet


def test_tokens_are_counted_once_over_arrays_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_set, "_BLOCK", 3)
    found = TokenSet(10)
    found.add(np.array([5, 5, 2, 9, 2, 5, 0], np.int32))
    found.add([2, 7])
    assert found.ids().tolist() == [0, 2, 5, 7, 9] and len(found) == 5


def test_a_token_beyond_the_vocabulary_is_an_error() -> None:
    with pytest.raises(IndexError):
        TokenSet(10).add(np.array([10], np.int32))


def test_a_tokenizer_is_found_by_its_backbone(tmp_path: Path) -> None:
    known = KnownTokenizers(tmp_path / "tokenizers")
    assert known.find("local:a") is None
    known.note("local:a", "0" * 64, [0, 2, 9])
    known.note("local:b", "1" * 64, [])
    assert known.find("local:a") == KnownTokenizer("0" * 64, (0, 2, 9))
    known.note("local:a", "2" * 64, [0])
    assert known.find("local:a") == KnownTokenizer("2" * 64, (0,))
    for path in known.directory.iterdir():
        for damage in ("", "[]", '{"tokenizer": "../x", "special": []}', '{"tokenizer": 3}', path.read_text()[:-9]):
            path.write_text(damage)
            assert known.find("local:a") is None or known.find("local:b") is None
    assert known.find("local:a") is None and known.find("local:b") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    KnownTokenizers(tmp_path / "file").note("local:a", "0" * 64, [])
