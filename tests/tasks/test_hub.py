"""Tasks from the Hub, fetched by the real client from a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import Hub, serve
from tests.tasks.hub_tasks import CONVERSION, ask, cache, parquet, task

NAME = "someone/pairs"
REPOSITORY = f"datasets/{NAME}"
SECRET = "hf_secretsecretsecret"  # noqa: S105  opens nothing but the server here
COLUMNS = {"text": "a", "text_pair": "b", "label": "label"}
SOURCE: dict[str, Any] = {
    "dataset": NAME,
    "config": "{language}",
    "columns": COLUMNS,
    "splits": {"train": "train", "test": {"split": "validation", "languages": ["en"]}},
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


def rows(count: int, text: str = "a") -> list[dict[str, Any]]:
    return [{"a": f"{text}{n}", "b": "b", "label": n % 2, "unread": [n] * 100} for n in range(count)]


def conversion(**files: list[dict[str, Any]]) -> dict[str, bytes]:
    """Files by config and split (`en__train`), as the Hub's own conversion lays them out, and others."""
    made = {f"{name.replace('__', '/')}/0000.parquet": parquet(content, 7) for name, content in files.items()}
    return {**made, "README.md": b"not wanted", "loading.py": b"not wanted", "en/train/data.pkl": b"not wanted"}


def test_examples_sizes_and_identity_with_the_network_and_without(hub: Hub) -> None:
    files = conversion(en__train=rows(20), de__train=rows(9, "x"), en__validation=rows(5))
    files["en/train/0001.parquet"] = parquet(rows(3, "z"))
    hub.commit(REPOSITORY, files, CONVERSION)
    spec = task(SOURCE)
    plan = [[spec, "sizes", "hub", code, split] for code in ("en", "de", "fr") for split in ("train", "test")]
    plan += [[spec, "fingerprint", "hub", {"train": ["en", "de"], "test": ["en"]}]]
    first = ask(hub, [spec, "at_hand", "hub", "en", "train"], [spec, "known_size", "hub", "en", "train"], *plan)
    assert first[:8] == [False, None, 23, 5, 9, 0, 0, 0]
    ranges = [request.range for request in hub.requests if request.path.endswith(".parquet")]
    assert len(ranges) == 4 and all(ranges), "sizes read the ends of files"
    assert not list(cache(hub).glob("**/*.parquet"))
    assert sum("/api/" in request.path for request in hub.requests) == 1

    (found,) = ask(hub, [spec, "load", "hub", "en", "train"])
    assert [one["id"] for one in found] == [f"train-{n}" for n in range(23)]
    assert found[1] == {"id": "train-1", "text": "a1", "text_pair": "b", "label": 1}
    assert found[20]["text"] == "z0"
    assert {name.rpartition("/")[2] for name in hub.fetched()} == {"0000.parquet", "0001.parquet"}

    before = len(hub.requests)
    hub.fail(503, "/datasets/")
    pinned = task({**SOURCE, "revision": next((hub.root / REPOSITORY).glob("*/en")).parent.name})
    questions: list[list[Any]] = [
        [pinned, "load", "hub", "en", "train"],
        [pinned, "at_hand", "hub", "en", "train"],
        *plan,
    ]
    again = ask(hub, *questions, told="(HTTP status 503): the dataset someone/pairs is read from the local Hub cache")
    assert again[0] == found and again[1] is True
    assert again[2:] == first[2:], "a branch is asked for, and means what it meant"
    assert all("/api/" in request.path for request in hub.requests[before:]), "a known commit needs no network"


def test_a_known_branch_serves_where_there_is_no_network(tmp_path: Path) -> None:
    questions = [
        [task(SOURCE), "fingerprint", "hub", {"train": ["en"]}],
        [task(SOURCE), "sizes", "hub", "en", "train"],
        [task(SOURCE), "load", "hub", "en", "train", {"items": 2, "sample": "first"}],
    ]
    with serve(tmp_path / "hub") as hub:
        hub.commit(REPOSITORY, conversion(en__train=rows(4)), CONVERSION)
        first = ask(hub, *questions)
    assert ask(hub, *questions, told="the Hub cannot be reached: the dataset someone/pairs is read from") == first
    assert first[1] == 4 and len(first[2]) == 2
    unknown = task({**SOURCE, "dataset": "someone/else"})
    (answer,) = ask(hub, [unknown, "sizes", "hub", "en", "train"])
    assert "someone/else" in answer and "is not known from the local Hub cache, and the Hub cannot be reached" in answer


