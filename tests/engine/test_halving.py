"""Who goes on: decisions from made-up scores, then brackets of real trainings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket, Decision, Rung, Standing, decide, ladder
from adapterx.engine.options import Options
from adapterx.engine.train import Outcome, Progress, dev_score, train
from adapterx.train_settings import EarlyStopping
from tests.cells import METHODS, cell, encoded
from tests.engine.test_train import assert_same_training, losses
from tests.models import encoder
from tests.support.present import present

RUNGS = (Rung(10, 2), Rung(20, 1))
END = 40


def at(step: int, *scores: float, diverged: bool = False, end: int = END) -> Standing:
    """A candidate at a step, with its scores at the rungs it came to and at its end."""
    steps = [rung.step for rung in RUNGS if rung.step <= step]
    steps += [end] if step == end else []
    return Standing(step, dict(zip(steps, scores, strict=True)), step == end, diverged)


def decision(*out: int, waiting: tuple[int, ...] = (), winner: int | None = None) -> Decision:
    return Decision(frozenset(out), frozenset(waiting), winner)


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ([at(9), at(9), at(9)], decision()),
        ([at(10, 0.5), at(10, 0.7), at(10, 0.6)], decision(0)),
        ([at(10, 0.5), at(19, 0.7), at(19, 0.6)], decision(0)),
        ([at(10, 0.5), at(20, 0.7, 0.8), at(20, 0.6, 0.9)], decision(0, 1)),
        ([at(10, 0.5), at(20, 0.7, 0.8), at(40, 0.6, 0.9, 0.9)], decision(0, 1, winner=2)),
    ],
    ids=["before", "first", "between", "second", "end"],
)
def test_the_worst_leave_at_each_rung(standings: list[Standing], expected: Decision) -> None:
    assert decide(RUNGS, standings) == expected


def test_ties_go_to_the_first() -> None:
    assert decide(RUNGS, [at(10, 0.5), at(10, 0.5), at(10, 0.5)]).out == {2}
    assert decide(RUNGS, [at(20, 0.5, 0.5), at(20, 0.5, 0.5), at(10, 0.5)]).out == {1, 2}
    assert decide((), [at(40, 0.1, 0.1, 0.5), at(40, 0.1, 0.1, 0.5)]).winner == 0


def test_what_is_not_a_number_is_worst() -> None:
    assert decide(RUNGS, [at(10, math.nan), at(10, 0.0), at(10, -1.0)]).out == {0}


def test_who_is_ahead_waits_for_who_is_behind() -> None:
    assert decide(RUNGS, [at(10, 0.5), at(8), at(10, 0.6)]) == decision(waiting=(0, 2))
    assert decide(RUNGS, [at(10, 0.5), at(15, 0.7), at(20, 0.6, 0.9)]) == decision(0, waiting=(2,))


def test_who_diverged_is_the_first_to_be_dropped() -> None:
    sick = at(7, diverged=True)
    # Of three, two go on from the first rung: the two that are healthy, however they score.
    assert decide(RUNGS, [at(10, 0.1), sick, at(10, 0.9)]) == decision()
    assert decide(RUNGS, [at(20, 0.1, 0.3), sick, at(20, 0.9, 0.2)]) == decision(2)
    assert decide(RUNGS, [sick, sick, at(12, 0.1)]) == decision()
    assert decide(RUNGS, [sick, sick, at(40, 0.1, 0.1, 0.1)]).winner == 2
    assert decide(RUNGS, [sick, sick, sick]) == decision()


def test_who_left_comes_back_when_the_better_one_diverges() -> None:
    lost = at(25, 0.9, 0.9, diverged=True)
    assert decide(RUNGS, [lost, at(20, 0.8, 0.8), at(10, 0.1)]) == decision(waiting=(1,))
    assert decide(RUNGS, [lost, at(20, 0.8, 0.8), at(20, 0.1, 0.2)]) == decision(2)


def test_who_stopped_early_keeps_its_last_score() -> None:
    stopped = at(13, 0.6, 0.7, end=13)
    assert decide(RUNGS, [at(10, 0.5), at(20, 0.6, 0.65), stopped]) == decision(0, 1, winner=2)
    assert decide(RUNGS, [at(10, 0.5), at(20, 0.6, 0.75), stopped]) == decision(0, 2)


def test_the_best_of_those_that_trained_to_the_end_wins() -> None:
    rungs = (Rung(10, 2),)

    def ended(*scores: float) -> Standing:
        return Standing(END, {10: scores[0], END: scores[1]}, True, False)

    assert decide(rungs, [ended(0.9, 0.5), ended(0.8, 0.6), at(10, 0.1)]) == decision(2, winner=1)
    assert decide(rungs, [ended(0.9, 0.5), at(30, 0.8, 0.9), at(10, 0.1)]) == decision(2)


def test_rungs_are_steps_rounded_up_and_counted_once() -> None:
    assert ladder((0.25, 0.5), (2, 1), 50) == (Rung(13, 2), Rung(25, 1))
    assert ladder((0.07,), (1,), 100) == (Rung(7, 1),)
    assert ladder((0.1, 0.2, 0.9), (3, 2, 1), 5) == (Rung(1, 2),)
    assert ladder((0.5,), (1,), 1) == ()


RATES = (1e-5, 1e-2, 3e-3)


def candidates(rates: tuple[float, ...] = RATES, seed: int = 1, **changes: Any) -> list[TrainingCell]:
    method = changes.pop("method", METHODS["lora"])
    cells = [cell(method, seed=seed, learning_rate=rate, **changes) for rate in rates]
    return [replace(one, key=f"{one.key} {rate}") for one, rate in zip(cells, rates, strict=True)]


def bracket(cells: list[TrainingCell], start: int = 0, going_on: tuple[int, ...] = (2, 1)) -> Bracket:
    rungs = ladder((0.25, 0.5), going_on, cells[0].total_steps)
    return Bracket(tuple(range(start, start + len(cells))), rungs, cells[0].tasks)


def standings(outcomes: list[Outcome]) -> list[Standing]:
    return [Standing.of(one.state, one.status == "done", one.status == "diverged") for one in outcomes]


@pytest.mark.slow
def test_the_winner_is_what_its_rate_gives_alone() -> None:
    """Two brackets and a bystander in one bundle, one bracket shorter than the other."""
    packed = PackedEncoder(encoder("xlm-roberta"))
    long, short = candidates(steps=60), candidates(seed=2, steps=40, batch_size=5)
    bystander = cell(METHODS["lora"], seed=9, steps=50)
    brackets = [bracket(long), bracket(short, start=3)]
    outcomes = train(packed, [*long, *short, bystander], brackets=brackets)
    for one in brackets:
        mine = [outcomes[place] for place in one.places]
        winner = decide(one.rungs, standings(mine)).winner
        assert winner is not None
        full = mine[0].cell.total_steps
        steps = sorted(outcome.state.step for outcome in mine)
        assert steps == [rung.step for rung in one.rungs] + [full]
        assert [outcome.status for outcome in mine].count("pruned") == 2
        (alone,) = train(packed, [mine[winner].cell])
        assert mine[winner].state.step == full
        assert_same_training(mine[winner], alone)
        assert mine[winner].state.rungs[-1] == (full, dev_score(packed, alone.cell, mine[winner].trained))
        hopeless = mine[0]
        assert hopeless.status == "pruned" and hopeless.cell.settings.learning_rate == RATES[0]
    assert_same_training(outcomes[-1], train(packed, [bystander])[0])


def test_a_stage_outlives_all_but_the_last_of_its_candidates() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = candidates((1e37, 1e-3, 1e36), method=METHODS["sequential"], steps=20)
    outcomes = train(packed, cells, brackets=[bracket(cells)])
    assert [outcome.status for outcome in outcomes] == ["diverged", "done", "diverged"]
    assert decide(bracket(cells).rungs, standings(outcomes)).winner == 1
    cells = candidates((1e37, 1e36), method=METHODS["sequential"], steps=20)
    outcomes = train(packed, cells, brackets=[bracket(cells, going_on=(1, 1))])
    assert {outcome.status for outcome in outcomes} == {"diverged"}


def test_a_candidate_that_left_goes_on_when_the_better_one_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = candidates((1e-5, 1e-2), steps=40)
    one = bracket(cells, going_on=(1, 1))
    outcomes = train(packed, cells, brackets=[one])
    assert [outcome.status for outcome in outcomes] == ["pruned", "done"]

    def rate(own: TrainingCell, step: int) -> float:
        return math.inf if own is cells[1] and step >= 30 else present(own.settings.learning_rate)

    monkeypatch.setattr(TrainingCell, "learning_rate", rate)
    outcomes = train(packed, cells, brackets=[one])
    assert [outcome.status for outcome in outcomes] == ["done", "diverged"]
    assert outcomes[1].state.step in (30, 31)
    assert_same_training(outcomes[0], train(packed, cells[:1])[0])


def test_looks_of_early_stopping_are_its_own() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    noise = (Pool("en", encoded("pair-classification", seed=3, signal=False)),)
    cells = candidates((1e-2, 3e-3), steps=400, early_stopping=EarlyStopping(every=7, patience=2))
    cells = [replace(one, tasks=(replace(one.tasks[0], dev=noise),)) for one in cells]
    one = bracket(cells, going_on=(1, 1))
    outcomes = train(packed, cells, brackets=[one])
    assert max(outcome.state.step for outcome in outcomes) < one.rungs[0].step, "both were to stop before a rung"
    winner = decide(one.rungs, standings(outcomes)).winner
    best = [outcome.state.best.score for outcome in outcomes if outcome.state.best]
    assert winner == best.index(max(best))
    for outcome, candidate in zip(outcomes, cells, strict=True):
        (alone,) = train(packed, [candidate])
        assert outcome.state.dev_scores == alone.state.dev_scores
        assert_same_training(outcome, alone)


def test_a_host_that_lags_behind_still_stops_at_every_rung() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = candidates(steps=30)
    prompt, late = (train(packed, cells, options=Options(lag=lag), brackets=[bracket(cells)]) for lag in (1, 16))
    for one, other in zip(prompt, late, strict=True):
        assert (one.status, one.state.step) == (other.status, other.state.step)
        assert one.state.rungs == other.state.rungs


def test_resumed_after_any_checkpoint_decides_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = candidates((1e-5, 1e-2, 3e-3, 1e-3), steps=24)
    one = bracket(cells)
    straight = train(packed, cells, brackets=[one])

    class Killed(Exception):
        pass

    for last in (3, 6, 7, 12, 13, 20):
        checkpoints = Checkpoints(tmp_path / str(last), seconds=0.0)

        def kill(progress: Progress, last: int = last) -> None:
            if max(step for _, step, _, _ in progress.cells) == last + 1:
                raise Killed

        with pytest.raises(Killed):
            train(packed, cells, checkpoints, kill, brackets=[one])
        states = checkpoints.resume([candidate.key for candidate in cells])
        assert max(state.step for state in states.values()) == last
        resumed = train(packed, cells, checkpoints, brackets=[one])
        for outcome, expected in zip(resumed, straight, strict=True):
            assert outcome.status == expected.status
            assert outcome.state.rungs == expected.state.rungs
            assert losses(outcome).tolist() == losses(expected).tolist()
            assert torch.equal(outcome.state.adapter.values, expected.state.adapter.values)
