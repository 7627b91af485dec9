"""Queries and candidates from files, and from the passages of extractive QA."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.kinds.extractive_qa import Answer, QAExample
from adapterx.tasks.kinds.retrieval import RetrievalExample
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.sources.sentences import examples, sentences
from adapterx.tasks.spec import TaskSpec

SIDES: dict[str, Any] = {
    "queries": {"paths": "{language}.src", "text": 0},
    "candidates": {"paths": "{language}.tgt", "text": 0},
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a file into the data directory."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))

    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return written


def task(sides: dict[str, object], splits: tuple[str, ...] = ("test",), **more: Any) -> TaskSpec:
    source = {"kind": "search", "codes": {"de": "deu"}, "splits": dict.fromkeys(splits, sides)}
    fields = {"metrics": ["retrieval_accuracy"], "languages": ["de", "sw"], "sources": {"files": source}, **more}
    text = yaml.safe_dump(
        {"adapterx": 1, "name": "t", "description": "d", "format": "retrieval", "licence": "l", **fields}
    )
    return TaskSpec.model_validate(yaml.safe_load(text))


def loaded(spec: TaskSpec, limit: Limit | None = None) -> list[RetrievalExample]:
    found = data.load(spec, "files", "de", "test", limit)
    return [one for one in found if isinstance(one, RetrievalExample)]


def queries(spec: TaskSpec) -> list[RetrievalExample]:
    return [one for one in loaded(spec) if one.relevant is not None]


def test_sentences_that_stand_row_by_row(write: Callable[[str, str], Path]) -> None:
    write("deu.src", "one\ntwo\nthree\n")
    write("deu.tgt", "eins\nzwei\u2028\ndrei\n")
    spec = task(SIDES)
    found = loaded(spec)
    assert [(one.text, one.relevant) for one in found] == [
        ("one", (0,)), ("two", (1,)), ("three", (2,)), ("eins", None), ("zwei\u2028", None), ("drei", None)
    ]  # fmt: skip
    assert data.sizes(spec, "files", "de", "test") == 3 and data.sizes(spec, "files", "de", "dev") == 0
    limited = loaded(spec, Limit(1, "first"))
    assert [one.text for one in limited] == ["one", "eins", "zwei\u2028", "drei"], "all candidates stay"
    before = data.fingerprint(spec, "files", {"test": ["de"]})
    write("deu.tgt", "eins\nzwei\n")
    assert data.fingerprint(spec, "files", {"test": ["de"]}) != before
    moved = task({**SIDES, "queries": {"paths": ["deu.src", "deu.tgt"], "text": 0}})
    sides: dict[str, object] = {
        "queries": {"paths": "deu.src", "text": 0},
        "candidates": {"paths": ["deu.tgt", "deu.tgt2"], "text": 0},
    }
    write("deu.tgt2", "eins\nzwei\n")
    other = task(sides)
    assert len({data.fingerprint(one, "files", {"test": ["de"]}) for one in (moved, other)}) == 2, (
        "the same three files"
    )
    with pytest.raises(DataError, match=r"deu\.src.*deu\.tgt: 3 queries and 2 candidates"):
        data.load(spec, "files", "de", "test")
    with pytest.raises(MissingData, match=r"sw\.tgt: no such file"):
        data.load(spec, "files", "sw", "test")


def test_topics_a_corpus_in_parts_and_trecs_judgements(write: Callable[[str, str], Path]) -> None:
    write("topics.tsv", "7\tWer?\n8\tWas?\n9\tWo?\n")
    for part, ids in enumerate((["a#0", "a#1"], ["b#0"])):
        rows = [json.dumps({"docid": id, "title": "T", "text": f"text of {id}"}) for id in ids]
        write(f"docs-{part}.jsonl.gz", "\n".join(rows) + "\n")
    write("qrels.tsv", "7\tQ0\tb#0\t1\n7\tQ0\ta#0\t0\n8\tQ0\ta#1\t1\n8\tQ0\tb#0\t2\n")
    sides = {
        "queries": {"paths": "topics.tsv", "id": 0, "text": 1},
        "candidates": {"paths": "docs-*.jsonl.gz", "id": "docid", "text": "{title}: {text}"},
        "relevant": "qrels.tsv",
    }
    spec = task(sides)
    assert [(one.id, one.relevant) for one in queries(spec)] == [("7", (2,)), ("8", (1, 2))], "9 has nothing to find"
    *_, last = data.load(spec, "files", "de", "test")
    assert last == RetrievalExample("b#0", "T: text of b#0", None)
    mining = task(sides, ("dev", "test"), metrics=["pair_f1"])
    assert [one.relevant for one in queries(mining)] == [(2,), (1, 2), ()]
    write("qrels.tsv", "7\tb#0\n7\tQ0\tb#0\n")
    with pytest.raises(
        DataError, match=r"qrels\.tsv:2: should be two ids; BEIR's query, candidate and score; or TREC's"
    ):
        queries(spec)
    assert data.origin(spec, "files", "de", "test").endswith("qrels.tsv"), "which may be the one that is empty"
    write("qrels.tsv", "7\tc#0\n")
    with pytest.raises(DataError, match=r"qrels\.tsv:1: 'c#0' is no candidate's id"):
        queries(spec)
    write("qrels.tsv", "q7\tb#0\n")
    with pytest.raises(DataError, match=r"qrels\.tsv:1: 'q7' is no query's id"):
        queries(spec)
    write("qrels.tsv", "query-id\tcorpus-id\tscore\n8\ta#1\t1\n8\tb#0\t0\n")
    assert [(one.id, one.relevant) for one in queries(spec)] == [("8", (1,))]
    assert data.sizes(spec, "files", "de", "test") == 1, "as many as there are to be asked"
    assert data.sizes(mining, "files", "de", "test") == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("deu.src", "\xff", "never"),
        ("deu.jsonl", '{"txt": "a"}\n', r"deu\.jsonl:1: has no text 'text' \(did you mean 'txt'\?\)"),
        ("deu.jsonl", "{\n", r"deu\.jsonl:1: is not JSON"),
        ("deu.src", "a\n\nb\n", r"deu\.src:2: column 0 is empty"),
        ("deu.src", "a\tb\nc\n", r"deu\.src:2: has 1 columns, and the first line 2: 'c'"),
        ("deu.jsonl", '{"text": null}\n', r"deu\.jsonl:1: has no text 'text' but None"),
        ("deu.jsonl", '{"text": "\\ud800"}\n', r"deu\.jsonl:1: holds half of a surrogate pair"),
        ("deu.jsonl", '{"text": ' + "[" * 100_000, r"deu\.jsonl:1: is nested too deeply"),
    ],
)
def test_wrong_rows_are_named(write: Callable[[str, str], Path], name: str, content: str, message: str) -> None:
    path = write(name, content)
    write("deu.tgt", "a\n")
    column: object = "text" if name.endswith("jsonl") else 0
    sides = {**SIDES, "queries": {"paths": name, "text": column}}
    if message == "never":
        path.write_bytes(b"\xff\n")
        message = r"deu\.src: is not UTF-8 text \(byte 0xff at offset 0\)"
    with pytest.raises(DataError, match=message):
        data.load(task(sides), "files", "de", "test")


@pytest.mark.parametrize("relevant", [None, "pairs"])
def test_an_id_that_two_texts_bear_is_refused_at_the_second(write: Callable[[str, str], Path], relevant: str) -> None:
    write("deu.src", "1\ta\n1\tb\n")
    write("deu.tgt", "1\tx\n2\ty\n")
    write("pairs", "1\t1\n")
    sides = {name: {**side, "id": 0, "text": 1} for name, side in SIDES.items()}
    spec = task({**sides, "relevant": relevant})
    with pytest.raises(DataError, match=r"deu\.src:2: the id '1' stands at more than one"):
        data.load(spec, "files", "de", "test")
    write("deu.src", "1\ta\n2\tb\n")
    write("deu.tgt", "1\tx\n1\ty\n")
    with pytest.raises(DataError, match=r"deu\.tgt:2: the id '1' stands at more than one"):
        data.load(spec, "files", "de", "test")


def test_a_damaged_gzip_file_and_templates_of_positions(write: Callable[[str, str], Path]) -> None:
    path = write("deu.src.gz", "one\tuno\n" * 1000)
    write("deu.tgt", "a\n" * 1000)
    sides = {**SIDES, "queries": {"paths": "deu.src.gz", "text": "{0} ({1})"}}
    assert queries(task(sides))[0].text == "one (uno)"
    with pytest.raises(DataError, match=r"deu\.src\.gz:1: has no column 2; it has 2, counted from 0: \['one', 'uno'\]"):
        queries(task({**SIDES, "queries": {"paths": "deu.src.gz", "text": "{2}"}}))
    damaged = bytearray(path.read_bytes())
    damaged[12:20] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"deu\.src\.gz: is not a whole gzip file"):
        queries(task(sides))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["accuracy"]}, "accuracy is not for the format retrieval"),
        ({"metrics": ["recall_at_1", "pair_f1"]}, "pairs are mined or candidates ranked, not both"),
        ({"pool": "all"}, "pool: all: other languages are searched by rankings with parallel: true alone"),
        (
            {"metrics": ["pair_f1"]},
            "source files: how alike mined pairs must be is chosen on dev data; add a dev split",
        ),
        ({"labels": ["a"]}, "labels: the format retrieval has none"),
    ],
)
def test_a_task_that_cannot_be_searched(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(SIDES, **changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is done. Is it? “Yes.” Good!", ["It is done.", "Is it?", "“Yes.”", "Good!"]),
        (
            "J. S. Bach et al. wrote no. 5 in 3.5 years. It ended.",
            ["J. S. Bach et al. wrote no. 5 in 3.5 years.", "It ended."],
        ),
        ("这是。那不是！“对。”好", ["这是。", "那不是！", "“对。”", "好"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("هل هذا؟ نعم.", ["هل هذا؟", "نعم."]),
        ("ไม่มีเครื่องหมาย ที่นี่", ["ไม่มีเครื่องหมาย ที่นี่"]),
        ("  ", []),
    ],
)
def test_passages_are_cut_at_the_marks_of_their_script(text: str, expected: list[str]) -> None:
    found = sentences(text)
    assert [sentence for _, sentence in found] == expected
    assert all(text[start:].startswith(sentence) for start, sentence in found)


def test_the_sentence_of_the_answer_is_what_a_question_looks_for() -> None:
    passage = "Ada was born in 1815. She died in 1852. Ada was born in 1815."
    asked = [
        QAExample("when", "When did she die?", passage, (Answer("1852", passage.index("1852")),)),
        QAExample("first", "When was she born?", passage, (Answer("1815", 16), Answer("1815", 56))),
        QAExample("none", "Who?", passage, ()),
    ]
    found = [one for one in examples(asked, RetrievalExample) if isinstance(one, RetrievalExample)]
    assert [(one.id, one.relevant) for one in found] == [
        ("when", (1,)), ("first", (0,)), ("sentence-0", None), ("sentence-1", None)
    ]  # fmt: skip
    assert found[3].text == "She died in 1852."


def test_the_catalogs_bucc_reads_the_shared_tasks_files_and_xtremes(write: Callable[[str, str], Path]) -> None:
    bucc = data.find("bucc")
    for directory, names in (("bucc2018/de-en", ("sample", "training")), ("bucc2018", ("dev", "test"))):
        (write("x", "").parent / directory).mkdir(parents=True, exist_ok=True)
        for name in names:
            write(f"{directory}/de-en.{name}.de", "de-1\tJa.\nde-2\tNein.\n")
            write(f"{directory}/de-en.{name}.en", "en-1\tYes.\nen-2\tPerhaps.\n")
            write(f"{directory}/de-en.{name}.gold", "de-1\ten-1\n")
    for source in ("local", "xtreme"):
        for split in ("dev", "test"):
            assert data.load(bucc, source, "de", split) == [
                RetrievalExample("de-1", "Ja.", (0,)),
                RetrievalExample("de-2", "Nein.", ()),
                RetrievalExample("en-1", "Yes.", None),
                RetrievalExample("en-2", "Perhaps.", None),
            ]


def test_the_catalogs_miracl_reads_topics_judgements_and_corpus(write: Callable[[str, str], Path]) -> None:
    root = write("x", "").parent
    for directory in ("miracl-v1.0-sw/topics", "miracl-v1.0-sw/qrels", "miracl-corpus-v1.0-sw"):
        (root / directory).mkdir(parents=True)
    write("miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv", "12\tNani?\n")
    write("miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv", "12\tQ0\t9#1\t1\n12\tQ0\t9#0\t0\n")
    rows = "".join(json.dumps({"docid": f"9#{n}", "title": "Ada", "text": f"maneno {n}"}) + "\n" for n in range(2))
    write("miracl-corpus-v1.0-sw/docs-0.jsonl.gz", rows)
    assert data.load(data.find("miracl"), "local", "sw", "test") == [
        RetrievalExample("12", "Nani?", (1,)),
        RetrievalExample("9#0", "Ada maneno 0", None),
        RetrievalExample("9#1", "Ada maneno 1", None),
    ]
