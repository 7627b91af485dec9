"""Which of several trainings go on: successive halving over candidates that differ in their learning rate.

Jamieson & Talwalkar 2016 (arXiv 1502.07943), in one bracket of Hyperband (Li et al. 2018, arXiv 1603.06560): all
candidates train to a rung, the best of them to the next, and so on. What is decided follows from the dev scores and
from who diverged, so it is worked out anew from the states of the candidates and never stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapterx.engine.cell import TaskData
from adapterx.engine.state import CellState


@dataclass(frozen=True)
class Rung:
    """A moment of comparison."""

    step: int
    keep: int
    """Candidates that go on."""


def ladder(shares: Sequence[float], going_on: Sequence[int], total_steps: int) -> tuple[Rung, ...]:
    """Shares of a training as steps, rounded up.

    Of rungs that fall on one step the last counts; those at the very end say nothing, as the best wins there anyway.
    """
    # The tolerance keeps products such as 0.07 · 100 from counting as more than the whole number they stand for.
    steps = {math.ceil(share * total_steps - 1e-9): keep for share, keep in zip(shares, going_on, strict=True)}
    return tuple(Rung(step, keep) for step, keep in steps.items() if step < total_steps)


@dataclass(frozen=True, eq=False)
class Bracket:
    """Trainings of one bundle of which one is to be kept."""

    places: tuple[int, ...]
    """The candidates among the cells of the bundle; where two are as good, the earlier one is better."""
    rungs: tuple[Rung, ...]
    tasks: tuple[TaskData, ...]
    """The candidates' tasks, with the dev examples that they are compared on."""


@dataclass(frozen=True)
class Standing:
    """How far a candidate is."""

    step: int
    scores: Mapping[int, float]
    """Dev scores by step: at the rungs it came to, and at its end."""
    finished: bool
    """Whether it has trained to its end, which early stopping may have brought forward."""
    diverged: bool

    @classmethod
    def of(cls, state: CellState, finished: bool, diverged: bool) -> Standing:
        """The standing of a candidate in this state."""
        return cls(state.step, dict(state.rungs), finished, diverged)

    def score(self, rung: int) -> float | None:
        """The score that counts at a rung; None where it has not come so far."""
        if rung not in self.scores and self.finished and self.step < rung:
            return self.scores.get(self.step)
        return self.scores.get(rung)


@dataclass(frozen=True)
class Decision:
    """What follows from the standings, by place among the candidates."""

    out: frozenset[int]
    """Left at a rung. They come back if one that was better diverges later."""
    waiting: frozenset[int]
    """At a rung that others have yet to reach."""
    winner: int | None
    """None until all that are left have trained to their end, and where all diverged."""

    @property
    def held(self) -> frozenset[int]:
        """Those that take no step now."""
        return self.out | self.waiting


def decide(rungs: Sequence[Rung], standings: Sequence[Standing]) -> Decision:
    """Drop the worst at each rung as if those that diverged had never taken part.

    They do count among the candidates that a rung is to thin out, so that they are the first to be dropped.
    """
    left = [place for place, one in enumerate(standings) if not one.diverged]
    out: set[int] = set()
    for rung in rungs:
        if len(left) <= rung.keep:
            continue
        scores = {place: standings[place].score(rung.step) for place in left}
        known = {place: score for place, score in scores.items() if score is not None}
        if len(known) < len(left):
            return Decision(frozenset(out), frozenset(known), None)
        best = _ranked(known)[: rung.keep]
        out |= set(left) - set(best)
        left = sorted(best)
    finals = {place: standings[place].score(standings[place].step) for place in left if standings[place].finished}
    ended = {place: score for place, score in finals.items() if score is not None}
    winner = _ranked(ended)[0] if left and len(ended) == len(left) else None
    return Decision(frozenset(out), frozenset(), winner)


def held(brackets: Iterable[Bracket], standings: Sequence[Standing]) -> set[int]:
    """The cells of a bundle, by place, that take no step now because of the bracket they are in."""
    return {
        bracket.places[place]
        for bracket in brackets
        for place in decide(bracket.rungs, [standings[one] for one in bracket.places]).held
    }


def _ranked(scores: Mapping[int, float]) -> list[int]:
    """Places from the best score to the worst; what is not a number is worst, and ties keep their order."""
    return sorted(sorted(scores), key=lambda place: math.inf if math.isnan(scores[place]) else -scores[place])
