from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.limits import Limit
from adapterx.tasks.data import fingerprint, load, sizes, stream
from adapterx.tasks.kinds.masked_lm import TextExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.spec import TaskSpec


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path


def task(format_: str, reader: str, columns: dict[str, Any], splits: dict[str, Any], **more: Any) -> TaskSpec:
    settings: dict[str, Any] = {
        "adapterx": 1,
        "name": "mine",
        "description": "…",
        "format": format_,
        "labels": ["no", "yes"],
        "metrics": "accuracy",
        "languages": ["en", "th"],
        "licence": "CC0-1.0",
    }
    source = {"kind": "local", "reader": reader, "columns": columns, "splits": splits}
    return TaskSpec.model_validate(settings | {"sources": {"local": source | more}})


def pairs(**more: Any) -> TaskSpec:
    return task(
        "pair-classification",
        "tsv",
        {"text": 1, "text_pair": 0, "label": 2},
        {"train": {"paths": "a-{language}.tsv", "languages": ["en"]}},
        **more,
    )


def test_rows_end_with_line_feeds_only_and_quotes_are_text(data: Path) -> None:
    (data / "a-en.tsv").write_bytes('\ufeffa "b\tc\u2028d\tyes\r\ne\tf\tno\r\n'.encode())
    assert load(pairs(), "local", "en", "train") == [
        PairExample("train-0", "c\u2028d", 'a "b', 1),
        PairExample("train-1", "f", "e", 0),
    ]
    assert sizes(pairs(), "local", "en", "train") == 2


def test_labels_are_replaced_by_what_is_meant(data: Path) -> None:
    (data / "a-en.tsv").write_text("a\tb\tYES!\n")
    spec = pairs(values={"label": {"YES!": "yes"}})
    assert load(spec, "local", "en", "train")[0].labels == (1,)


def test_a_split_that_a_language_lacks_is_empty_not_an_error() -> None:
    assert load(pairs(), "local", "th", "train") == []
    assert sizes(pairs(), "local", "th", "train") == 0
    assert sizes(pairs(), "local", "en", "test") == 0
    assert sizes(pairs(), "local", "xx", "train") == 0


def test_a_limit_takes_the_first(data: Path) -> None:
    (data / "a-en.tsv").write_text("".join(f"a{n}\tb\tno\n" for n in range(5)))
    kept = load(pairs(), "local", "en", "train", Limit(2, "first"))
    assert [example.id for example in kept] == ["train-0", "train-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\tno\na\tb\tmaybe\n", r"a-en\.tsv:2: unknown label 'maybe'; the task has no, yes"),
        ("a\tb\n", r"a-en\.tsv:1: has no column 2"),
        (b"\xff\xfe", r"a-en\.tsv: is UTF-16, not UTF-8 text: save it as UTF-8"),
    ],
)
def test_wrong_files_are_named_with_the_row(data: Path, text: str | bytes, message: str) -> None:
    (data / "a-en.tsv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        load(pairs(), "local", "en", "train")


def test_missing_files_are_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingData, match=r"a-en\.tsv: no such file .*set by ADAPTERX_DATA\)"):
        sizes(pairs(), "local", "en", "train")
    monkeypatch.setenv(places.DATA, str(data / "nowhere"))
    with pytest.raises(MissingData, match=r"there is no directory .*nowhere"):
        load(pairs(), "local", "en", "train")


def test_unknown_source_is_named() -> None:
    with pytest.raises(LookupError, match="the task 'mine' has no source 'hub'; it has local"):
        load(pairs(), "hub", "en", "train")
    with pytest.raises(LookupError, match="no split 'validation'; splits are train, dev, test"):
        sizes(pairs(), "local", "en", "validation")