def test_content_decides_the_identity(hub: Hub) -> None:
    question = [task(SOURCE), "fingerprint", "hub", {"train": ["en"]}]
    files = conversion(en__train=rows(4), de__train=rows(4))
    hub.commit(REPOSITORY, files, CONVERSION)
    first = ask(hub, question)
    hub.commit(REPOSITORY, {**files, "README.md": b"another", "de/train/0000.parquet": parquet(rows(9))}, CONVERSION)
    assert ask(hub, question) == first
    hub.commit(REPOSITORY, conversion(en__train=rows(5)), CONVERSION)
    other = task({**SOURCE, "values": {"label": {"0": "yes"}}})
    assert len({*first, *ask(hub, question, [other, *question[1:]])}) == 3


def test_structs_templates_class_labels_filters_and_codes(hub: Hub) -> None:
    made = [
        {
            "q": f"Q{n}?",
            "p": "P.",
            "choices": {"label": ["A", "B"], "text": [f"x{n}", f"y{n}"]},
            "key": "BA"[n % 2],
            "kind": n % 3,
        }
        for n in range(12)
    ]
    hub.commit(REPOSITORY, {"deu_Latn/test-00000-of-00001.parquet": parquet(made)}, "main")
    source = {
        "dataset": NAME,
        "revision": "main",
        "config": "{language}",
        "codes": {"de": "deu_Latn"},
        "columns": {"id": "q", "context": "{p} {q}", "choices": "choices.text", "label": "key"},
        "values": {"label": {"A": "no", "B": "yes"}},
        "splits": {"test": {"split": "test", "where": {"kind": [0, 2]}, "fold": {"of": 2, "keep": [1]}}},
    }
    spec = task(source, format="multiple-choice")
    found, size = ask(hub, [spec, "load", "hub", "de", "test"], [spec, "sizes", "hub", "de", "test"])
    assert [one["id"] for one in found] == ["Q3?", "Q5?", "Q9?", "Q11?"]
    assert found[0] == {"id": "Q3?", "context": "P. Q3?", "choices": ["x3", "y3"], "label": 0}
    assert size is None, "only the rows tell how many are kept"


def test_tags_are_named_by_their_class_numbers(hub: Hub) -> None:
    hub.commit(REPOSITORY, {"data/train-00000-of-00001.parquet": parquet([{"t": ["a", "b"], "n": [2, 0]}])}, "main")
    source = {"dataset": NAME, "revision": "main", "columns": {"words": "t", "tags": "n"}, "splits": {"train": "train"}}
    spec = task(source, format="tagging", labels=["O", "B-X", "I-X"])
    swapped = task(
        {**source, "values": {"label": {"0": "I-X", "2": "O"}}}, format="tagging", labels=["O", "B-X", "I-X"]
    )
    first, second = ask(hub, [spec, "load", "hub", "en", "train"], [swapped, "load", "hub", "en", "train"])
    assert first == [{"id": "train-0", "words": ["a", "b"], "tags": [2, 0]}]
    assert second[0]["tags"] == [0, 2]


def test_rows_that_lack_something_are_refused_left_out_or_kept(hub: Hub) -> None:
    made = [
        *rows(2),
        {"a": None, "b": "b", "label": 0},
        {"a": "a", "b": " ", "label": 1},
        {"a": "a", "b": "b", "label": -1},
    ]
    hub.commit(REPOSITORY, {f"en/validation/000{n}.parquet": parquet([row]) for n, row in enumerate(made)}, CONVERSION)
    specs = {missing: task({**SOURCE, "missing": missing}) for missing in ("refuse", "drop", "keep")}
    refused, dropped, size, kept, counted = ask(
        hub,
        [specs["refuse"], "load", "hub", "en", "test"],
        [specs["drop"], "load", "hub", "en", "test"],
        [specs["drop"], "sizes", "hub", "en", "test"],
        [specs["keep"], "load", "hub", "en", "test"],
        [specs["drop"], "counted", "hub", "en", "test"],
    )
    assert "en/validation/0002.parquet, row 0: the column 'a' holds no text but null; mend the row, or leave" in refused
    assert [one["id"] for one in dropped] == ["test-0", "test-1"] and size is None
    assert "0002.parquet, row 0: the column 'a' holds no text but null" in kept
    assert counted == {"examples": 2, "left_out": {"a missing value": 3}, "only_label": None}


