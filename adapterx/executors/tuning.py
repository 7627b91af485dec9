"""A stage that prunes: its candidates as trainings of the engine, and what is kept and told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapterx.engine.cell import TaskData, TrainingCell
from adapterx.engine.halving import Bracket, Standing, decide, ladder
from adapterx.engine.train import Outcome
from adapterx.store import JSON
from adapterx.train_settings import PruneSettings, TrainSettings


@dataclass(frozen=True)
class Chosen:
    """What became of a stage's candidates."""

    outcome: Outcome
    """The winner's. Where all diverged, that of the candidate that came furthest."""
    candidates: tuple[Outcome, ...]
    """All of them, the winner too, in the order of the recipe."""

    @property
    def examples(self) -> int:
        """Training examples that all candidates saw together."""
        return sum(one.state.examples for one in self.candidates)

    @property
    def seconds(self) -> float:
        """Time that all candidates took together."""
        return sum(one.state.seconds for one in self.candidates)


def candidates(cell: TrainingCell, train: TrainSettings) -> list[TrainingCell]:
    """The cells of a stage: one per learning rate of its `prune`, each under a key of its own; else the cell alone."""
    if train.prune is None:
        return [cell]
    return [
        replace(
            cell,
            name=f"{cell.name} at {one.learning_rate:g}",
            key=f"{cell.key} {one.learning_rate!r}",
            settings=one,
        )
        for one in train.candidates
    ]


def bracket(cells: Sequence[TrainingCell], start: int, prune: PruneSettings, tasks: tuple[TaskData, ...]) -> Bracket:
    """The bracket of a stage's cells, the first of which has the place `start` in its bundle."""
    rungs = ladder(prune.rungs, prune.going_on, cells[0].total_steps)
    return Bracket(tuple(range(start, start + len(cells))), rungs, tasks)


def choose(outcomes: Sequence[Outcome], bracket: Bracket | None) -> Chosen:
    """The outcome to keep of a stage's candidates; that of the only one where there is no bracket."""
    if bracket is None:
        (outcome,) = outcomes
        return Chosen(outcome, (outcome,))
    standings = [Standing.of(one.state, one.status == "done", one.status == "diverged") for one in outcomes]
    winner = decide(bracket.rungs, standings).winner
    if winner is None:
        assert all(one.status == "diverged" for one in outcomes), "a bracket ends with a winner unless all diverged"
        winner = max(range(len(outcomes)), key=lambda place: outcomes[place].state.step)
    return Chosen(outcomes[winner], tuple(outcomes))


def record(chosen: Chosen) -> dict[str, JSON]:
    """The result's account of the choice: the learning rate kept, and every candidate with how far it came."""
    tuning: list[JSON] = [
        {
            "learning_rate": one.cell.settings.learning_rate,
            "steps": one.state.step,
            "total_steps": one.cell.total_steps,
            "dev": {str(step): score for step, score in one.state.rungs},
            "outcome": _fate(one, chosen.outcome),
        }
        for one in chosen.candidates
    ]
    return {"learning_rate": chosen.outcome.cell.settings.learning_rate, "tuning": tuning}


def _fate(one: Outcome, kept: Outcome) -> str:
    """Diverged; pruned at a rung; won; or lost to a better one at the end."""
    if one.status != "done":
        return one.status
    return "won" if one is kept else "lost"
