"""Metrics by themselves: equal to seqeval and to the published rules on what is hard, and writing nothing."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from seqeval.metrics import f1_score

import adapterx
from adapterx.tasks.metrics import metric, scorings
from adapterx.tasks.metrics_qa import MLQA_LANGUAGES
from tests.support.xtreme import f1, tokens

pytest.importorskip("evaluate", reason="the extra `evaluate` is not installed")

from adapterx.tasks.evaluate_metrics import load

ANSWERS = [
    "", " ", "the", "The  an a", "A the cat", "theatre", "U.S.A.", "24–10", "2410", "it's", "“quoted”", "quoted",
    "¿Qué?", "北京", "在北京大学。", "1946年的", "NBA总决赛", "㐀北", "กรุงเทพมหานคร", "กรุงเทพ มหานคร", "ประเทศไทย ฯ",
    "الكتاب", "كتاب", "ال", "القاهرة، مصر", "el niño", "niño", "una de las", "der Hund", "Des dem", "của là", "भारत।",
]  # fmt: skip


@pytest.mark.parametrize(("way", "language"), [("squad", "th"), *(("mlqa", code) for code in MLQA_LANGUAGES)])
def test_answers_score_by_the_published_rules(way: str, language: str) -> None:
    pairs = list(product(ANSWERS, ANSWERS))
    code = None if way == "squad" else language
    split = {text: tokens(text, code) for text in ANSWERS}
    expected = {
        "f1": np.mean([f1(split[said], split[right]) for right, said in pairs]),
        "em": np.mean([split[said] == split[right] for right, said in pairs]),
    }
    expected["mean"] = (expected["f1"] + expected["em"]) / 2
    said, right = [said for _, said in pairs], [[right] for right, _ in pairs]
    for name, value in expected.items():
        found = load(f"{way}_{name}").compute(predictions=said, references=right, language=language)
        assert found == {f"{way}_{name}": pytest.approx(value)}


SEQUENCES = [
    ([["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]]),
    ([["B-PER", "I-LOC", "I-PER"]], [["B-PER", "I-PER", "I-PER"]]),
    ([["O", "I-LOC"], ["I-LOC", "O"]], [["O", "B-LOC"], ["B-LOC", "B-LOC"]]),
    ([["O", "O"]], [["O", "O"]]),
    ([["B-X-Y", "I-X-Y"]], [["B-X-Y", "I-Y"]]),
]


@pytest.mark.parametrize(("gold", "said"), SEQUENCES)
def test_spans_of_invalid_tag_sequences_are_seqevals(gold: list[list[str]], said: list[list[str]]) -> None:
    expected = f1_score(gold, said, zero_division=0)
    assert load("span_f1").compute(predictions=said, references=gold) == {"span_f1": pytest.approx(expected)}


def test_bare_tags_are_those_of_the_seqeval_that_xtreme_used() -> None:
    def score(gold: list[str], said: list[str]) -> float:
        found: dict[str, float] = load("span_f1").compute(predictions=[said], references=[gold])
        return found["span_f1"]

    assert score(["NOUN", "NOUN", "VERB"], ["NOUN", "VERB", "VERB"]) == 0
    assert score(["DET", "ADJ", "NOUN", "VERB"], ["DET", "NOUN", "NOUN", "VERB"]) == pytest.approx(4 / 7)
    assert score(["CCONJ", "NOUN"], ["SCONJ", "NOUN"]) == 0.5
    one = {"predictions": [["SYM", "NOUN", "NOUN"]], "references": [["SYM", "SYM", "NOUN"]]}
    assert load("span_f1").compute(**one) == {"span_f1": 0.0}
    assert load("span_f1").compute(**one, task="udpos") == {"span_f1": pytest.approx(2 / 5)}


def test_tags_are_read_by_their_scheme() -> None:
    said, right = [["B_A", "L_A", "O", "U_B"]], [["B_A", "L_A", "U_B", "O"]]
    assert load("span_f1").compute(predictions=said, references=right) == {"span_f1": 0.5}
    with pytest.raises(ValueError, match="'B-A' has a place before its type and 'C' has none"):
        load("span_f1").compute(predictions=[["B-A", "C"]], references=[["B-A", "C"]])


def test_squad_2_drops_right_answers_of_which_nothing_is_left() -> None:
    one = {"predictions": [""], "references": [["The"]]}
    assert load("squad_f1").compute(**one) == {"squad_f1": 0.0}
    assert load("squad_f1").compute(**one, unanswerable=True) == {"squad_f1": 1.0}


@pytest.mark.parametrize(
    ("gold", "said", "value"),
    [
        ([0, 1, 1, 2], [0, 1, 2, 2], 0.75),
        (["no", "yes"], ["no", "no"], 0.5),
        (["1", "01"], ["1", "1"], 0.5),
        ([["A", "B"], ["A"]], [["A", "A"], ["A"]], 2 / 3),
        ([[3, 4], [3]], [[3, 3], [4]], 1 / 3),
    ],
)
def test_labels_may_be_numbers_texts_or_lists(gold: list[object], said: list[object], value: float) -> None:
    assert load("accuracy").compute(predictions=said, references=gold) == {"accuracy": pytest.approx(value)}


def test_rankings_and_pairs() -> None:
    gold, said = [[4, 9], [2]], [[9, 3, 1], [7, 12]]
    right, found = ([np.array(item) for item in side] for side in (gold, said))
    for name in ("retrieval_accuracy", "mean_average_precision_20", "recall_at_10", "ndcg_at_10", "rank_distance"):
        one = metric(name, ())
        expected = float(one.value(one.statistics(right, found).sum(axis=0)))
        assert load(name).compute(predictions=said, references=gold) == {name: pytest.approx(expected)}
    assert load("pair_f1").compute(predictions=["", "b"], references=[["a"], ["b"]]) == {
        "pair_f1": pytest.approx(2 / 3)
    }


def test_numbers() -> None:
    said, gold = [1.0, 2.5, 2.0, 9.0], [1, 2, 3, 4]
    found = {name: load(name).compute(predictions=said, references=gold)[name] for name in ("spearman", "pearson")}
    assert found == {"spearman": pytest.approx(0.8), "pearson": pytest.approx(np.corrcoef(said, gold)[0, 1])}
    assert "[-1, 1]" in load("pearson").description


def test_empty_lists_come_first() -> None:
    assert load("squad_em").compute(predictions=["", "x"], references=[[], []]) == {"squad_em": 0.5}
    assert load("pair_f1").compute(predictions=["", "b"], references=[[], ["b"]]) == {"pair_f1": 1.0}


def test_batches_may_be_added_one_after_another() -> None:
    one = load("squad_em")
    one.add(prediction="the cat", reference=["cat"])
    one.add_batch(predictions=["dog", ""], references=[["cat"], ["the"]])
    assert one.compute() == {"squad_em": pytest.approx(2 / 3)}


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="unknown metric 'f1'; known: accuracy, span_f1"):
        load("f1")
    with pytest.raises(ValueError, match=r"mlqa_f1 knows en, es, .* not 'th'"):
        load("mlqa_f1").compute(predictions=["a"], references=[["a"]], language="th")


@pytest.mark.parametrize("name", scorings())
def test_each_describes_itself(name: str) -> None:
    one = load(name)
    assert name in one.description
    assert ("lower" in one.description) == (name == "rank_distance")
    assert "predictions" in one.inputs_description


def test_one_module_imports_evaluate_and_one_imports_datasets() -> None:
    root = Path(adapterx.__file__).parent
    pattern = re.compile(r"^\s*(import|from) (evaluate|datasets)\b|evaluate_metrics", re.MULTILINE)
    found = [path.relative_to(root).as_posix() for path in root.rglob("*.py") if pattern.search(path.read_text())]
    assert sorted(found) == ["tasks/evaluate_metrics.py", "tasks/sources/datasets/library.py"]
