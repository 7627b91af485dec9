"""Train one cell on the plain model: torch's own AdamW, padded batches, a loop one can read.

Batches, rates, initial tensors, loss and early stopping are those of the fused lane, so that the two can be compared
step by step. Masks of dropout are torch's here: they follow from seed and step too, but are other ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from adapterx.engine.batches import HeadRows, weighed
from adapterx.engine.cell import TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.optimiser import BETAS, EPSILON
from adapterx.engine.predict import TrainedCell
from adapterx.engine.state import Best, CellState, Rows, head_parameters
from adapterx.engine.train import LOST, Outcome, Progress, answers_score, evaluation_is_due, finished, saved_at
from adapterx.methods.head import Head
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Parameter, flatten, in_order, initial, stream, unflatten
from adapterx.reference.model import ReferenceModel, build, shape_of
from adapterx.reference.padded import padded
from adapterx.reference.predict import read, scores
from adapterx.stopping import saving, shielded


def train(
    encoder: nn.Module,
    cell: TrainingCell,
    checkpoints: Checkpoints | None = None,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Train a cell from wherever it stands to its end.

    Args:
        encoder: the plain encoder of the backbone, which stays as it is.
        checkpoints: where a training that was cut off goes on from, and where this one leaves its states.

    Where the program is asked to end meanwhile, the checkpoint of the last step taken is written first.
    """
    training = _ReferenceTraining(encoder, cell, checkpoints)
    with saving(training.leave):
        training.evaluate()  # one that was due where the training was cut off
        while not training.diverged and not finished(cell, training.state):
            loss = training.step()
            if math.isnan(loss):
                break
            training.evaluate()
            observe(Progress(((cell.name, training.state.step, cell.total_steps, loss),)))
            training.keep()
        return training.outcome()


@dataclass(frozen=True)
class _TrainedPart:
    """Trained tensors that fill one flat row: those of the adapter, or of the heads."""

    parameters: list[Parameter]
    tensors: Mapping[str, nn.Parameter]

    def ordered(self) -> list[tuple[Parameter, nn.Parameter]]:
        return [(one, self.tensors[one.name]) for one in in_order(self.parameters)]

    @torch.no_grad()
    def load(self, values: Tensor) -> None:
        for name, tensor in unflatten(self.parameters, values).items():
            self.tensors[name].copy_(tensor)