def test_a_file_of_labels_must_fit(data: Path) -> None:
    spec = task(
        "pair-classification", "tsv", {"text": 0}, {"test": {"paths": "{language}.tsv", "labels": "labels.txt"}}
    )
    (data / "en.tsv").write_text("a\nb\n")
    (data / "labels.txt").write_text("yes\nno")
    assert load(spec, "local", "en", "test") == [
        PairExample("test-0", "a", None, 1),
        PairExample("test-1", "b", None, 0),
    ]
    for labels, message in (
        ("yes\n", "has 1 labels, fewer than"),
        ("yes\nno\nno\n", "has 3 labels for 2 rows"),
        ("yes\nperhaps\n", r"labels\.txt:2: unknown label 'perhaps'"),
        ("\nno\n", r"labels\.txt:1: the label is ''"),
    ):
        (data / "labels.txt").write_text(labels)
        with pytest.raises(DataError, match=message):
            load(spec, "local", "en", "test")


def choices(**split: Any) -> TaskSpec:
    columns = {"id": "n", "context": "{p} {q}", "choices": ["c1", "c2"], "label": "label"}
    values = {"q": {"why": "Why?"}}
    return task("multiple-choice", "jsonl", columns, {"test": {"paths": "{language}.jsonl"} | split}, values=values)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_json_lines_with_templates_and_values(data: Path) -> None:
    write_rows(data / "en.jsonl", [{"n": 7, "p": "It {q} rains.", "q": "why", "c1": "x", "c2": "y", "label": 1}])
    assert load(choices(), "local", "en", "test") == [ChoiceExample("7", "It {q} rains. Why?", ("x", "y"), 1)]


def test_columns_from_an_aligned_file(data: Path) -> None:
    row = {"n": 7, "p": "P", "q": "why", "c1": "x", "c2": "y", "label": 1}
    write_rows(data / "en.jsonl", [row])
    write_rows(data / "th.jsonl", [row | {"p": "พ", "q": "wrong"}])
    spec = choices(aligned={"path": "en.jsonl", "columns": "q"})
    before = fingerprint(spec, "local", {"test": ["th"]})
    assert load(spec, "local", "th", "test") == [ChoiceExample("7", "พ Why?", ("x", "y"), 1)]
    write_rows(data / "en.jsonl", [row, row])
    assert fingerprint(spec, "local", {"test": ["th"]}) != before
    with pytest.raises(DataError, match="has not as many rows as"):
        load(spec, "local", "th", "test")
    write_rows(data / "en.jsonl", [row | {"label": 5}])
    spec = choices(aligned={"path": "en.jsonl", "columns": "label"})
    with pytest.raises(DataError, match=r"th\.jsonl:1 \(with .*en\.jsonl:1\): unknown label '5'"):
        load(spec, "local", "th", "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"en\.jsonl:1: is not JSON"),
        ("[1]", r"en\.jsonl:1: is not a JSON object"),
        (
            '{"n": 1, "p": "", "q": "", "c1": "x", "c3": "", "label": 0}',
            r"has no column 'c2' \(known: n, p, q, c1, c3, label\)",
        ),
        ('{"n": 1, "p": null, "q": "", "c1": "x", "c2": "y", "label": 0}', "the column 'p' holds no text but null"),
        ('{"n": 1, "p": "", "q": "", "c1": "", "c2": "", "label": 2}', "unknown label '2'"),
        ('{"n": 1, "p": "", "q": "", "c1": "", "c2": "", "label": true}', "unknown label 'True'"),
    ],
)
def test_wrong_json_is_named(data: Path, line: str, message: str) -> None:
    (data / "en.jsonl").write_text(line)
    with pytest.raises(DataError, match=message):
        load(choices(), "local", "en", "test")


def tags(**split: Any) -> TaskSpec:
    return task("tagging", "conll", {"words": 0, "tags": 1}, {"test": {"paths": "{language}.tsv"} | split})


def test_sentences_between_blank_lines(data: Path) -> None:
    (data / "en.tsv").write_text("\na\tyes\nb c\tno\n\n \n#\tno\n")
    assert load(tags(), "local", "en", "test") == [
        TaggingExample("test-0", ("a", "b c"), (1, 0)),
        TaggingExample("test-1", ("#",), (0,)),
    ]
    assert sizes(tags(), "local", "en", "test") == 2


