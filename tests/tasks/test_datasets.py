"""Sources of the kind `datasets`: what the library has saved, folders, files, and the Hub by the real client."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from adapterx.tasks import data
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.spec import TaskSpec
from tests.support.hub import serve
from tests.tasks.hub_tasks import ask, parquet, task

COLUMNS = {"text": "a", "text_pair": "b", "label": "label"}
ROWS = [{"a": f"a{n}", "b": "b", "label": n % 2, "other": [n]} for n in range(5)]
CSV = b'a,b,label\n"x, y",b,yes\nz,b,no\n'
CLASSES = datasets.Features(
    {
        "a": datasets.Value("string"),
        "b": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["yes", "no"]),
        "other": datasets.Sequence(datasets.Value("int64")),
    }
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def spec(splits: Any, columns: Any = COLUMNS, /, task_settings: Any = None, **settings: Any) -> TaskSpec:
    """A task of one source."""
    source = {"kind": "datasets", "columns": columns, "splits": splits, **settings}
    return TaskSpec.model_validate(task({}, sources={"mine": source}, **(task_settings or {})))


def pairs(found: TaskSpec, split: str = "train", language: str = "en") -> list[tuple[str, int]]:
    return [(one.text, one.label) for one in data.stream(found, "mine", language, split)]  # type: ignore[attr-defined]


def identity(found: TaskSpec, *languages: str) -> str:
    return data.fingerprint(found, "mine", {"train": languages or ("en",)})


def test_what_was_saved_is_what_the_library_loads(root: Path) -> None:
    made = datasets.Dataset.from_list(ROWS)
    both = datasets.DatasetDict({"train": made, "validation": made.select([3, 1])})
    both.save_to_disk(root / "saved" / "deu", num_shards={"train": 2, "validation": 1})
    found = spec({"train": "train", "dev": {"split": "validation"}}, directory="saved/{language}", codes={"de": "deu"})
    loaded = datasets.load_from_disk(str(root / "saved" / "deu"))
    for split, theirs in (("train", "train"), ("dev", "validation")):
        assert pairs(found, split, "de") == [(row["a"], row["label"]) for row in loaded[theirs]]
        assert data.sizes(found, "mine", "de", split) == len(loaded[theirs])
    assert len(data.paths(found, "mine", "de", "train")) == 2
    assert not list((root.parent / "cache").glob("**/*.arrow")), "nothing is copied"
    with pytest.raises(MissingData, match=r"saved/en: no such directory"):
        pairs(found)


def test_identity_follows_from_the_content_and_from_the_choice_of_rows(root: Path) -> None:
    for name, rows in {"one": ROWS, "same": ROWS, "other": [{**ROWS[0], "a": "x"}, *ROWS[1:]]}.items():
        datasets.Dataset.from_list(rows).save_to_disk(root / name)
    where = {"split": "train", "where": {"a": ["a1", "a4"]}}
    some = spec({"train": where}, directory="one")
    fold = spec({"train": {"split": "train", "fold": {"of": 2, "keep": [0]}}}, directory="one")
    one, same, other = (spec({"train": "train"}, directory=name) for name in ("one", "same", "other"))
    assert identity(one) == identity(same)
    assert len({identity(found) for found in (one, other, some, fold)}) == 4
    assert pairs(some) == [("a1", 1), ("a4", 0)] and data.sizes(some, "mine", "en", "train") is None
    assert [text for text, _ in pairs(fold)] == ["a0", "a2", "a4"] and data.sizes(fold, "mine", "en", "train") == 3


def test_class_labels_are_read_by_their_names_where_the_task_has_them(root: Path) -> None:
    datasets.Dataset.from_list(ROWS, features=CLASSES).save_to_disk(root / "saved")
    found = spec({"train": "train"}, directory="saved")
    assert [label for _, label in pairs(found)] == [1, 0, 1, 0, 1], "0 is 'yes' there, which is 1 here"
    meant = spec({"train": "train"}, directory="saved", values={"label": {"yes": "no", "no": "yes"}})
    assert [label for _, label in pairs(meant)] == [0, 1, 0, 1, 0]
    others = spec({"train": "train"}, task_settings={"labels": ["bad", "good"]}, directory="saved")
    assert [label for _, label in pairs(others)] == [0, 1, 0, 1, 0], "numbers, as names say nothing"
    tags = datasets.Features(
        {
            "words": datasets.Sequence(datasets.Value("string")),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["I-X", "O", "B-X"])),
        }
    )
    datasets.Dataset.from_list([{"words": ["p", "q"], "tags": [1, 2]}], features=tags).save_to_disk(root / "tagged")
    settings = {"format": "tagging", "labels": ["O", "B-X", "I-X"]}
    tagged = spec({"train": "train"}, {"words": "words", "tags": "tags"}, task_settings=settings, directory="tagged")
    assert [one.tags for one in data.stream(tagged, "mine", "en", "train")] == [(0, 1)]  # type: ignore[attr-defined]


def test_structs_are_read_by_dotted_names(root: Path) -> None:
    rows = [{"id": n, "q": {"stem": "s", "choices": {"text": ["x", "y"]}}, "key": "BA"[n % 2]} for n in range(3)]
    datasets.Dataset.from_list(rows).save_to_disk(root / "saved")
    columns = {"id": "id", "context": "q.stem", "choices": "q.choices.text", "label": "key"}
    settings = {"format": "multiple-choice", "labels": ["A", "B"]}
    found = spec({"test": "train"}, columns, task_settings=settings, directory="saved")
    first, *_ = data.load(found, "mine", "en", "test")
    assert (first.id, first.context, first.choices, first.label) == ("0", "s", ("x", "y"), 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("builder", "content"),
    [
        ("csv", CSV),
        ("json", b'{"a": "x, y", "b": "b", "label": "yes"}\n{"a": "z", "b": "b", "label": "no"}\n'),
        ("parquet", parquet([{"a": "x, y", "b": "b", "label": "yes"}, {"a": "z", "b": "b", "label": "no"}])),
    ],
)
def test_files_that_a_builder_reads(root: Path, monkeypatch: pytest.MonkeyPatch, builder: str, content: bytes) -> None:
    (root / "en.data").write_bytes(content)
    found = spec({"train": {"paths": "{language}.data"}}, builder=builder)
    assert pairs(found) == [("x, y", 1), ("z", 0)] and data.sizes(found, "mine", "en", "train") == 2
    before = identity(found)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert pairs(found) == [("x, y", 1), ("z", 0)], "what is prepared needs no library"
    (root / "moved.data").write_bytes(content)
    moved = spec({"train": {"paths": "moved.data"}}, builder=builder)
    assert identity(moved) == before and pairs(moved) == pairs(found)
    (root / "en.data").write_bytes(content + content)
    assert identity(found) != before
    with pytest.raises(
        DataError, match=r"package datasets, which is not installed: pip install 'adapterx\[datasets\]'"
    ):
        pairs(found)


def test_a_folder_with_configurations(root: Path) -> None:
    card = "---\nconfigs:\n" + "".join(
        f"- config_name: {code}\n  data_files:\n  - {{split: train, path: {code}.csv}}\n" for code in ("eng", "deu")
    )
    (root / "folder").mkdir()
    (root / "folder" / "README.md").write_text(card + "---\n")
    (root / "folder" / "eng.csv").write_bytes(CSV)
    (root / "folder" / "deu.csv").write_bytes(b"a,b,label\nd,b,no\n")
    codes = {"en": "eng", "de": "deu"}
    found = spec({"train": "train"}, directory="folder", config="{language}", codes=codes)
    assert pairs(found) == [("x, y", 1), ("z", 0)] and pairs(found, language="de") == [("d", 0)]
    assert identity(found, "en") != identity(found, "de")
    before = identity(found)
    (root / "folder" / ".cache").write_text("not part of it")
    assert identity(found) == before
    for wrong, said in (
        ({"config": "fra"}, "the datasets library cannot read it .*Available: .'eng', 'deu'"),
        ({"config": "eng", "splits": {"train": "trian"}}, r"folder: has no split 'trian' \(did you mean 'train'"),
    ):
        settings = {"splits": {"train": "train"}, "directory": "folder", **wrong}
        with pytest.raises(DataError, match=said):
            pairs(spec(settings.pop("splits"), **settings))


def test_nothing_runs_code_or_leaves_the_folder(root: Path) -> None:
    scripted, pictures, elsewhere = root / "scripted", root / "pictures", root / "elsewhere"
    for folder in (scripted, pictures, elsewhere):
        folder.mkdir()
    (scripted / "scripted.py").write_text("raise SystemExit('ran')")
    (scripted / "train.csv").write_bytes(CSV)
    (pictures / "train.png").write_bytes(b"")
    (root / "outside.csv").write_bytes(CSV)
    (elsewhere / "README.md").write_text(f"---\nconfigs:\n- config_name: d\n  data_files: {root}/outside.csv\n---\n")
    for name, said in {
        "scripted": "needs a script, and no code of a dataset is run .*scripted.py",
        "pictures": "pictures: is read by the builder imagefolder, and only arrow, conll, csv",
        "elsewhere": "elsewhere: names the file .*outside.csv, which is none of its own",
    }.items():
        with pytest.raises(DataError, match=said):
            pairs(spec({"train": "train"}, directory=name))


def test_what_cannot_be_read_is_told_with_the_place(root: Path) -> None:
    datasets.Dataset.from_list([*ROWS, {**ROWS[0], "label": 7}]).save_to_disk(root / "one")
    (root / "ragged.csv").write_bytes(b"a,b\n1,2\n1,2,3\n")
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ("train", {"directory": "one"}, r"one \(train\), row 5: unknown label '7'"),
        ("test", {"directory": "one", "columns": {**COLUMNS, "text": "c"}}, r"one \(test\): has no column 'c'"),
        ("train", {"directory": "one", "config": "x"}, "was saved by `save_to_disk`, and has no configurations"),
        ({"paths": "ragged.csv"}, {"builder": "csv"}, r"ragged.csv: the datasets library cannot read it .*line 3"),
        ({"paths": "none.csv"}, {"builder": "csv"}, r"none.csv: no such file"),
    ]
    for rows, settings, said in wrong:
        columns = settings.pop("columns", COLUMNS)
        with pytest.raises((DataError, MissingData), match=said):
            pairs(spec({"train": rows}, columns, **settings))


def test_damaged_directories_are_named(root: Path) -> None:
    where = root / "saved"
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(where)
    state, found = where / "train" / "state.json", spec({"train": "train"}, directory="saved")
    whole, noted = next((where / "train").glob("*.arrow")), state.read_text()
    content = whole.read_bytes()
    breaks: dict[str, Callable[[], Any]] = {
        r"train\): cannot be read": lambda: whole.write_bytes(content[:200] + b"\xff" * 200 + content[400:]),
        r"`_data_files` should be a list of names": lambda: state.write_text('{"_data_files": [{"filename": "/x"}]}'),
        r"state.json: should be a JSON object": lambda: state.write_text("[]"),
        r"state.json: no such file; the directory is not whole": state.unlink,
        r"rows are chosen by a file of their own": lambda: state.write_text(
            json.dumps({**json.loads(noted), "_indices_data_files": [{"filename": "i.arrow"}]})
        ),
    }
    for said, damage in breaks.items():
        whole.write_bytes(content)
        state.write_text(noted)
        damage()
        with pytest.raises((DataError, MissingData), match=said):
            pairs(found)
    state.write_text(noted)
    with pytest.raises(DataError, match=r"has no split 'test' \(known: train\)"):
        pairs(spec({"train": "test"}, directory="saved"))


def test_offsets_that_lead_outside_are_refused(root: Path) -> None:
    datasets.Dataset.from_list([{"a": "x" * 0x1234, "b": "b", "label": 0}]).save_to_disk(root / "saved")
    path = next((root / "saved").glob("*.arrow"))
    before, after = (struct.pack("<ii", 0, end) for end in (0x1234, 1 << 30))
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after))
    with pytest.raises(DataError, match="cannot be read"):
        pairs(spec({"train": "train"}, directory="saved"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "say one of dataset .on the Hub., directory, and builder"),
        ({"dataset": "a/b", "directory": "c"}, "say one of dataset"),
        ({"directory": "c", "revision": "x"}, "only a dataset on the Hub has revisions"),
        ({"builder": "csv"}, "paths are what a builder reads"),
        ({"directory": "c", "splits": {"train": {"split": "t", "paths": "x"}}}, "paths are what a builder reads"),
        ({"builder": "csv", "config": "x", "splits": {"train": {"paths": "x"}}}, "neither configurations nor splits"),
        ({"dataset": "a/b", "splits": {"train": "train[:10%]"}}, "`fold` takes a part"),
        ({"builder": "pandas", "splits": {"train": {"paths": "x"}}}, "builder"),
        ({"dataset": "a/b", "trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec(settings.pop("splits", {"train": "train"}), **settings)


NAME = "someone/pairs"
CARD = b"""---
configs:
- config_name: eng
  data_files: [{split: train, path: eng/train.csv}]
