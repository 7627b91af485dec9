"""Fingerprints of every kind of source as they are stored: whatever moves, results and tokens are found again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.spec import TaskSpec
from tests.support.hub import Hub, serve
from tests.tasks.hub_tasks import CONVERSION, ask
from tests.tasks.hub_tasks import task as on_hub

SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "A goat ate. It slept.",
                    "qas": [{"id": "q", "question": "Who?", "answers": [{"text": "goat", "answer_start": 2}]}],
                }
            ]
        }
    ]
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes a file into the data directory."""
    monkeypatch.setenv(places.DATA, str(tmp_path))

    def written(name: str, text: str) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")

    return written


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


def short(fingerprint: str, key: str) -> str:
    """The beginnings of a fingerprint and of the key under which a reading of it is kept."""
    return f"{fingerprint[:12]} {key[:12]}"


def task(source: dict[str, Any], **settings: Any) -> TaskSpec:
    whole = {
        "adapterx": 1,
        "name": "mine",
        "description": "…",
        "format": "pair-classification",
        "labels": ["no", "yes"],
        "metrics": ["accuracy"],
        "languages": ["en", "de"],
        "licence": "CC0-1.0",
        "sources": {"s": source},
        **settings,
    }
    return TaskSpec.model_validate({name: value for name, value in whole.items() if value is not None})


def local(**more: Any) -> TaskSpec:
    splits = {"train": {"paths": "{language}.tsv"}, "test": {"paths": "{language}.tsv", "languages": ["en"]}}
    return task({"kind": "local", "reader": "tsv", "columns": {"text": 0, "label": 1}, "splits": splits, **more})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "d925319f9176 aec480b75150"),
        ({"missing": "drop"}, "eae3513e7d08 bde45765a722"),
        ({"missing": "keep"}, "d925319f9176 64d4ee84b72c"),
        ({"header": True, "columns": {"text": "a", "label": "no"}}, "745b917f69b7 e8339e82732d"),
        ({"values": {"label": {"no": "yes"}}}, "9bf59f258d85 45e7619297ce"),
        (
            {"splits": {"train": {"paths": "{language}.tsv", "fold": {"of": 2, "keep": [1]}}}},
            "4afe7636d754 685619ae4a94",
        ),
        (
            {"splits": {"train": {"paths": "{language}.tsv", "labels": "labels"}}, "columns": {"text": 0}},
            "d7efd800506a edc406ec1618",
        ),
    ],
)
def test_files_here(more: dict[str, Any], expected: str, write: Callable[[str, str], None]) -> None:
    for language in ("en", "de"):
        write(f"{language}.tsv", f"a {language}\tno\nb\tyes\n")
    write("labels", "no\nyes\n")
    spec = local(**more)
    found = data.fingerprint(spec, "s", {"train": ["de", "en"], "test": ["en"]})
    assert short(found, data.content_key(spec, "s", "en", "train")) == expected


def test_sides_of_a_search(write: Callable[[str, str], None]) -> None:
    write("eng.q", "1\tone\n")
    write("eng.c", "1\teins\n")
    write("eng.r", "1\t1\n")
    side = {"text": 1, "id": 0}
    sides = {"queries": {"paths": "{language}.q", **side}, "candidates": {"paths": "{language}.c", **side}}
    source = {"kind": "search", "codes": {"en": "eng"}, "splits": {"test": {**sides, "relevant": "{language}.r"}}}
    settings = {"format": "retrieval", "labels": None, "metrics": ["retrieval_accuracy"], "languages": ["en"]}
    spec = task(source, **settings)
    found = data.fingerprint(spec, "s", {"test": ["en"]})
    assert short(found, data.content_key(spec, "s", "en", "test")) == "8e2b3273bbca 6e9ac64f4b04"


def test_sentences_of_a_task_of_the_catalog(write: Callable[[str, str], None], tmp_path: Path) -> None:
    (path,) = data.paths(find("xquad"), "local", "en", "test")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(str(path.relative_to(tmp_path)), json.dumps(SQUAD))
    spec, name = find("xquad-r"), "local"
    found = data.fingerprint(spec, name, {"test": ["en"]})
    assert short(found, data.content_key(spec, name, "en", "test")) == "7cafdcae66f8 71f131f08a8b"


def test_made_from_cldr_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.tasks.sources.embedded.version", lambda _: "2.18")
    spec = find("time-order")
    found = data.fingerprint(spec, "embedded", {"train": ["en", "de"], "test": ["fi"]})
    assert short(found, data.content_key(spec, "embedded", "en", "train")) == "2d5d7c176fef d1630522b5f8"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "479fbfc3c552 04a2935a92d5"),
        ({"missing": "drop"}, "ac3395546657 68273929f5b5"),
        (
            {"splits": {"train": {"split": "train", "where": {"a": "{language}*"}, "fold": {"of": 3, "keep": [0]}}}},
            "8122dcd94ee8 ca67d7f8ea4d",
        ),
    ],
)
def test_rows_of_the_hub(more: dict[str, Any], expected: str, hub: Hub) -> None:
    """No file is read for it, so that its bytes need not be parquet's, which differ between versions of its library."""
    hub.commit("datasets/someone/pairs", {"en/train/0000.parquet": b"rows", "en/test/0.parquet": b"more"}, CONVERSION)
    source = {
        "dataset": "someone/pairs",
        "config": "{language}",
        "columns": {"text": "a", "label": "label"},
        "splits": {"train": "train", "test": {"split": "test", "languages": ["en"]}},
    }
    spec = on_hub({**source, **more})
    asked = [spec, "fingerprint", "hub", {"train": ["en"], "test": ["en"]}], [spec, "content_key", "hub", "en", "train"]
    assert short(*ask(hub, *asked)) == expected