def test_uneven_lines_are_named_by_their_sentence(data: Path) -> None:
    (data / "en.tsv").write_text("a\tyes\n\nb\tno\nc\n")
    with pytest.raises(DataError, match=r"en\.tsv:4: has 1 columns, and the first line of its sentence 2: 'c'"):
        load(tags(), "local", "en", "test")


def test_folds_part_a_file(data: Path) -> None:
    (data / "en.tsv").write_text("".join(f"w{n}\tno\n\n" for n in range(11)))
    kept = [load(tags(fold={"of": 5, "keep": keep}), "local", "en", "test") for keep in ([0, 1, 2, 3], [4])]
    assert [example.id for example in kept[1]] == ["test-4", "test-9"]
    assert len(kept[0]) == sizes(tags(fold={"of": 5, "keep": [0, 1, 2, 3]}), "local", "en", "test") == 9
    assert not {example.id for example in kept[0]} & {example.id for example in kept[1]}


def test_folds_go_by_a_number_where_languages_lack_rows(data: Path) -> None:
    """The same items on each side, whatever their place in the file; a fold of its own names other data."""
    rows = [{"n": f"item/{n}", "p": "p", "q": "why", "c1": "a", "c2": "b", "label": 0} for n in range(20)]
    write_rows(data / "en.jsonl", rows)
    write_rows(data / "th.jsonl", rows[3:])
    sides = {
        side: choices(fold={"of": 10, "keep": keep, "by": "n"})
        for side, keep in (("train", [0, 1, 2, 3, 4, 5, 6, 7, 8]), ("dev", [9]))
    }
    found = {
        (side, language): {one.id for one in load(spec, "local", language, "test")}
        for side, spec in sides.items()
        for language in ("en", "th")
    }
    assert found["dev", "en"] == found["dev", "th"] == {"item/9", "item/19"}
    assert found["train", "th"] == {f"item/{n}" for n in range(3, 19) if n != 9}
    assert all(len(ids) == sizes(sides[side], "local", language, "test") for (side, language), ids in found.items())
    plain = choices(fold={"of": 10, "keep": [9]})
    assert fingerprint(plain, "local", {"test": ["en"]}) != fingerprint(sides["dev"], "local", {"test": ["en"]})
    write_rows(data / "en.jsonl", [{**rows[0], "n": "none"}])
    with pytest.raises(DataError, match=r"en\.jsonl:1: the fold goes by the column 'n', which should end in a number"):
        load(sides["dev"], "local", "en", "test")
    with pytest.raises(ValueError, match="the conll reader gives no column to fold by"):
        tags(fold={"of": 2, "keep": [0], "by": "n"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("the cat\tno", r"a\.tsv:1: has 2 words and 1 tags"),
        (" \tno", r"a\.tsv:1: has 0 words and 1 tags"),
        ("the cat\tno V", r"a\.tsv:1: unknown label 'V'"),
    ],
)
def test_sentences_with_a_tag_too_few_are_named(data: Path, line: str, message: str) -> None:
    spec = task("tagging", "tsv", {"words": 0, "tags": 1}, {"train": {"paths": "a.tsv"}})
    (data / "a.tsv").write_text("the cat\tno yes\n")
    assert load(spec, "local", "en", "train") == [TaggingExample("train-0", ("the", "cat"), (0, 1))]
    (data / "a.tsv").write_text(f"{line}\n")
    with pytest.raises(DataError, match=message):
        load(spec, "local", "en", "train")


def test_the_fingerprint_follows_bytes_and_reading_only(data: Path) -> None:
    path = data / "a-en.tsv"
    path.write_text("a\tb\tno\n")
    first = fingerprint(pairs(), "local", {"train": ["en"]})
    os.utime(path, ns=(1, 1))
    assert fingerprint(pairs(), "local", {"train": ["en"]}) == first
    assert fingerprint(pairs(values={"label": {"n": "no"}}), "local", {"train": ["en"]}) != first
    path.write_text("a\tc\tno\n")
    assert fingerprint(pairs(), "local", {"train": ["en"]}) != first


