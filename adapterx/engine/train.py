"""Train a bundle from wherever its cells stand to the end of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.shape import Shape
from adapterx.engine.bundle import Bundle, as_trained, shape_of
from adapterx.engine.cell import TaskData, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket, Standing, held
from adapterx.engine.kept_bundle import KeptBundle
from adapterx.engine.options import Options
from adapterx.engine.predict import Scores, TrainedCell, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import Best, CellState
from adapterx.stopping import saving, shielded

LOST = "what was done since the last checkpoint is lost"
"""The note of a training whose checkpoint could not be written when it was asked to end."""


@dataclass(frozen=True)
class Outcome:
    """How the training of a cell ended."""

    cell: TrainingCell
    status: Literal["done", "diverged", "pruned"]
    """Pruned: left its bracket before its end."""
    state: CellState
    trained: TrainedCell
    """The best step where early stopping chose one, else the last."""


@dataclass(frozen=True)
class Progress:
    """What the caller hears after every step of a bundle: per cell its name, steps taken, steps in all, and loss."""

    cells: tuple[tuple[str, int, int, float], ...]


def train(
    encoder: PackedEncoder,
    cells: Sequence[TrainingCell],
    checkpoints: Checkpoints | None = None,
    observe: Callable[[Progress], None] = lambda progress: None,
    options: Options | None = None,
    prefix: PrefixCache | None = None,
    brackets: Sequence[Bracket] = (),
    parts: int = 1,
    keeper: KeptBundle | None = None,
) -> list[Outcome]:
    """Train cells of one structure together; each ends as it would have ended alone, unless it loses a bracket.

    Where the program is asked to end meanwhile, the checkpoint of the last step taken is written first.

    Args:
        checkpoints: where cells that were cut off go on from, and where this training leaves its own states.
        options: how fast it is to go; nothing of the results.
        prefix: hidden states below the adapters, kept.
        brackets: cells of which the worst leave early.
        parts: into how many each batch is cut at first, to the same effect in less memory.
        keeper: keeps what is recorded on a GPU for the next training.

    Returns:
        The outcomes in the order of `cells`.
    """
    training = _Training(encoder, cells, checkpoints, options, prefix, brackets)
    training.parts = parts
    training.keeper = keeper or training.keeper
    with saving(training.leave):
        training.catch_up()
        active = training.active()
        while active:
            active = training.go_on(active, observe)
        if prefix is not None:
            prefix.flush()
        if keeper is None:
            training.keeper.clear()
        return training.outcomes()


class _Training:
    """Cells with their states, from bundle to bundle."""

    def __init__(
        self,
        encoder: PackedEncoder,
        cells: Sequence[TrainingCell],
        checkpoints: Checkpoints | None,
        options: Options | None,
        prefix: PrefixCache | None,
        brackets: Sequence[Bracket],
    ) -> None:
        self.encoder = encoder
        self.cells = cells
        self.checkpoints = checkpoints
        self.options = options
        self.prefix = prefix
        self.brackets = brackets
        self.bracket_of = {place: bracket for bracket in brackets for place in bracket.places}
        found = checkpoints.resume([cell.key for cell in cells]) if checkpoints else {}
        self.shape = shape_of(encoder)
        self.states = [found.get(cell.key) or CellState.start(cell, self.shape) for cell in cells]
        self.bundle: Bundle | None = None
        """The one that is training, whose numbers the states lack."""
        self.diverged: set[int] = set()
        self.keeper = KeptBundle()
        self.parts = 1
        """A bundle starts with as many as the one before it needed."""
        self.saved = time.monotonic()
        self.written = self._steps()
        """Steps of the cells in the last checkpoint."""

    def catch_up(self) -> None:
        """Score cells that were cut off between a step and what was due after it."""
        for place in range(len(self.cells)):
            self._score(place)

    def active(self) -> list[int]:
        """The places of the cells that take the next step: not ended, diverged, or held by their bracket."""
        ended = [finished(cell, state) for cell, state in zip(self.cells, self.states, strict=True)]
        standings = [Standing.of(state, ended[at], at in self.diverged) for at, state in enumerate(self.states)]
        away = held(self.brackets, standings) | self.diverged
        return [place for place, end in enumerate(ended) if not end and place not in away]

    def go_on(self, places: Sequence[int], observe: Callable[[Progress], None]) -> list[int]:
        """Train the cells at these places together until others are active; returns those."""
        since = time.monotonic()
        own = ([self.cells[place] for place in places], [self.states[place] for place in places])
        bundle = self.bundle = self.keeper.bundle(self.encoder, *own, self.options, self.prefix, self.parts)
        following = list(places)
        try:
            while following == places:
                losses = _advance(bundle, [self.bracket_of.get(place) for place in places])
                self._look(bundle, places, losses)
                following = self.active()
                since = _share_time(bundle, since)
                observe(_progress(bundle, losses))
                self._keep(bundle, since, ends=following != places)
        except BaseException:
            bundle.close()
            raise
        self.keeper.give_back(bundle)
        self.parts, self.bundle = bundle.parts, None
        return following

    def leave(self) -> str:
        """Write a checkpoint before the program ends; a note about it."""
        if self.bundle is not None:
            self.bundle.book()
            _update(self.bundle)
        if self.checkpoints is None or not any(self._steps()):
            return ""
        if self._steps() != self.written and not self._write(self.checkpoints):
            return LOST
        own = (self.cells, self.states) if self.bundle is None else (self.bundle.cells, self.bundle.states)
        return saved_at(zip(*own, strict=True))

    def outcomes(self) -> list[Outcome]:
        """How the cells stand, as their outcomes."""
        return [
            Outcome(
                cell,
                _status(cell, state, place in self.diverged),
                state,
                as_trained(cell, state, self.shape, best=True),
            )
            for place, (cell, state) in enumerate(zip(self.cells, self.states, strict=True))
        ]

    def _look(self, bundle: Bundle, places: Sequence[int], losses: Sequence[float]) -> None:
        """See who diverged, and score who is due."""
        for position, place in enumerate(places):
            if math.isnan(losses[position]):
                self.diverged.add(place)
                continue
            self._score(place, bundle, position)

    def _score(self, place: int, bundle: Bundle | None = None, position: int = 0) -> None:
        """Take the scores that are due where a cell stands.

        Args:
            bundle: has its numbers, at a position; they are the state's own where there is none.
        """
        cell, state, bracket = self.cells[place], self.states[place], self.bracket_of.get(place)
        evaluates = evaluation_is_due(cell, state)
        if bundle is not None and (evaluates or (bracket is not None and _rung_is_due(cell, state, bracket))):
            bundle.state(position)
        if evaluates:
            _score_dev(self.encoder, cell, state, self.shape, self.prefix)
        # Asked only now: the evaluation may have brought the end forward.
        if bracket is not None and _rung_is_due(cell, state, bracket):
            _look_at_rung(self.encoder, cell, state, self.shape, bracket, self.prefix)

    def _keep(self, bundle: Bundle, now: float, ends: bool) -> None:
        """Bring the states' numbers up to date when the bundle ends or a checkpoint is due; write that."""
        due = self.checkpoints is not None and now - self.saved >= self.checkpoints.seconds
        if due or ends:
            _update(bundle)
        if self.checkpoints is not None and due:
            self._write(self.checkpoints)
            if self.prefix is not None:
                self.prefix.flush()
            self.saved = now

    def _write(self, checkpoints: Checkpoints) -> bool:
        """Write a checkpoint; whether there was room for it."""
        with shielded():
            done = checkpoints.save({cell.key: state for cell, state in zip(self.cells, self.states, strict=True)})
            self.written = self._steps() if done else self.written
        return done

    def _steps(self) -> list[int]:
        return [state.step for state in self.states]


