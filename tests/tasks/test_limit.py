"""Limits on the examples of a split: which ones are kept, of every kind of source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds.retrieval import RetrievalExample
from adapterx.tasks.spec import TaskSpec
from tests.support.hub import Hub, serve
from tests.tasks import hub_tasks

CODES = ("en", "de", "sw")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path


def task(**source: Any) -> TaskSpec:
    splits = {"train": {"paths": "train-{language}.tsv"}, "test": {"paths": "test-{language}.tsv"}}
    given = {"kind": "local", "reader": "tsv", "columns": {"id": 0, "text": 1, "label": 2}, "splits": splits, **source}
    settings = {"name": "mine", "format": "pair-classification", "labels": ["no", "yes"], "metrics": "accuracy"}
    about = {"adapterx": 1, "description": "…", "licence": "CC0-1.0", "parallel": True, "languages": list(CODES)}
    return TaskSpec.model_validate({**settings, **about, "sources": {"files": given}})


def write(path: Path, numbers: Iterator[int] | range | list[int], language: str = "en") -> None:
    """Rows sorted by label: `no` up to 500, `yes` after it."""
    path.write_text("".join(f"item-{n}\t{language} {n}\t{'no' if n < 500 else 'yes'}\n" for n in numbers))


def labels(examples: list[Example]) -> set[int]:
    return {label for one in examples for label in one.labels}


@pytest.mark.parametrize("columns", [{"id": 0, "text": 1, "label": 2}, {"text": 1, "label": 2}])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_file_sorted_by_label_gives_both_labels(split: str, columns: dict[str, int], root: Path) -> None:
    write(root / f"{split}-en.tsv", range(1000))
    spec = task(columns=columns)
    kept = data.load(spec, "files", "en", split, Limit(200))
    assert len(kept) == 200
    assert 70 <= sum(one.labels == (1,) for one in kept) <= 130
    assert labels(data.load(spec, "files", "en", split, Limit(200, "first"))) == {0}
    whole = data.load(spec, "files", "en", split)
    assert kept == [one for one in whole if one in kept], "in the order of the file"


def test_languages_that_share_ids_keep_the_same_items(root: Path) -> None:
    numbers = list(range(300))
    write(root / "test-en.tsv", numbers)
    write(root / "test-de.tsv", numbers[::-1], "de")
    in_english = {one.id for one in data.load(task(), "files", "en", "test", Limit(40))}
    lacking = int(min(in_english).removeprefix("item-"))
    write(root / "test-sw.tsv", [n for n in numbers if n != lacking], "sw")
    in_german, in_swahili = (
        {one.id for one in data.load(task(), "files", code, "test", Limit(40))} for code in ("de", "sw")
    )
    assert in_german == in_english
    assert len(in_swahili) == 40 and in_english - in_swahili == {f"item-{lacking}"}


def test_items_without_ids_go_by_their_rows(root: Path) -> None:
    for code in ("en", "de"):
        write(root / f"train-{code}.tsv", range(100), code)
    spec = task(columns={"text": 1, "label": 2})
    kept = [[one.id for one in data.load(spec, "files", code, "train", Limit(10))] for code in ("en", "de")]
    assert kept[0] == kept[1] and len(set(kept[0])) == 10


def test_the_items_of_an_embedded_task_are_the_same_in_every_language() -> None:
    spec = data.find("time-order")
    kept = [[one.id for one in data.load(spec, "embedded", code, "test", Limit(7))] for code in ("en", "sw", "ja")]
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 7


def test_as_many_as_there_are_is_everything(root: Path) -> None:
    write(root / "test-en.tsv", range(30))
    assert data.load(task(), "files", "en", "test", Limit(30)) == data.load(task(), "files", "en", "test")


def search(root: Path, **more: Any) -> TaskSpec:
    """Fifty queries of which the n-th has the (49 - n)-th candidate."""
    (root / "queries.tsv").write_text("".join(f"q{n}\tquery {n}\n" for n in range(50)))
    (root / "candidates.tsv").write_text("".join(f"c{n}\tcandidate {n}\n" for n in range(50)))
    (root / "pairs.tsv").write_text("".join(f"q{n}\tc{49 - n}\n" for n in range(50)))
    texts = {side: {"paths": f"{side}.tsv", "id": 0, "text": 1} for side in ("queries", "candidates")}
    source = {"kind": "search", "splits": {"test": {**texts, "relevant": "pairs.tsv"}}}
    about = {"adapterx": 1, "name": "s", "description": "…", "licence": "CC0-1.0", "languages": ["en"]}
    return TaskSpec.model_validate(
        {**about, "format": "retrieval", "metrics": "retrieval_accuracy", "sources": {"files": source}, **more}
    )


@pytest.mark.parametrize("limit", [Limit(5), Limit(5, "first")])
def test_queries_are_sampled_and_all_candidates_stay(limit: Limit, root: Path) -> None:
    found = [one for one in data.load(search(root), "files", "en", "test", limit) if isinstance(one, RetrievalExample)]
    queries, candidates = ([one for one in found if (one.relevant is None) == side] for side in (False, True))
    assert [one.id for one in candidates] == [f"c{n}" for n in range(50)]
    assert len(queries) == 5
    numbers = [int(one.id.removeprefix("q")) for one in queries]
    assert numbers == sorted(numbers) and (numbers == [0, 1, 2, 3, 4]) == (limit.sample == "first")
    assert all(one.relevant == (49 - number,) for one, number in zip(queries, numbers, strict=True))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


def test_first_rows_of_the_hub_fetch_the_first_file_and_a_sample_all(hub: Hub) -> None:
    rows = [{"id": f"item-{n}", "a": f"a{n}", "b": "b", "label": int(n >= 50)} for n in range(100)]
    names = ("en/train/0000.parquet", "en/train/0001.parquet")
    files = {name: hub_tasks.parquet(part) for name, part in zip(names, (rows[:50], rows[50:]), strict=True)}
    hub.commit("datasets/someone/pairs", files, hub_tasks.CONVERSION)
    columns = {"id": "id", "text": "a", "text_pair": "b", "label": "label"}
    spec = hub_tasks.task(
        {"dataset": "someone/pairs", "config": "{language}", "columns": columns, "splits": {"train": "train"}}
    )
    question = [spec, "load", "hub", "en", "train"]
    (first,) = hub_tasks.ask(hub, [*question, {"items": 20, "sample": "first"}])
    assert [one["id"] for one in first] == [f"item-{n}" for n in range(20)]
    assert len(hub.fetched()) == 1
    (kept,) = hub_tasks.ask(hub, [*question, {"items": 20, "sample": "random"}])
    assert len(hub.fetched()) == 2 and len(kept) == 20
    assert {one["label"] for one in kept} == {0, 1}
