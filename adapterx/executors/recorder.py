"""Results into the store: what a training or an evaluation came to, with what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from adapterx.engine.evaluate import summary
from adapterx.engine.train import Outcome
from adapterx.executors import tuning, weights
from adapterx.executors.data import Data
from adapterx.executors.provenance import gpu, peak_memory, surroundings
from adapterx.executors.tuning import Chosen
from adapterx.plan import Adoption, Evaluation, Stage, Training
from adapterx.results import adapter_file, training_log
from adapterx.results import predictions as predictions_file
from adapterx.results.adapter_file import TrainedTensors
from adapterx.results.evaluation import EvaluationResult
from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions
from adapterx.results.provenance import MeasuredCost, Provenance
from adapterx.results.training import DataNotes, TrainingResult
from adapterx.results.training_log import LoggedStep
from adapterx.store import JSON, Store
from adapterx.store.record import Status

Files: TypeAlias = Mapping[str, Callable[[Path], None] | bytes]
"""By name, the content of a file or what writes it."""


class Recorder:
    """Stores results of stages.

    Args:
        data: knows the metrics of the plan's tasks.
        device: where they are computed, for their provenance.
    """

    def __init__(self, store: Store, data: Data, device: str) -> None:
        self._store, self._data, self._device = store, data, device

    def training(
        self, stage: Stage, chosen: Chosen, together: int, of_data: DataNotes, weighed: weights.Weighed | None
    ) -> None:
        """Store a training.

        Args:
            together: cells of its bundle.
            weighed: the merge weights tuned for it.
        """
        assert isinstance(stage.work, Training)
        outcome, state = chosen.outcome, chosen.outcome.state
        several = stage.work.train.prune is not None
        result = TrainingResult(
            steps=state.step,
            examples=state.examples,
            tokens=state.tokens,
            final_loss=state.losses[-1][0] if state.losses else None,
            best_step=state.best.step if state.best else None,
            best_dev=state.best.score if state.best else None,
            data=of_data,
            tuning=tuning.record(chosen) if several else None,
            merging=None if weighed is None else weights.record(weighed),
            message=_diverged(chosen) if outcome.status == "diverged" else None,
        )
        cost = MeasuredCost(
            seconds=chosen.seconds + (0 if weighed is None else weighed.seconds),
            trained_together=together,
            trained_parameters=state.trained_parameters,
            candidates=len(chosen.candidates) if several else None,
            examples=chosen.examples if several else None,
        )
        # A frozen adapter below stays in the stage that made it.
        trained = TrainedTensors(outcome.trained.slots[-1].tensors, outcome.trained.heads)
        files: Files = {
            adapter_file.NAME: partial(adapter_file.write, trained=trained),
            training_log.NAME: _log(outcome),
        }
        self._commit(stage, files, result.told(), cost, "diverged" if outcome.status == "diverged" else "done")

    def adoption(self, stage: Stage, tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Store an adapter from elsewhere."""
        assert isinstance(stage.work, Adoption)
        found, trained = stage.work.adapter, TrainedTensors(tensors, {})
        files: Files = {adapter_file.NAME: partial(adapter_file.write, trained=trained)}
        adapter: dict[str, JSON] = {"init": stage.work.init, "commit": found.commit, "task": found.task or None}
        self._commit(stage, files, {**TrainingResult().told(), "adapter": adapter}, MeasuredCost(seconds))

    def evaluation(
        self,
        stage: Stage,
        predictions: Sequence[LanguagePredictions],
        seconds: float,
        why: str | None,
        more: Mapping[str, JSON],
    ) -> None:
        """Store an evaluation.

        Args:
            why: in what way it is no result, if it is none.
            more: for the record.
        """
        assert isinstance(stage.work, Evaluation)
        part = stage.work.task
        metrics = self._data.metrics(part)
        of = Evaluated(
            part.task,
            tuple(part.labels),
            tuple(metric.name for metric in metrics),
            self._data.spec(part.task).unanswerable,
            part.format,
        )
        stored = StoredPredictions(of, predictions)
        files: Files = {predictions_file.NAME: partial(predictions_file.write, cell=stage.label, stored=stored)}
        result = EvaluationResult(summary(predictions, metrics), why, more)
        self._commit(stage, files, result.told(), MeasuredCost(seconds))

    def _commit(
        self,
        stage: Stage,
        files: Files,
        result: Mapping[str, JSON],
        cost: MeasuredCost,
        status: Status = "done",
    ) -> None:
        """Store a stage, made here and now.

        Args:
            cost: memory apart.
        """
        assert cost.seconds is not None
        whole = replace(cost, seconds=round(cost.seconds, 3), peak_memory_bytes=peak_memory())
        before = self._store.failure(stage.kind, stage.label, stage.id)
        self._store.commit(
            stage.kind,
            stage.label,
            stage.id,
            settings=stage.settings,
            inputs=stage.inputs,
            files=files,
            result=result,
            provenance=Provenance(surroundings(), self._device, gpu(), stage.work.lane, whole, before).told(),
            status=status,
        )


def _diverged(chosen: Chosen) -> str:
    """Why a training ended early."""
    every = "" if len(chosen.candidates) == 1 else "with every learning rate, at the latest: "
    return f"{every}the loss or its gradient was not finite at step {chosen.outcome.state.step + 1}"


def _log(outcome: Outcome) -> bytes:
    """Loss and learning rate by step, dev scores where they were taken."""
    dev_scores = dict(outcome.state.dev_scores)
    losses = enumerate(outcome.state.losses, start=1)
    return training_log.written([LoggedStep(step, loss, rate, dev_scores.get(step)) for step, (loss, rate) in losses])