def test_the_fingerprint_of_what_is_scored_follows_the_metrics(data: Path) -> None:
    columns, splits = {"words": 0, "tags": 1}, {split: {"paths": "a.conll"} for split in ("train", "dev", "test")}
    (data / "a.conll").write_text("a\tno\n")
    spec = task("tagging", "conll", columns, splits)
    more, other = (spec.model_copy(update={"metrics": names}) for names in (("accuracy", "span_f1"), ("span_f1",)))

    def same(left: TaskSpec, right: TaskSpec, *read: str) -> bool:
        found = {fingerprint(one, "local", dict.fromkeys(read, ("en",))) for one in (left, right)}
        return len(found) == 1

    assert same(spec, other, "train")
    assert same(spec, more, "train", "dev") and not same(spec, other, "train", "dev")
    assert not same(spec, more, "test") and not same(spec, other, "test")


def test_an_id_that_two_test_items_share_is_refused(data: Path) -> None:
    columns = {"id": 0, "text": 1, "text_pair": 2, "label": 3}
    spec = task("pair-classification", "tsv", columns, {"train": {"paths": "a.tsv"}, "test": {"paths": "a.tsv"}})
    (data / "a.tsv").write_text("1\ta\tb\tno\n1\tc\td\tyes\n")
    assert len(load(spec, "local", "en", "train")) == 2
    with pytest.raises(DataError, match=r"a\.tsv:2: the id '1' stands at more than one item"):
        load(spec, "local", "en", "test")


@pytest.mark.parametrize(("reader", "text"), [
    ("tsv", "a\tb\tno\na\tb\tno\na\tb\tperhaps\n"),
    ("jsonl", '{"a": "a", "b": "b", "c": "no"}\n{"a": "a", "b": "b", "c": "no"}\n{\n'),
    ("csv", "a,b,c\na,b,no\na,b,no\na,b\n"),
])  # fmt: skip
def test_rows_are_read_when_their_turn_comes(data: Path, reader: str, text: str) -> None:
    names: Any = (0, 1, 2) if reader == "tsv" else ("a", "b", "c")
    columns = dict(zip(("text", "text_pair", "label"), names, strict=True))
    spec = task("pair-classification", reader, columns, {"train": {"paths": "a"}})
    (data / "a").write_text(text)
    found = stream(spec, "local", "en", "train")
    assert [next(found).id, next(found).id] == ["train-0", "train-1"]
    with pytest.raises(DataError, match=r"a:\d: "):
        next(found)


def test_text_that_is_no_utf8_is_told_by_its_byte_in_the_file(data: Path) -> None:
    spec = task("pair-classification", "tsv", {"text": 0, "text_pair": 1, "label": 2}, {"train": {"paths": "a"}})
    (data / "a").write_bytes(b"a\tb\tno\n" * 5000 + b"\xff\tb\tno\n")
    with pytest.raises(DataError, match=r"a: is not UTF-8 text \(byte 0x[0-9a-f]{2} at offset 35000\)"):
        load(spec, "local", "en", "train")


def test_text_to_learn_a_language_from(data: Path) -> None:
    (data / "wiki-th.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    columns, splits = {"text": "text"}, {"train": {"paths": "wiki-{language}.jsonl"}}
    with pytest.raises(ValueError, match="labels: the format masked-lm has none"):
        task("masked-lm", "jsonl", columns, splits)
    with pytest.raises(ValueError, match="dev: text to learn from has a train split alone"):
        TaskSpec.model_validate(
            {
                **pairs().model_dump(exclude={"labels", "metrics", "sources"}),
                "format": "masked-lm",
                "sources": {"made": {"kind": "embedded", "sizes": {"train": 2, "dev": 2}}},
            }
        )
    spec = TaskSpec.model_validate(
        {
            **pairs().model_dump(exclude={"labels", "metrics", "sources"}),
            "format": "masked-lm",
            "sources": {"local": {"kind": "local", "reader": "jsonl", "columns": columns, "splits": splits}},
        }
    )
    assert load(spec, "local", "th", "train") == [TextExample("train-0", "one"), TextExample("train-1", "two")]
    assert len(fingerprint(spec, "local", {"train": ["th"]})) == 64