- config_name: deu
  data_files: [{split: train, path: deu.jsonl}]
---
"""
FILES = {
    "README.md": CARD,
    "eng/train.csv": CSV,
    "deu.jsonl": b'{"a": "d", "b": "b", "label": "no"}\n',
}


def on_hub(**settings: Any) -> dict[str, Any]:
    """A task of a dataset on the Hub, with a configuration for each language."""
    source = {"dataset": NAME, "columns": COLUMNS, "splits": {"train": "train"}, "config": "{language}", **settings}
    source = {"kind": "datasets", "codes": {"en": "eng", "de": "deu"}, **source}
    return task({}, sources={"hub": source})


def test_a_dataset_on_the_hub_is_prepared_once_and_then_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    found = on_hub()
    print_of = [found, "fingerprint", "hub", {"train": ["en", "de"]}]
    with serve(tmp_path / "hub") as hub:
        commit = hub.commit(f"datasets/{NAME}", FILES)
        calls = [[found, call, "hub", "en", "train"] for call in ("at_hand", "known_size", "sizes")]
        answers = ask(hub, *calls, print_of, [found, "load", "hub", "en", "train"], *calls)
        assert answers[:3] == [False, None, None] and answers[5:] == [True, 2, 2]
        assert [(one["text"], one["label"]) for one in answers[4]] == [("x, y", 1), ("z", 0)]
        assert hub.fetched().isdisjoint({"deu.jsonl"}), "another configuration is left alone"
    again = [print_of, [found, "load", "hub", "en", "train"], [on_hub(revision=commit), "load", "hub", "en", "train"]]
    known, loaded, pinned, fetched = ask(
        hub, *again, [found, "load", "hub", "de", "train"], told="the dataset someone/pairs is read from the local Hub"
    )
    assert known == answers[3] and loaded == pinned == answers[4]
    assert "someone/pairs at" in fetched and "the Hub cannot be reached" in fetched


def test_mistakes_on_the_hub_and_what_would_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    other = CARD.replace(b"eng/train.csv", b"hf://datasets/someone/pairs/eng/train.csv")
    with serve(tmp_path / "hub") as hub:
        first = hub.commit(f"datasets/{NAME}", FILES)
        second = hub.commit(f"datasets/{NAME}", {**FILES, "eng/train.csv": CSV + b"q,b,no\n"})
        hub.commit("datasets/someone/scripted", {"scripted.py": b"raise SystemExit('ran')", "eng.csv": CSV})
        hub.commit("datasets/someone/borrowed", {"README.md": other, "deu.jsonl": FILES["deu.jsonl"]})
        wrong: dict[str, dict[str, Any]] = {
            "someone/scripted (eng): needs a script, and no code of a dataset is run": {"dataset": "someone/scripted"},
            "`kind: hub` may find it converted, on the branch refs/convert/parquet": {"dataset": "someone/scripted"},
            "cannot read it (Data files don't belong to someone/borrowed": {"dataset": "someone/borrowed"},
            "Available: ['eng', 'deu']": {"config": "fra"},
            "someone/pairs (eng): has no split 'trian' (did you mean 'train'?)": {"splits": {"train": "trian"}},
            "there is no dataset 'no/one' on the Hub": {"dataset": "no/one"},
        }
        by_commit = [on_hub(revision=first), on_hub(revision=second), on_hub()]
        questions = [[one, "fingerprint", "hub", {"train": ["en"]}] for one in by_commit]
        questions += [[on_hub(**one), "load", "hub", "en", "train"] for one in wrong.values()]
        before, after, main, *answers = ask(hub, *questions)
        assert before != after == main
        for said, answer in zip(wrong, answers, strict=True):
            assert isinstance(answer, str) and said in answer, (said, answer)