def saved_at(cells: Iterable[tuple[TrainingCell, CellState]]) -> str:
    """Where a checkpoint was taken, by the cell that is furthest from its end."""
    cell, state = max(cells, key=lambda pair: pair[0].total_steps - pair[1].step)
    return f"saved at step {state.step:,} of {cell.total_steps:,}"


def _update(bundle: Bundle) -> None:
    """Bring the numbers of the states up to date."""
    for position in range(len(bundle.cells)):
        bundle.state(position)


def _advance(bundle: Bundle, brackets: Sequence[Bracket | None]) -> list[float]:
    """Take steps up to the next one after which the host has something to do; returns the losses of the last.

    A cell that was not finite in any of them has a loss of NaN: from that step on it stood still.
    """
    ahead = bundle.lag
    for cell, state, bracket in zip(bundle.cells, bundle.states, brackets, strict=True):
        rungs = [rung.step for rung in bracket.rungs] if bracket is not None else []
        ahead = min(ahead, _until_due(cell, state.step, rungs))
    for _ in range(ahead):
        bundle.step()
    return bundle.book()[-1]


def _until_due(cell: TrainingCell, step: int, rungs: Sequence[int]) -> int:
    """Steps until a cell ends, is evaluated on its dev set or comes to a rung, at least 1."""
    due = [cell.total_steps, *(rung for rung in rungs if rung > step)]
    if cell.settings.early_stopping is not None:
        every = cell.settings.early_stopping.every
        due.append((step // every + 1) * every)
    return max(1, min(due) - step)


def _status(cell: TrainingCell, state: CellState, diverged: bool) -> Literal["done", "diverged", "pruned"]:
    if diverged:
        return "diverged"
    return "done" if finished(cell, state) else "pruned"


def _share_time(bundle: Bundle, since: float) -> float:
    """Charge the time of a step to the cells by their tokens; returns when that was."""
    now = time.monotonic()
    for state, rows in zip(bundle.states, bundle.rows, strict=True):
        state.seconds += (now - since) * rows / max(1, sum(bundle.rows))
    return now


def finished(cell: TrainingCell, state: CellState) -> bool:
    """Whether a training came to its last step, or early stopping ends it here."""
    stopping = cell.settings.early_stopping
    if stopping is not None and state.best is not None:
        since = sum(step > state.best.step for step, _ in state.dev_scores)
        if since >= stopping.patience:
            return True
    return state.step >= cell.total_steps


def evaluation_is_due(cell: TrainingCell, state: CellState) -> bool:
    """Whether the dev set is to be scored where the cell stands: every `every` steps and at the last one, once."""
    stopping, step = cell.settings.early_stopping, state.step
    if stopping is None or not step or any(step == taken for taken, _ in state.dev_scores):
        return False
    return step % stopping.every == 0 or step >= cell.total_steps


def _score_dev(
    encoder: PackedEncoder, cell: TrainingCell, state: CellState, shape: Shape, prefix: PrefixCache | None
) -> None:
    """Score the dev set, and remember the parameters if they are the best."""
    score = dev_score(encoder, cell, as_trained(cell, state, shape), prefix)
    with shielded():
        state.dev_scores.append((state.step, score))
        if state.best is None or score > state.best.score:
            state.best = Best(state.step, score, state.adapter.values, state.head.values)


def _rung_is_due(cell: TrainingCell, state: CellState, bracket: Bracket) -> bool:
    """Whether the cell is to be compared where it stands: at the rungs of its bracket and at its end, once."""
    if not state.step or any(state.step == reached for reached, _ in state.rungs):
        return False
    return finished(cell, state) or any(state.step == rung.step for rung in bracket.rungs)


def _look_at_rung(
    encoder: PackedEncoder,
    cell: TrainingCell,
    state: CellState,
    shape: Shape,
    bracket: Bracket,
    prefix: PrefixCache | None,
) -> None:
    """Score the cell as it would be kept if it ended here."""
    kept = as_trained(cell, state, shape, best=True)
    state.rungs.append((state.step, dev_score(encoder, replace(cell, tasks=bracket.tasks), kept, prefix)))


def dev_score(
    encoder: PackedEncoder, cell: TrainingCell, trained: TrainedCell, prefix: PrefixCache | None = None
) -> float:
    """Mean over the scored tasks of the mean over the training languages of the task's main metric."""
    scored = [task for task in cell.tasks if task.metric is not None]
    return float(np.mean([task_score(encoder, task, trained, prefix) for task in scored]))


def task_score(
    encoder: PackedEncoder, task: TaskData, trained: TrainedCell, prefix: PrefixCache | None = None
) -> float:
    """Score of a trained cell on the dev set of one task."""
    (found,) = predict(encoder, [(trained, task.head)], [pool.data for pool in task.dev], prefix)
    return answers_score(task, found)


def answers_score(task: TaskData, answers: Scores) -> float:
    """Mean over the languages of a task's dev set of its main metric.

    Args:
        answers: scores for each of its pools.
    """
    assert task.metric is not None, "a plan evaluates on the dev sets of scored tasks only"
    scores = []
    for pool, found in zip(task.dev, answers, strict=True):
        kind = task.head.kind
        said, _ = kind.decode(pool.data, found, pool.unanswerable)
        statistics = task.metric.statistics(kind.gold(pool.data), said, pool.language)
        scores.append(float(task.metric.value(statistics.sum(axis=0))))
    return float(np.mean(scores))


def _progress(bundle: Bundle, losses: Sequence[float]) -> Progress:
    return Progress(
        tuple(
            (cell.name, state.step, cell.total_steps, loss)
            for cell, state, loss in zip(bundle.cells, bundle.states, losses, strict=True)
        )
    )
