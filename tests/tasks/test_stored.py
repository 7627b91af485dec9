from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import numpy as safetensors

from adapterx.tasks.catalog import find
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds.encoding import encode
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.stored import DamagedEntry, StoredTexts, read, write
from tests.arrays import ARRAYS, mapped, same

EXAMPLES: dict[str, Sequence[Example]] = {
    "time-order": [PairExample("a", "the days", "3 ago", 1), PairExample("b", "the", None, 0)],
    "time-latest": [ChoiceExample("ä", "the days", ("3", "x", "ago"), 2), ChoiceExample("", "", ("the", "in"), 0)],
    "time-mentions": [
        TaggingExample("学", ("the", "days", "ago") * 9, (0, 1, 2) * 9),
        TaggingExample("2", ("x",), (3,)),
    ],
}


@pytest.fixture
def pairs(tokenizer: Any) -> Encoded:
    return encode(EXAMPLES["time-order"], find("time-order"), tokenizer, 16)


@pytest.mark.parametrize("examples", [True, False])
@pytest.mark.parametrize("task", EXAMPLES)
def test_what_is_read_is_what_was_written(task: str, examples: bool, tokenizer: Any, tmp_path: Path) -> None:
    encoded = encode(EXAMPLES[task] if examples else [], find(task), tokenizer, 16)
    write(tmp_path / "entry", encoded, "key")
    assert same(read(tmp_path / "entry", "key"), encoded)


def test_arrays_are_read_only_views_of_the_mapped_file(pairs: Encoded, tmp_path: Path) -> None:
    write(tmp_path / "entry", pairs, "key")
    found = read(tmp_path / "entry", "key")
    for name in ARRAYS:
        array = getattr(found, name)
        assert mapped(array)
        assert array.flags.aligned
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    # What is taken out of them is the taker's own.
    assert found.tokens[np.array([1, 2])].flags.writeable


def test_any_reader_of_safetensors_can_open_an_entry(pairs: Encoded, tmp_path: Path) -> None:
    write(tmp_path / "entry", pairs, "key")
    found = safetensors.load_file(tmp_path / "entry")
    assert set(found) == {*ARRAYS, "id_text", "id_offsets"}
    assert all(np.array_equal(found[name], getattr(pairs, name)) for name in ARRAYS)
    assert found["id_text"].tobytes() == b"ab"


def test_ids_are_decoded_when_asked_for(tokenizer: Any, tmp_path: Path) -> None:
    wanted = ["", "a", "ä", "学校", "\ud800", "z" * 300] * 2000
    encoded = encode([PairExample(id, "x", None, 0) for id in wanted], find("time-order"), tokenizer, 8)
    write(tmp_path / "entry", encoded, "key")
    ids = read(tmp_path / "entry", "key").ids
    assert isinstance(ids, StoredTexts)
    assert len(ids) == len(wanted)
    assert list(ids) == wanted
    assert [ids[place] for place in (0, 3, -1, 4095, 4096)] == [wanted[place] for place in (0, 3, -1, 4095, 4096)]
    assert ids[4090:4100] == tuple(wanted[4090:4100])
    assert ids[::-1] == tuple(wanted[::-1])
    assert "学校" in ids
    for outside in (len(wanted), -len(wanted) - 1):
        with pytest.raises(IndexError):
            ids[outside]


def test_an_entry_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "entry", "key")


def test_an_entry_cut_anywhere_is_damaged(pairs: Encoded, tmp_path: Path) -> None:
    path = tmp_path / "entry"
    write(path, pairs, "key")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedEntry, match=str(path)):
            read(path, "key")
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedEntry, match=str(path)):
        read(path, "key")


def test_an_entry_with_any_byte_changed_is_damaged(pairs: Encoded, tmp_path: Path) -> None:
    path = tmp_path / "entry"
    write(path, pairs, "key")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedEntry, match=str(path)):
            read(path, "key")


def test_an_entry_of_another_key_is_damaged(pairs: Encoded, tmp_path: Path) -> None:
    write(tmp_path / "entry", pairs, "another")
    with pytest.raises(DamagedEntry, match="header"):
        read(tmp_path / "entry", "key")


def test_an_entry_can_be_written_over_while_it_is_mapped(pairs: Encoded, tmp_path: Path) -> None:
    write(tmp_path / "entry", pairs, "key")
    found = read(tmp_path / "entry", "key")
    write(tmp_path / "entry", pairs, "key")
    (tmp_path / "entry").unlink()
    assert same(found, pairs)
