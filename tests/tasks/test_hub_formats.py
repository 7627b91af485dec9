"""Text files of datasets on the Hub, fetched by the real client from a server on this machine."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from adapterx.tasks.sources.hub import files as hub_files
from adapterx.tasks.sources.hub.files import Blob, Listing
from adapterx.tasks.spec import TaskSpec
from tests.support.hub import Hub, serve
from tests.tasks.hub_tasks import ask, cache, parquet, task

NAME = "someone/pairs"
REPOSITORY = f"datasets/{NAME}"
SOURCE: dict[str, Any] = {
    "dataset": NAME,
    "revision": "main",
    "config": "{language}",
    "columns": {"text": "a", "text_pair": "b", "label": "label"},
    "splits": {"train": "train"},
}
QUOTED = 'a,b,label\n"one, two","said ""so""\nand went",yes\nthree,four,no\n'
FOUND = [("one, two", 'said "so"\nand went', 1), ("three", "four", 0)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def pairs(found: Any) -> Any:
    """Examples as tuples; a message as it is."""
    return [(one["text"], one["text_pair"], one["label"]) for one in found] if isinstance(found, list) else found


OBJECTS = [{"a": text, "b": pair, "label": ["no", "yes"][label]} for text, pair, label in FOUND]
FORMATS = {
    "train.csv": QUOTED.encode(),
    "train-00000-of-00001.tsv": QUOTED.replace('"one, two",', "one, two\t")
    .replace(",yes", "\tyes")
    .replace("three,four,", "three\tfour\t")
    .replace("a,b,", "a\tb\t")
    .encode(),
    "train.jsonl": lines(OBJECTS),
    "train/0000.json": json.dumps(OBJECTS, indent=1).encode(),
    "train.json": lines(OBJECTS),
    "train.csv.gz": gzip.compress(QUOTED.encode()),
    "train.jsonl.gz": gzip.compress(lines(OBJECTS)),
}


def test_every_format_gives_the_same_examples_as_parquet(hub: Hub) -> None:
    formats = {**FORMATS, "train.parquet": parquet(OBJECTS)}
    for number, (name, content) in enumerate(formats.items()):
        hub.commit(f"datasets/someone/set{number}", {f"en/{name}": content, "README.md": b"no rows"})
    specs = [task({**SOURCE, "dataset": f"someone/set{number}"}) for number in range(len(formats))]
    calls = [["load", "hub", "en", "train"], ["sizes", "hub", "en", "train"], ["at_hand", "hub", "en", "train"]]
    answers = ask(hub, *([spec, *call] for spec in specs for call in calls))
    for number, name in enumerate(formats):
        loaded, size, here = answers[3 * number : 3 * number + 3]
        assert (pairs(loaded), size, here) == (FOUND, 2, True), name
        assert [one["id"] for one in loaded] == ["train-0", "train-1"]


def test_rows_are_counted_and_kept_for_the_days_without_a_network(tmp_path: Path) -> None:
    with serve(tmp_path / "hub") as hub:
        large = lines([{**OBJECTS[0], "unread": "x" * (1 << 20)}] * 5)
        hub.commit(REPOSITORY, {"en/train.jsonl": FORMATS["train.jsonl"], "de/train.jsonl": large})
        spec = task(SOURCE)
        small = [[spec, call, "hub", "en", "train"] for call in ("known_size", "at_hand", "sizes", "known_size")]
        wide = [[spec, call, "hub", "de", "train"] for call in ("sizes", "known_size", "at_hand", "counted", "sizes")]
        *answers, known = ask(hub, *small, *wide, [spec, "fingerprint", "hub", {"train": ["en", "de"]}])
        assert answers[:4] == [None, False, 2, 2], "a small file is fetched to be counted"
        assert answers[4:7] == [None, None, False], "a large one is not"
        assert answers[7]["examples"] == 5 and answers[8] == 5, "until it is here"
        fetched = len(list(cache(hub).glob("**/*.jsonl")))
    again: list[list[Any]] = [
        [spec, "fingerprint", "hub", {"train": ["en", "de"]}],
        [spec, "load", "hub", "en", "train"],
        *wide[:3],
    ]
    told = "the dataset someone/pairs is read from the local Hub cache"
    identity, loaded, *rest = ask(hub, *again, told=told)
    assert (identity, pairs(loaded), rest, fetched) == (known, FOUND, [5, 5, True], 2)


def test_the_way_of_reading_is_part_of_the_identity_and_the_commit_is_not(hub: Hub) -> None:
    files = {"en/train.tsv": b"a\tb\tlabel\none\ttwo\tyes\n"}
    question: list[Any] = ["fingerprint", "hub", {"train": ["en"]}]
    explicit = {**SOURCE, "reader": "csv", "splits": {"train": {"split": "train", "paths": ["en/train.tsv"]}}}
    first, readme, longer = (
        hub.commit(REPOSITORY, made)
        for made in (files, {**files, "README.md": b"x"}, {"en/train.tsv": files["en/train.tsv"] + b"x\ty\tno\n"})
    )
    ways = [SOURCE, {**SOURCE, "quotes": False}, explicit, {**explicit, "reader": "tsv"}]
    specs = [task({**way, "revision": first}) for way in ways]
    specs += [task({**SOURCE, "revision": commit}) for commit in (readme, longer)]
    quoted, bare, comma, named, beside, other = ask(hub, *([spec, *question] for spec in specs))
    assert len({quoted, bare, comma, other}) == 4 and quoted == named == beside


def test_files_without_a_telling_name_quotes_filters_and_text_beside_parquet(hub: Hub) -> None:
    marked = b'a\tb\tlabel\tkind\n"so" he said\t"\tno\t1\nx\ty\tyes\t2\nz\ty\tyes\t1\n'
    hub.commit(REPOSITORY, {"data/pairs_en": marked, "data/all.jsonl": lines([{**OBJECTS[1], "in": {"lang": "en"}}])})
    named = {"split": "train", "paths": ["data/pairs_{language}"], "where": {"kind": [1]}}
    plain = {**SOURCE, "reader": "tsv", "quotes": False, "splits": {"train": named}}
    nested = {"split": "train", "paths": ["data/all.jsonl"], "where": {"in.lang": "{language}"}}
    table = parquet([{"a": "from parquet", "b": "b", "label": "no"}])
    text_beside = {f"{name}.csv": QUOTED.encode() for name in ("en/train", "x/en")}
    tables = {"en/train-00000-of-00001.parquet": table, "x/en.parquet": table}
    hub.commit("datasets/someone/both", {**text_beside, **tables})
    both = {**SOURCE, "dataset": "someone/both"}
    by_path = {**both, "splits": {"train": {"split": "train", "paths": ["x/{language}.*"]}}}
    found, quoted, inner, other, *beside = ask(
        hub,
        [task(plain), "load", "hub", "en", "train"],
        [task({**plain, "quotes": True}), "load", "hub", "en", "train"],
        [task({**SOURCE, "splits": {"train": nested}}), "load", "hub", "en", "train"],
        [task({**SOURCE, "splits": {"train": nested}}), "load", "hub", "de", "train"],
        *([task(source), "load", "hub", "en", "train"] for source in (both, by_path)),
    )
    assert [pairs(one) for one in beside] == [[("from parquet", "b", 0)]] * 2
    assert pairs(found) == [('"so" he said', '"', 0), ("z", "y", 1)]
    assert "data/pairs_en:2: is not a row of tab-separated cells" in quoted and "`quotes: false`" in quoted
    assert (pairs(inner), other) == (FOUND[1:], [])


def test_mistakes_name_file_row_and_column(hub: Hub) -> None:
    wrong = {
        "en/csv.csv:3: has not as many columns as the first line": b"a,b,label\n1,2,yes\n1,2\n",
        "en/twice.csv:1: names the column 'a' more than once": b"a,a,label\n",
        "en/empty.csv:1: the file is empty": b"",
        "en/lines.jsonl:2: is not a JSON object": b'{"a": "x", "b": "y", "label": "no"}\n[]\n',
        "en/array.json, item 2: is not a JSON object but 3": b'[{"a": "x", "b": "y", "label": "no"}, 3]',
        "en/column.jsonl:1: has no column 'label' (did you mean 'labell'?)": b'{"a": "x", "b": "y", "labell": "no"}\n',
        "en/label.csv:2: unknown label 'maybe'": b"a,b,label\nx,y,maybe\n",
        "en/bytes.tsv: is not UTF-8": b"a\tb\tlabel\n\xff\ty\tno\n",
        "en/packed.csv.gz: is not a whole gzip file": gzip.compress(QUOTED.encode())[:-9],
        "en/deep.json: ": b"[" * 100_000,
    }
    names = [message.split(":")[0].split(",")[0] for message in wrong]
    hub.commit(REPOSITORY, dict(zip(names, wrong.values(), strict=True)))
    sources = [{**SOURCE, "splits": {"train": {"split": "t", "paths": [name]}}} for name in names]
    absent = {**SOURCE, "splits": {"train": "trian"}}
    *answers, absence = ask(hub, *([task(source), "load", "hub", "en", "train"] for source in [*sources, absent]))
    for message, answer in zip(wrong, answers, strict=True):
        assert isinstance(answer, str) and f"{NAME}: {message}" in answer, (message, answer)
    assert "has no split 'trian' of 'en' (known: array, bytes, column" in absence


def test_a_reader_without_the_files_that_it_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="reader goes with paths in every split"):
        TaskSpec.model_validate(task({**SOURCE, "reader": "csv"}))


def test_a_listing_of_an_earlier_version_serves_offline_and_is_asked_again_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note() -> None:
        """What earlier versions kept of a commit: its parquet files."""
        hub_files._remember(Listing(NAME, commit, {"de/train.parquet": Blob("x", 1)}, whole=False))

    with serve(tmp_path / "hub") as hub:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache(hub)))
        commit = hub.commit(REPOSITORY, {"en/train.csv": QUOTED.encode(), "de/train.parquet": parquet(OBJECTS)})
        pinned = task({**SOURCE, "revision": commit})
        note()
        found = ask(hub, *([pinned, "load", "hub", code, "train"] for code in ("en", "de")))
        assert [pairs(one) for one in found] == [FOUND, FOUND]
        note()
    (found,) = ask(hub, [pinned, "load", "hub", "de", "train"])
    assert pairs(found) == FOUND
