"""What records say of results and provenance, written and read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from adapterx.results import evaluation, merge_weights, told, training, tuning
from adapterx.results.evaluation import EvaluationResult
from adapterx.results.merge_weights import ChosenWeights, TriedWeights
from adapterx.results.provenance import MeasuredCost, Provenance, surroundings
from adapterx.results.training import DataNotes, TrainingResult
from adapterx.results.tuning import Candidate, Tuning
from adapterx.store import JSON, Record
from tests.results.earlier import HERE, record

MERGED = record("target", "small.lora.both.tuned.order.seed1")
PLAIN = record("intermediate", "small.lora.en.seed1")
EVALUATED = record("evaluation", "small.lora.both.tuned.order.seed1")
TUNING = Tuning(
    0.5,
    (
        Candidate(learning_rate=0.5, steps=4, total_steps=4, dev={"2": 0.75, "4": 1.0}, outcome="won"),
        Candidate(learning_rate=0.25, steps=2, total_steps=4, dev={"2": 0.5}, outcome="pruned"),
    ),
)
MERGING = ChosenWeights(
    (0.25, 0.75),
    (
        TriedWeights(weights=[0.5, 0.5], dev=0.5, dev_by_member=[0.5, 0.5]),
        TriedWeights(weights=[0.25, 0.75], dev=0.75, dev_by_member=[0.5, 1.0]),
    ),
)
TRAINED = TrainingResult(4, 16, 160, 1.25, 2, 0.5, DataNotes(1.5, ("t: all alike",)), TUNING, MERGING, "not finite")


def said(result: JSON | dict[str, JSON], of: Record = PLAIN) -> Record:
    """A record with this result, as it comes back from its file."""
    return replace(of, result=json.loads(json.dumps(result)))


@pytest.mark.parametrize("one", [TRAINED, TrainingResult(3, 12, 90), replace(TRAINED, tuning=None, message=None)])
def test_results_of_trainings(one: TrainingResult) -> None:
    assert training.read(said(one.told())) == one
    assert told.nonsense(said(one.told())) is None


def test_the_choice_of_weights_says_its_scores() -> None:
    assert (MERGING.dev, MERGING.default) == (0.75, 0.5)


@pytest.mark.parametrize("why", [None, "answers 'yes' to everything"])
def test_results_of_evaluations(why: str | None) -> None:
    one = EvaluationResult({"de": {"accuracy": 0.5, "n": 4}}, why, {"thresholds": {"de": 0.5}})
    assert evaluation.read(said(one.told(), EVALUATED)) == one
    assert one.collapsed == (why is not None)


def test_provenance() -> None:
    cost = MeasuredCost(1.5, 2048, 4, 100, 2, 32)
    one = Provenance({"adapterx": "1", "commit": None}, "cpu", {"gpu": "a GPU"}, "fused", cost)
    found = replace(PLAIN, provenance=json.loads(json.dumps(one.told())))
    assert MeasuredCost.of(found) == cost
    assert surroundings(found) == {"adapterx": "1", "commit": None, "device": "cpu", "gpu": "a GPU", "lane": "fused"}


@pytest.mark.parametrize("path", sorted(HERE.glob("stages/*/*/record.json")), ids=lambda path: path.parent.name[:40])
def test_records_of_an_earlier_version_are_read_and_told_byte_for_byte(path: Any) -> None:
    one = Record.from_json(path.read_bytes())
    assert told.nonsense(one) is None
    again = evaluation.read(one).told() if one.kind == "evaluation" else training.read(one).told()
    assert json.dumps(again) == json.dumps(one.result)
    cost, around = MeasuredCost.of(one), dict(surroundings(one))
    device, lane = around.pop("device"), around.pop("lane")
    provenance = Provenance(around, str(device), {}, str(lane), cost)
    assert json.dumps(provenance.told()) == json.dumps(one.provenance)


def test_what_an_earlier_version_chose() -> None:
    chosen = merge_weights.chosen(MERGED.result)
    assert chosen is not None and chosen.tried[0].weights == [0.5, 0.5] and sum(chosen.weights) == 1
    assert [one.learning_rate for one in tuning.candidates(MERGED.result)] == [0.001, 0.0001]
    assert MeasuredCost.of(MERGED).candidates == 2 and MeasuredCost.of(PLAIN).candidates is None
    assert MeasuredCost.of(PLAIN).trained_parameters == 149_761
    assert evaluation.read(EVALUATED).languages["de"]["n"] == 6
    assert merge_weights.chosen(PLAIN.result) is None and tuning.candidates(PLAIN.result) == ()


def test_records_that_lack_what_was_not_recorded_yet() -> None:
    bare = said({"steps": 3, "final_loss": "low", "prior_loss": True})
    assert training.read(bare) == TrainingResult(steps=3)
    assert evaluation.read(said({"collapsed": True}, EVALUATED)) == EvaluationResult({}, "")


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"weights": [1.0], "weights_tried": [{"weights": [0.5], "dev": 0.5}]}, "weights: not among those that were"),
        ({"tuning": [{"learning_rate": "high"}]}, "tuning.0.learning_rate: "),
        ({"collapsed": "no"}, "collapsed: "),
    ],
)
def test_nonsense_is_told(result: dict[str, JSON], why: str) -> None:
    found = told.nonsense(said(result))
    assert found is not None and found.startswith(why)
