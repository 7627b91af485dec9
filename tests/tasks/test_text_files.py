"""Text files as rows, by the readers that local sources and the Hub share."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapterx.tasks.sources import files
from adapterx.tasks.sources.errors import DataError

Reader = Callable[..., Iterator[tuple[str, Any]]]


def read(path: Path, content: bytes, reader: Reader, name: str = "") -> list[tuple[str, dict[Any, Any]]]:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return [(place.removeprefix(f"{path}"), dict(row)) for place, row in reader(path, name)]


def test_quoted_cells_hold_tabs_marks_and_line_feeds(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa\tb\r\n"one\ttwo"\t"a ""b""\n c"\r\n\r\nx\t\r\n'
    found = read(tmp_path / "a.tsv", content, files.tab_separated)
    assert found == [(":3", {"a": "one\ttwo", "b": 'a "b"\n c'}), (":5", {"a": "x", "b": ""})]


def test_a_json_array_and_lines_are_told_apart_by_how_they_begin(tmp_path: Path) -> None:
    array = read(tmp_path / "a.json", b'\n [{"a": 1.50},\n {"a": null}]', files.json_rows)
    assert [(place, str(row["a"])) for place, row in array] == [(", item 1", "1.50"), (", item 2", "None")]
    assert read(tmp_path / "b.json", b'\n{"a": 1}\n', files.json_rows) == [(":2", {"a": 1})]
    assert read(tmp_path / "c.json", b"\n", files.json_rows) == []
    assert read(tmp_path / "d.json.gz", b'[{"a": 1}]', files.json_rows, "d") == [("d, item 1", {"a": 1})]


@pytest.mark.parametrize(("name", "reader"), [("a.txt.gz", files.plain), ("a.tsv.gz", files.tsv)])
def test_local_readers_read_what_is_compressed(tmp_path: Path, name: str, reader: Reader) -> None:
    places = [place for place, _ in read(tmp_path / name, "wörter\n\nnoch\n".encode(), reader)]
    assert places == [":1", ":3"]


@pytest.mark.parametrize(
    ("reader", "content", "said"),
    [
        (files.comma_separated, b'a,b\n1,"2\n', "b.gz:2: is not CSV (unexpected end of data)"),
        (files.comma_separated, b'a,b\n1,2\n"1"x,2\n', "b.gz:3: is not CSV"),
        (files.tab_separated, b'a\tb\n"1"x\t2\n', "b.gz:2: is not a row of tab-separated cells"),
        (files.json_rows, b"[1]", "b.gz, item 1: is not a JSON object but 1"),
        (files.json_rows, b'[{"a": 1}', "b.gz: "),
        (files.json_rows, b"[" * 5000, "b.gz: "),
        (files.json_rows, b"[" + b" " * 300 + b"]", "b.gz: has more than 256 characters, which would be read at once"),
        (files.json_lines, b"\n" + b" " * (1 << 17), "b.gz: has a line of more than 64 characters"),
        (files.plain, b"a\n\xff", "b.gz: is not UTF-8"),
    ],
)
def test_mistakes_and_hostile_files_are_told_with_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader, content: bytes, said: str
) -> None:
    monkeypatch.setattr(files, "_LONGEST_LINE", 64 if b" " * 1000 in content else 1 << 20)
    monkeypatch.setattr(files, "_LONGEST_TEXT", 256)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "b.gz", content, reader)
    assert said in str(raised.value)


def test_what_is_no_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"a\.csv\.gz: is not a whole gzip file"):
        list(files.comma_separated(tmp_path / "a.csv.gz"))
