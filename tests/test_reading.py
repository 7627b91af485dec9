"""Files of unknown origin are read within bounds, and their values fit into messages."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from adapterx.reading import UnreadableFile, parse_json, read_json, read_text, regular
from adapterx.wording import plain, shown


def test_a_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            read_text(tmp_path / "pipe")
        except UnreadableFile as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert [str(error) for error in outcome] == ["is a pipe, socket or device, no file"]


def test_a_link_to_a_device_and_a_directory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for path in (tmp_path / "zeros", tmp_path):
        with pytest.raises(UnreadableFile, match="no file"):
            read_text(path)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(b" " * 101)
    assert regular(path, 101) == 101
    with pytest.raises(UnreadableFile, match="101 bytes, more than the 100"):
        read_json(path, 100)


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": "\\uD800"}', "surrogate"),
        ("{", "is not JSON"),
        ("1" * 5000, "is not JSON"),
    ],
)
def test_what_is_no_plain_json_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnreadableFile, match=why):
        parse_json(text)
    with pytest.raises(UnreadableFile, match=why):
        parse_json(text.encode())


def test_data_files_keep_numbers_that_are_not_finite() -> None:
    assert parse_json('{"a": NaN}', finite=False)["a"] != 0
    assert parse_json('"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize("value", ["\x1b[31mred" * 50, "a\nb" * 100, ["x" * 200], {"a": "\x00" * 90}, b"\xff" * 500])
def test_values_in_messages_are_short_and_printable(value: object) -> None:
    text = shown(value)
    assert len(text) <= 80
    assert text.isprintable()
    assert text.endswith("…")


def test_short_values_are_shown_whole() -> None:
    assert shown("Straße") == "'Straße'"
    assert shown(3) == "3"
    assert shown("x" * 78) == repr("x" * 78)


def test_plain_texts_keep_no_control_characters() -> None:
    assert plain("a\x1b[2Jb\u202e") == "a\\x1b[2Jb\\u202e"
