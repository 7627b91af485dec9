"""A label is a name before it is a position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks.data import load
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.rows import Reading
from adapterx.tasks.spec import TaskSpec


def task(labels: tuple[str, ...], values: dict[str, str] | None = None, kind: str = "local") -> TaskSpec:
    columns, meant = {"text": "text", "label": "label"}, {"label": values or {}}
    source: dict[str, Any] = {"kind": kind, "columns": columns, "values": meant}
    source |= {"reader": "jsonl", "splits": {"test": {"paths": "a.jsonl"}}} if kind == "local" else {}
    source |= {"dataset": "a/b", "splits": {"test": "test"}} if kind == "hub" else {}
    fields = {"adapterx": 1, "name": "t", "description": "d", "format": "pair-classification", "licence": "l"}
    more = {"labels": labels, "metrics": "accuracy", "languages": ["en"], "sources": {"local": source}}
    return TaskSpec.model_validate({**fields, **more})


STARS, SIDES = ("1", "2", "3", "4", "5"), ("no", "yes")


@pytest.mark.parametrize("kind", ["local", "hub"])
@pytest.mark.parametrize(
    ("labels", "values", "value", "expected"),
    [
        (STARS, {}, 1, 0),
        (STARS, {}, "5", 4),
        (STARS, {}, " 2\n", 1),
        (("1", "0"), {}, 0, 1),
        (("0", "1"), {}, 1, 1),
        (SIDES, {}, 1, 1),
        (SIDES, {"1": "no"}, 1, 0),
        (SIDES, {"1.0": "yes"}, 1.0, 1),
        (("0.5", "1.5"), {}, 1.5, 1),
        (("false", "true"), {}, True, 1),
        (SIDES, {"True": "yes"}, True, 1),
        (("1 star", "2 stars"), {}, 1, 1),
    ],
)
def test_a_value_that_reads_as_a_label_is_that_label(
    kind: str, labels: tuple[str, ...], values: dict[str, str], value: object, expected: int
) -> None:
    spec = task(labels, values, kind)
    reading = Reading(spec, spec.sources["local"])  # type: ignore[arg-type]
    assert reading.label(value, "a:1") == expected


@pytest.mark.parametrize(
    ("labels", "value", "message"),
    [
        (STARS, 0, "unknown label '0'; the task has 1, 2, 3, 4, 5"),
        (STARS, 1.0, "unknown label '1.0'"),
        (SIDES, True, "unknown label 'True'"),
        (SIDES, 1.0, "unknown label '1.0'"),
        (SIDES, 2, "unknown label '2'"),
        (SIDES, "1", "unknown label '1'"),
        (SIDES, [1], r"the label should be a text or a whole number, not \[1\]"),
        (SIDES, {"a": 1}, "the label should be a text or a whole number"),
        (SIDES, None, "the label is null, and the task has no such label"),
        (SIDES, "-", "the label is '-', and the task has no such label"),
        (SIDES, "", "the label is '', and the task has no such label"),
        (SIDES, float("nan"), "the label is nan"),
        (SIDES, -1, "the label is -1, which stands for none"),
    ],
)
def test_any_other_value_is_refused_at_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...], value: object, message: str
) -> None:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    good = {"text": "t", "label": labels[0]}
    (tmp_path / "a.jsonl").write_text(json.dumps(good) + "\n" + json.dumps({"text": "t", "label": value}) + "\n")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        load(task(labels), "local", "en", "test")
