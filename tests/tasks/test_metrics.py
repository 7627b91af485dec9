from __future__ import annotations

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, f1_score

from adapterx.tasks.metrics import majority_baseline, metric

BIO = ("O", "B-DATE", "I-DATE", "B-X-Y", "I-X-Y")
UPOS = ("ADJ", "CCONJ", "DET", "INTJ", "NOUN", "PUNCT", "SCONJ", "SYM", "VERB", "X")


def score(name: str, labels: tuple[str, ...], gold: list[list[str]], prediction: list[list[str]]) -> float:
    scorer = metric(name, labels)
    right, said = ([np.array([labels.index(tag) for tag in item]) for item in items] for items in (gold, prediction))
    return float(scorer.value(scorer.statistics(right, said).sum(axis=0)))


def sentences(labels: tuple[str, ...], seed: int, count: int = 60) -> list[list[str]]:
    lengths = np.random.default_rng(0).integers(1, 9, count)
    generator = np.random.default_rng(seed)
    return [[str(tag) for tag in generator.choice(labels, length)] for length in lengths]


@pytest.mark.parametrize("seed", range(1, 30))
def test_span_f1_is_seqeval_on_random_bio(seed: int) -> None:
    gold, noise = sentences(BIO, seed), sentences(BIO, seed + 1000)
    keep = np.random.default_rng(seed).random((60, 9)) < 0.7
    mixed = [
        [g if keep[i, j] else p for j, (g, p) in enumerate(zip(gold[i], noise[i], strict=True))] for i in range(60)
    ]
    for prediction in (noise, mixed):
        assert score("span_f1", BIO, gold, prediction) == pytest.approx(f1_score(gold, prediction))
        assert score("accuracy", BIO, gold, prediction) == pytest.approx(accuracy_score(gold, prediction))


def test_span_f1_is_seqeval_on_iobes() -> None:
    labels = ("O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B")
    for seed in range(20):
        gold, prediction = sentences(labels, seed), sentences(labels, seed + 1000)
        assert score("span_f1", labels, gold, prediction) == pytest.approx(f1_score(gold, prediction))


@pytest.mark.parametrize(
    ("gold", "prediction", "expected"),
    [
        # From running XTREME's scorer: accuracy and F1 of bare tags part ways.
        (["NOUN", "NOUN", "VERB"], ["NOUN", "VERB", "VERB"], 0.0),
        (["DET", "ADJ", "NOUN", "VERB"], ["DET", "NOUN", "NOUN", "VERB"], 4 / 7),
        # The first letter of a bare tag belongs to its type.
        (["CCONJ", "NOUN"], ["SCONJ", "NOUN"], 0.5),
        (["CCONJ", "CCONJ"], ["CCONJ", "CCONJ"], 1.0),
    ],
)
def test_span_f1_of_bare_tags(gold: list[str], prediction: list[str], expected: float) -> None:
    assert score("span_f1", UPOS, [gold], [prediction]) == pytest.approx(expected)


def test_spans_do_not_run_over_the_end_of_an_item() -> None:
    assert score("span_f1", BIO, [["B-DATE"], ["I-DATE"]], [["B-DATE"], ["I-DATE"]]) == 1.0
    gold, prediction = [["O", "B-DATE"], ["I-DATE", "O"]], [["O", "B-DATE"], ["O", "O"]]
    assert score("span_f1", BIO, gold, prediction) == pytest.approx(2 / 3)


def test_nothing_to_find_scores_zero() -> None:
    assert score("span_f1", BIO, [["O", "O"]], [["O", "O"]]) == 0.0


@pytest.mark.parametrize("name", ["accuracy", "span_f1"])
def test_a_bootstrap_is_a_matrix_product(name: str) -> None:
    gold = [np.array([BIO.index(tag) for tag in item]) for item in sentences(BIO, 1)]
    prediction = [np.array([BIO.index(tag) for tag in item]) for item in sentences(BIO, 2)]
    scorer = metric(name, BIO)
    statistics = scorer.statistics(gold, prediction)
    draws = np.random.default_rng(0).integers(0, len(gold), (7, len(gold)))
    weights = np.stack([np.bincount(draw, minlength=len(gold)) for draw in draws])
    together = scorer.value(weights @ statistics)
    for draw, value in zip(draws, together, strict=True):
        again = scorer.statistics([gold[i] for i in draw], [prediction[i] for i in draw])
        assert scorer.value(again.sum(axis=0)) == pytest.approx(value)


def test_labels_must_pair_up() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        metric("accuracy", BIO).statistics([np.array([1, 2])], [np.array([1])])


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match="unknown metric 'f1'; known: accuracy, span_f1"):
        metric("f1", BIO)


def test_majority_baseline() -> None:
    gold = [np.array([2]), np.array([1]), np.array([1]), np.array([0])]
    assert majority_baseline(metric("accuracy", ("a", "b", "c")), gold) == 0.5
    tags = [np.array([0, 0, 0, 1, 2]), np.array([0])]
    assert majority_baseline(metric("accuracy", BIO), tags) == pytest.approx(4 / 6)
    assert majority_baseline(metric("span_f1", BIO), tags) == 0.0