def test_a_file_whose_body_is_damaged_is_named(hub: Hub) -> None:
    whole, start = parquet(rows(50)), 30  # within the pages of the first column
    hub.commit(REPOSITORY, {"en/train/0000.parquet": whole[:start] + b"\xff" * 40 + whole[start + 40 :]}, CONVERSION)
    (answer,) = ask(hub, [task(SOURCE), "load", "hub", "en", "train"])
    assert isinstance(answer, str) and "en/train/0000.parquet" in answer and answer.startswith("DataError")


def test_mistakes_are_told_with_what_there_is_instead(hub: Hub) -> None:
    hub.commit(REPOSITORY, conversion(english__train=rows(2), english__validation=rows(2)), CONVERSION)
    hub.commit("datasets/someone/broken", {"en/train/0000.parquet": b"PAR1 no table"}, CONVERSION)
    hub.commit("datasets/someone/code", {"loading.py": b""}, CONVERSION)
    base = {**SOURCE, "config": "english"}
    wrong = {
        "no config 'en' (known: english)": {**SOURCE},
        "no split 'trian' of 'english' (did you mean 'train'?)": {**base, "splits": {"train": "trian"}},
        "english/train/0000.parquet: has no column 'lable' (did you mean 'label'?)": {
            **base,
            "columns": {**COLUMNS, "label": "lable"},
        },
        "row 0: the column 'unread' holds no text": {**base, "columns": {**COLUMNS, "text": "unread"}},
        "row 1: unknown label '1'; the task has": {**base},
        "someone/broken: en/train/0000.parquet: is not a parquet file": {**SOURCE, "dataset": "someone/broken"},
        "has no parquet, CSV, TSV or JSON files; its branch refs/convert/parquet may": {
            **SOURCE,
            "dataset": "someone/code",
        },
        "has no file that matches x.parquet": {**base, "splits": {"train": {"split": "t", "paths": "x.parquet"}}},
        "has no revision '5555": {**base, "revision": "5" * 40},
        "there is no dataset 'no/one' on the Hub that you may see": {**base, "dataset": "no/one"},
    }
    labels = {"labels": ["no"]}
    questions = [
        [task(source, **(labels if "unknown label" in message else {})), call, "hub", "en", "train"]
        for message, source in wrong.items()
        for call in ["sizes" if "parquet file" in message else "load"]
    ]
    for message, answer in zip(wrong, ask(hub, *questions), strict=True):
        assert isinstance(answer, str) and message in answer


def test_gates_and_tokens(hub: Hub) -> None:
    hub.commit(REPOSITORY, conversion(en__train=rows(2)), CONVERSION)
    question = [task(SOURCE), "sizes", "hub", "en", "train"]
    hub.gated.add(REPOSITORY)
    (answer,) = ask(hub, question)
    assert f"the dataset {NAME} is gated: accept its conditions on its Hub page, then log in" in answer
    hub.gated.clear()
    hub.private[REPOSITORY] = SECRET
    assert "if it is private, log in with `hf auth login`" in ask(hub, question)[0]
    assert "HF_TOKEN" in ask(hub, question, token="hf_anotheranother")[0]  # noqa: S106
    load = [task(SOURCE), "load", "hub", "en", "train", {"items": 1, "sample": "first"}]
    assert ask(hub, question, load, token=SECRET)[0] == 2
    kept = [path for path in cache(hub).rglob("*") if path.is_file() and SECRET in path.read_bytes().decode("latin1")]
    assert not kept


def test_an_id_that_two_test_items_share_is_refused(hub: Hub) -> None:
    hub.commit(REPOSITORY, conversion(en__validation=rows(4)), CONVERSION)
    source = {**SOURCE, "columns": {**COLUMNS, "id": "b"}}
    (answer,) = ask(hub, [task(source), "load", "hub", "en", "test"])
    assert "en/validation/0000.parquet, row 1: the id 'b' stands at more than one item" in answer
