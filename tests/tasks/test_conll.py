"""Files of a word a line: what is a sentence, a comment, a word."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks.data import load, sizes
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.sources import conll
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import TaskSpec


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path / "a.conll"


def task(reader: str = "conll", words: int = 0, tags: int = 1, labels: tuple[str, ...] = ("O", "X", "Y")) -> TaskSpec:
    columns, splits = {"words": words, "tags": tags}, {"test": {"paths": "a.conll"}}
    source: dict[str, Any] = {"kind": "local", "reader": reader, "columns": columns, "splits": splits}
    fields = {"adapterx": 1, "name": "t", "description": "d", "format": "tagging", "labels": labels, "licence": "l"}
    return TaskSpec.model_validate({**fields, "metrics": "accuracy", "languages": ["en"], "sources": {"local": source}})


def words(spec: TaskSpec) -> list[tuple[str, ...]]:
    found = load(spec, "local", "en", "test")
    assert len(found) == sizes(spec, "local", "en", "test"), "what is counted is what is read"
    return [one.words for one in found if isinstance(one, TaggingExample)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-DOCSTART-\tO\n\na\tO\n\n-DOCSTART-\tO\n\nb\tX\n", [("a",), ("b",)]),
        ("-DOCSTART- -X- O O\na\tO\n-DOCSTART-\nb\tX\n", [("a",), ("b",)]),
        ("-DOCSTART-\n", []),
        ("-DOCSTART-ed\tO\n", [("-DOCSTART-ed",)]),
        ("#spring\tX\nis\tO\n\n#\tO\n1\tX\n", [("#spring", "is"), ("#", "1")]),
        ("#\tO\n", [("#",)]),
        ("# sent_id = 1\n# text = a\tb\na\tO\n#\tX\n# a remark\nb\tO\n", [("a", "#", "b")]),
        ("# licence: none\n#\n\na\tO\n", [("a",)]),
        ("# newdoc id = 1\na O\n# X\n#tag  Y\n\n# sent_id = 2\n# = O\nb\tO\n", [("a", "#", "#tag"), ("b",)]),
        ("\ufeffa\tO\r\n   \r\nb\tO\r\n\t\r\nc\tX\r\n\r\n\r\n", [("a",), ("b",), ("c",)]),
        ("a   O  \n b\tX\n", [("a", " b")]),
        ("10\u00a0000 X\nd\u2009e\tO\n\u00a0\tO\n\u200b\tO\n", [("10\u00a0000", "d\u2009e", "\u00a0", "\u200b")]),
        ("", []),
        ("\n \n", []),
    ],
)
def test_what_is_a_word(data: Path, text: str, expected: list[tuple[str, ...]]) -> None:
    data.write_bytes(text.encode())
    assert words(task()) == expected


ROWS = (
    "# sent_id = 1\n1\tWir\t_\tX\t_\t_\t_\t_\t_\t_\n2-3\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n2\tzu\t_\tO\t_\t_\t_\t_\t_\t_\n"
    "3\tdem\t_\tO\t_\t_\t_\t_\t_\t_\n3.1\tdem\t_\tO\t_\t_\t_\t_\t_\t_\n\n"
)


def test_ranges_and_empty_nodes_of_conllu_are_no_words(data: Path) -> None:
    data.write_text(ROWS)
    assert words(task(words=1, tags=3)) == words(task("conllu", 1, 3)) == [("Wir", "zu", "dem")]
    # Where columns are others, 2-3 and 2.1 may be words; a file that is CoNLL-U Plus says so in its YAML.
    data.write_text("1\ta\tO\n2-3\tb\tX\n2\tc\tO\n")
    assert words(task(words=1, tags=2)) == [("a", "b", "c")]
    assert words(task("conllu", 1, 2)) == [("a", "c")]
    data.write_text("2-3\tO\n2.1\tX\n")
    assert words(task()) == [("2-3", "2.1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\n", r"a\.conll:2: has 1 columns, and the first line of its sentence 2: 'b'"),
        ("a\tO\n#b\tX\tY\n", r"a\.conll:2: has 3 columns"),
        ("a\tO\n\nb\tO\nc\tZ\n", r"a\.conll:4: unknown label 'Z' of 'c'; the task has O, X, Y"),
        ("a\tO\n\tO\n", r"a\.conll:2: the column 0 lacks a word: .*`missing: drop`"),
        ("a\tO\nb\t-\n", r"a\.conll:2: the label of 'b' is '-', and the task has no such label.*`missing: drop`"),
        ("a\n", r"a\.conll:1: has no column 1; it has 1, by position from 0: \['a'\]"),
        ("a\tO\n\x1b[31mb" + "b" * 200 + "\n", r"a\.conll:2: has 1 columns.*'\\x1b\[31mb+…"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(data: Path, text: str, message: str) -> None:
    data.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        load(task(), "local", "en", "test")
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("universal", [False, True])
def test_counting_is_reading(data: Path, universal: bool) -> None:
    """Of random files with comments, ranges, empty nodes and lines between documents, unless it is refused."""
    draw = random.Random(1)
    ten = "\t_" * 8
    lines = [
        "",
        " ",
        "-DOCSTART- O",
        "# text = a",
        "#\tO",
        "# x",
        "a\tO",
        f"1\ta{ten}",
        f"1-2\tab{ten}",
        f"1.1\ta{ten}",
        "2.5\tX",
    ]
    compared = 0
    for _ in range(600):
        data.write_text("\n".join(draw.choices(lines, k=draw.randrange(9))))
        try:
            read = len(list(conll.sentences(data, universal)))
        except DataError:
            continue
        compared += 1
        assert conll.count(data, universal) == read, data.read_text()
    assert compared > 200
