"""Spans of tags written in several ways: the same spans, whatever the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seqeval.metrics import f1_score

from adapterx.tasks.catalog import TaskError, find
from adapterx.tasks.metrics import metric, span_reading
from adapterx.tasks.tag_schemes import SchemeError, scheme

# Spans as (first word, last word, type) in sentences of six words.
SPANS: tuple[list[tuple[int, int, str]], ...] = (
    [(0, 1, "PER"), (2, 2, "PER"), (4, 5, "ORG")],
    [(1, 3, "LOC"), (4, 4, "ORG")],
    [],
)
SAID = ([(0, 1, "PER"), (2, 3, "PER"), (4, 5, "ORG")], [(1, 3, "ORG"), (4, 4, "ORG")], [(5, 5, "PER")])
BOTH, F1 = 3, 2 * 3 / (5 + 6)


def bioes(spans: list[tuple[int, int, str]]) -> list[tuple[str, str]]:
    tags = [("O", "")] * 6
    for first, last, kind in spans:
        places = "S" if first == last else "B" + "I" * (last - first - 1) + "E"
        tags[first : last + 1] = [(place, kind) for place in places]
    return tags


WAYS = {
    "BIO": ("{place}-{kind}", {"E": "I", "S": "B"}),
    "BIO with _": ("{place}_{kind}", {"E": "I", "S": "B"}),
    "BIO behind": ("{kind}-{place}", {"E": "I", "S": "B"}),
    "bio": ("{place}-{kind}", {"B": "b", "I": "i", "E": "i", "S": "b"}),
    "BIOES": ("{place}-{kind}", {}),
    "BIOES with _": ("{place}_{kind}", {}),
    "BILOU": ("{place}-{kind}", {"E": "L", "S": "U"}),
    "BMES": ("{place}-{kind}", {"I": "M"}),
    "BMEWO": ("{place}-{kind}", {"I": "M", "S": "W"}),
}


def written(spans: list[tuple[int, int, str]], way: str) -> list[str]:
    pattern, other = WAYS[way]
    return [
        "O" if place == "O" else pattern.format(place=other.get(place, place), kind=kind)
        for place, kind in bioes(spans)
    ]


def score(gold: list[list[str]], said: list[list[str]], task: str = "", labels: tuple[str, ...] = ()) -> float:
    labels = labels or tuple(sorted({tag for side in (gold, said) for item in side for tag in item}))
    one = metric("span_f1", labels, task)
    right, found = ([np.array([labels.index(tag) for tag in item]) for item in side] for side in (gold, said))
    return float(one.value(one.statistics(right, found).sum(axis=0)))


@pytest.mark.parametrize("way", WAYS)
def test_the_same_spans_in_every_way_of_writing(way: str) -> None:
    gold, said = ([written(list(spans), way) for spans in side] for side in (SPANS, SAID))
    assert score(gold, said) == pytest.approx(F1)
    if way in ("BIO", "BIOES"):
        assert score(gold, said) == pytest.approx(f1_score(gold, said))


def test_bare_tags_are_spans_of_equal_neighbours() -> None:
    labels = ("O", "PER", "LOC", "ORG")
    assert score([["ORG", "ORG"], ["ORG", "ORG"]], [["ORG", "ORG"], ["ORG", "ORG"]], labels=labels) == 1.0
    gold, said = [["ORG", "ORG", "O", "PER", "LOC"]], [["ORG", "O", "O", "PER", "LOC"]]
    assert score(gold, said, labels=labels) == pytest.approx(2 * 2 / 6)
    assert score([["O", "O"]], [["O", "O"]], labels=labels) == 0.0
    # Neither the first letter nor the last says anything.
    assert score([["SYM", "SYM", "INTJ", "VERB"]], [["SYM", "SYM", "INTJ", "INTJ"]]) == pytest.approx(2 / 5)


def test_places_alone_are_spans_of_one_kind() -> None:
    gold, said = [["B", "I", "O", "B"], ["O", "B", "I", "I"]], [["B", "I", "O", "O"], ["O", "B", "I", "O"]]
    assert score(gold, said, labels=("O", "B", "I")) == pytest.approx(2 * 1 / 5)


def test_tags_with_underscores_are_no_spans_of_one_word() -> None:
    assert score([["B_PER", "I_PER"]], [["B_PER", "B_PER"]], labels=("O", "B_PER", "I_PER")) == 0.0


def test_xtremes_own_tasks_keep_its_reading() -> None:
    """seqeval 0.0.12 takes S, E, B, I and O at the beginning of a bare tag for a place."""
    gold, said = [["SYM", "SYM", "NOUN"]], [["SYM", "NOUN", "NOUN"]]
    assert score(gold, said, "udpos") == pytest.approx(2 * 1 / 5)
    assert score(gold, said) == 0.0
    upos, panx = find("udpos"), find("pan-x")
    assert span_reading(upos.labels, "udpos") is None and span_reading(upos.labels, "mine") == "bare"
    assert span_reading(panx.labels, "mine") is None, "BIO was always read so, and keeps its identity"
    assert span_reading(("O", "B_X", "I_X")) == "BIO" and span_reading(("O", "B-X", "L-X", "I-X", "U-X")) == "BILOU"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("O", "B-PER", "I-PER", "MISC"), "'B-PER' has a place before its type and 'MISC' has none"),
        (("O", "B-PER", "I_PER"), "'B-PER' and 'I_PER' part them in two ways"),
        (("O", "B-PER", "L-PER", "E-PER"), "mix the places of several"),
        (("O", "B:PER", "I:PER"), "'B:PER' parts them by ':'"),
    ],
)
def test_tags_of_no_scheme_are_refused_where_they_stand(tmp_path: Path, labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        scheme(labels)
    own = f"""\
adapterx: 1
name: mine
description: d
format: tagging
labels: [{", ".join(f"'{label}'" for label in labels)}]
metrics: span_f1
languages: [en]
licence: mine
sources:
  local:
    kind: local
    reader: conll
    columns: {{words: 0, tags: 1}}
    splits: {{test: {{paths: a}}}}
"""
    (tmp_path / "mine.yaml").write_text(own)
    with pytest.raises(TaskError, match=rf"mine\.yaml:5:9: labels: span_f1 reads tags without a prefix.*{message}"):
        find("mine", tmp_path)
    (tmp_path / "mine.yaml").write_text(own.replace("span_f1", "accuracy"))
    assert find("mine", tmp_path).labels == labels
