"""predictions.parquet, written and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from adapterx.results import predictions
from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions, UnreadablePredictions
from tests.results.earlier import HERE

EARLIER = ["tagging", "answers", "rankings"]


def ints(*rows: list[int]) -> list[Any]:
    return [np.array(row, np.int64) for row in rows]


def floats(*rows: Any) -> list[Any]:
    return [np.array(row, np.float32) for row in rows]


TAGS = StoredPredictions(
    Evaluated("ner", ("O", "B-X", "I-X"), ("span_f1", "accuracy"), format="tagging"),
    [
        LanguagePredictions(
            code,
            ["b", "a"],
            ints([0, 1], [2]),
            ints([0, 0], [2]),
            floats([[1, 0, 0], [0.5, 0.25, 0]], [[0, 0, 2]]),
        )
        for code in ("en", "de")
    ],
)
ANSWERS = StoredPredictions(
    Evaluated("qa", (), ("squad_f1",), unanswerable=True, format="extractive-qa"),
    [LanguagePredictions("en", ["q1", "q0"], [["the cat", "cat"], []], ["cat", ""], floats([[1.5, 0.5]], [[0, 1]]))],
)
RANKINGS = StoredPredictions(
    Evaluated("t", (), ("retrieval_accuracy",), format="retrieval"),
    [
        LanguagePredictions(
            "sw", ["x", "y"], ints([0], [1, 2]), ints([0, 1, 2], [2, 0, 1]), floats([0.5, 0.25, 0], [1, 0.5, 0.25])
        )
    ],
)
STORED = dict(zip(EARLIER, (TAGS, ANSWERS, RANKINGS), strict=True))


def plain(stored: StoredPredictions) -> list[Any]:
    """What can be compared: arrays as lists."""
    return [
        (one.language, list(one.ids), *([list(item) for item in side] for side in (one.gold, one.prediction)))
        for one in stored.languages
    ]


@pytest.mark.parametrize("name", EARLIER)
def test_what_is_read_is_what_was_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    predictions.write(path, "c", STORED[name])
    found = predictions.read(path)
    assert found.of == predictions.about(path) == STORED[name].of
    assert plain(found) == plain(STORED[name])


def test_items_can_be_sorted(tmp_path: Path) -> None:
    predictions.write(tmp_path / "p.parquet", "c", TAGS)
    first, second = predictions.read(tmp_path / "p.parquet", by_item=True).languages
    assert (first.language, second.language) == ("de", "en")
    assert list(first.ids) == ["a", "b"] and [item.tolist() for item in first.gold] == [[2], [0, 1]]


@pytest.mark.parametrize("name", EARLIER)
def test_files_of_earlier_versions_are_read_and_differ_in_the_format_alone(name: str, tmp_path: Path) -> None:
    earlier = HERE / f"{name}.parquet"
    found = predictions.read(earlier)
    assert plain(found) == plain(STORED[name])
    assert found.of == replace(STORED[name].of, format=None)
    predictions.write(tmp_path / "p.parquet", "c", STORED[name])
    now, before = (parquet.read_table(path) for path in (tmp_path / "p.parquet", earlier))
    assert now.replace_schema_metadata(None).equals(before.replace_schema_metadata(None))
    assert now.schema.metadata == {**before.schema.metadata, b"format": f'"{STORED[name].of.format}"'.encode()}


def test_languages_whose_items_do_not_stand_together_are_sorted_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    predictions.write(path, "c", replace(TAGS, languages=[*TAGS.languages, TAGS.languages[0]]))
    with pytest.raises(UnreadablePredictions, match="its items of en do not stand together"):
        predictions.read(path)
    assert [len(one.ids) for one in predictions.read(path, by_item=True).languages] == [2, 4]


@pytest.mark.parametrize("content", [b"", b"PAR1 not parquet"])
def test_what_is_no_file_of_predictions_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    for read in (predictions.about, predictions.read):
        with pytest.raises(UnreadablePredictions, match=r"p\.parquet cannot be scored: .*; remove its stage"):
            read(path)