class _ReferenceTraining:
    """A cell, its model, and how far it is."""

    def __init__(self, encoder: nn.Module, cell: TrainingCell, checkpoints: Checkpoints | None) -> None:
        self.cell = cell
        self.checkpoints = checkpoints
        self.shape = shape_of(encoder)
        self.device = next(encoder.parameters()).device
        self.pad = int(encoder.config.pad_token_id)  # type: ignore[union-attr,arg-type]
        slots = [*cell.lower, Slot(cell.method, {})]
        self.model: ReferenceModel = build(encoder, slots, cell.seed)
        specs = head_parameters(cell, self.shape)
        given = {name: tensor for task in cell.tasks for name, tensor in task.initial.items()}
        start = {**initial(specs, cell.seed), **given}
        fresh = {one.name: nn.Parameter(start[one.name].clone().to(self.device)) for one in specs}
        self.parts = (_TrainedPart(list(self.model.parameters), self.model.tensors), _TrainedPart(specs, fresh))
        found = checkpoints.resume([cell.key]) if checkpoints else {}
        self.state = found.get(cell.key) or self._start()
        self.optimiser = self._optimiser()
        self.diverged = False
        self.since = self.saved = time.monotonic()
        self.written = self.state.step
        """The step of the last checkpoint."""

    def _start(self) -> CellState:
        """The state before the first step. Where a library draws the adapter, it is in the model already."""
        if not self.cell.method.made_by_library:
            return CellState.start(self.cell, self.shape)
        adapter, head = self.parts
        values = adapter.tensors if self.cell.initial is None else self.cell.initial
        return CellState(
            adapter=Rows.fresh(flatten(adapter.parameters, values).cpu()),
            head=Rows.fresh(flatten(head.parameters, head.tensors).cpu()),
        )

    def _optimiser(self) -> torch.optim.AdamW:
        """torch's AdamW over the model's tensors, as they and their moments stand in the state."""
        for part, rows in zip(self.parts, (self.state.adapter, self.state.head), strict=True):
            part.load(rows.values)
        named = [pair for part in self.parts for pair in part.ordered()]
        decay = self.cell.settings.weight_decay
        groups = [
            {"params": [one for parameter, one in named if parameter.decays], "weight_decay": decay},
            {"params": [one for parameter, one in named if not parameter.decays], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW([group for group in groups if group["params"]], betas=BETAS, eps=EPSILON)
        if self.state.step:
            for part, rows in zip(self.parts, (self.state.adapter, self.state.head), strict=True):
                first, second = (unflatten(part.parameters, one) for one in (rows.first, rows.second))
                for name, tensor in part.tensors.items():
                    optimiser.state[tensor] = {
                        "step": torch.tensor(float(self.state.step)),
                        "exp_avg": first[name].to(self.device).clone(),
                        "exp_avg_sq": second[name].to(self.device).clone(),
                    }
        return optimiser

    def step(self) -> float:
        """Take a step; its loss, NaN where loss or gradient is not finite: then the weights stay as they are."""
        cell, state = self.cell, self.state
        rate = cell.learning_rate(state.step)
        batch = padded(weighed(cell.drawn(state.step)), self.pad)
        adapter, head = self.parts
        trained = [*adapter.tensors.values(), *head.tensors.values()]
        self.optimiser.zero_grad()
        with torch.random.fork_rng():
            torch.manual_seed(stream("masks", cell.seed, state.step))
            self.model.training(True)
            hidden = read(self.model, batch, self.device)
            self.model.training(False)
        loss = hidden.new_zeros(())
        for rows in batch.heads:
            loss = loss + self._loss(cell.tasks[rows.head].head, hidden[rows.start : rows.stop], rows)
        loss.backward()  # type: ignore[no-untyped-call]
        for one in trained:
            if one.grad is None:  # a head without examples in this batch: torch would leave it out of the step
                one.grad = torch.zeros_like(one)
        norm = nn.utils.clip_grad_norm_(trained, cell.settings.max_grad_norm)
        if not (loss.isfinite() and norm.isfinite()):
            self.diverged = True
            return math.nan
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with shielded():
            self.optimiser.step()
            state.step += 1
            state.examples += sum(len(rows.reads) for rows in batch.heads)
            state.tokens += batch.rows
            state.losses.append((float(loss.detach()), rate))
        return state.losses[-1][0]

    def _loss(self, head: Head, hidden: Tensor, rows: HeadRows) -> Tensor:
        """Of one head's rows."""
        there = {name: getattr(rows, name).to(self.device) for name in ("reads", "labels", "weights", "windows")}
        targets = replace(rows, **there)
        model = self.model
        return head.total(self.parts[1].tensors, hidden, targets, model.unembedded, model.token_embeddings)

    def evaluate(self) -> None:
        """Every `every` steps and at the last one: score the dev set, and remember the parameters that do best."""
        state = self.state
        if not evaluation_is_due(self.cell, state):
            return
        heads = {name: one.detach() for name, one in self.parts[1].tensors.items()}
        answers = [scores(self.model, heads, task.head, [pool.data for pool in task.dev]) for task in self.cell.tasks]
        score = float(np.mean([answers_score(*pair) for pair in zip(self.cell.tasks, answers, strict=True)]))
        with shielded():
            state.dev_scores.append((state.step, score))
            if state.best is None or score > state.best.score:
                self._update()
                state.best = Best(state.step, score, state.adapter.values, state.head.values)

    def keep(self) -> None:
        """Count the time; write a checkpoint when one is due."""
        now = time.monotonic()
        self.state.seconds += now - self.since
        self.since = now
        if self.checkpoints is not None and now - self.saved >= self.checkpoints.seconds:
            self._write(self.checkpoints)
            self.saved = now

    def leave(self) -> str:
        """Write a checkpoint before the program ends; a note about it."""
        if self.checkpoints is None or not self.state.step:
            return ""
        if self.state.step != self.written and not self._write(self.checkpoints):
            return LOST
        return saved_at([(self.cell, self.state)])

    def _write(self, checkpoints: Checkpoints) -> bool:
        """Write a checkpoint; whether there was room for it."""
        with shielded():
            self._update()
            done = checkpoints.save({self.cell.key: self.state})
            self.written = self.state.step if done else self.written
        return done

    def outcome(self) -> Outcome:
        """How the cell ended."""
        self._update()
        state = self.state
        adapter, head = state.adapter.values, state.head.values
        if state.best is not None:
            adapter, head = state.best.adapter, state.best.head
        slot = Slot(self.cell.method, unflatten(self.parts[0].parameters, adapter))
        trained = TrainedCell((*self.cell.lower, slot), unflatten(self.parts[1].parameters, head))
        return Outcome(self.cell, "diverged" if self.diverged else "done", state, trained)

    def _update(self) -> None:
        """Bring the numbers of the state up to date."""
        self.state.adapter, self.state.head = (self._rows(part) for part in self.parts)

    def _rows(self, part: _TrainedPart) -> Rows:
        named = dict(part.tensors)
        moments = [
            {name: self.optimiser.state.get(one, {}).get(key, torch.zeros_like(one)) for name, one in named.items()}
            for key in ("exp_avg", "exp_avg_sq")
        ]
        return Rows(*(flatten(part.parameters, one).cpu().clone() for one in (named, *moments)))
