"""What computes trainings and evaluations: the fused engine, many cells at once, or the libraries' models, one by one.

A recipe calls them lanes; `backends` has one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapterx import reference
from adapterx.engine import evaluate as fused
from adapterx.engine import predict
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket
from adapterx.engine.options import Options
from adapterx.engine.predict import Observe, TrainedCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.retrieve import Vectors
from adapterx.engine.train import Outcome, Progress, train
from adapterx.executors.backbones import HeldBackbone
from adapterx.methods.head import Head
from adapterx.methods.pooling import Pooling
from adapterx.recipe.schema import Lane
from adapterx.results.predictions import LanguagePredictions
from adapterx.tasks.encoded import Encoded


@dataclass(frozen=True)
class Sweep:
    """How an evaluation reads its texts."""

    seed: int
    """Of the training, of whose adapters a library may draw parts that it does not store."""
    prefix: PrefixCache | None
    """Hidden states below the adapters, kept."""
    observe: Observe
    """Hears of every pass."""


class Backend(Protocol):
    """One way to compute what a bundle asks for."""

    def train(
        self, backbone: HeldBackbone, cells: Sequence[TrainingCell], brackets: Sequence[Bracket], parts: int
    ) -> list[Outcome]:
        """The outcome of each cell, in their order.

        Args:
            brackets: cells of which the worst leave early.
            parts: into how many each batch is cut, where the backend can.
        """

    def evaluate(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Head]],
        pools: Sequence[Pool],
        sweep: Sweep,
    ) -> list[list[LanguagePredictions]]:
        """Predictions of each cell for the pools, one language each."""

    def embed(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Sequence[Pooling]]],
        texts: Sequence[Encoded],
        sweep: Sweep,
    ) -> list[list[list[Vectors]]]:
        """By cell, pooling and texts: (n, d), one vector of each of their n examples."""


class FusedBackend:
    """The engine: cells of one structure take their steps together.

    Args:
        options: how fast it is to go; nothing of the results.
        checkpoints: where trainings that were cut off go on from.
        observe: hears of every training step.
    """

    def __init__(self, options: Options, checkpoints: Checkpoints, observe: Callable[[Progress], None]) -> None:
        self._options, self._checkpoints, self._observe = options, checkpoints, observe

    def train(
        self, backbone: HeldBackbone, cells: Sequence[TrainingCell], brackets: Sequence[Bracket], parts: int
    ) -> list[Outcome]:
        """All of them in one bundle."""
        own = (self._checkpoints, self._observe, self._options)
        return train(backbone.encoder, cells, *own, backbone.prefix, brackets, parts, backbone.keeper)

    def evaluate(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Head]],
        pools: Sequence[Pool],
        sweep: Sweep,
    ) -> list[list[LanguagePredictions]]:
        """All of them in one sweep over the texts."""
        backbone.keeper.clear()  # which takes the memory of a step
        return fused.evaluate(backbone.encoder, cells, pools, sweep.prefix, sweep.observe)

    def embed(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Sequence[Pooling]]],
        texts: Sequence[Encoded],
        sweep: Sweep,
    ) -> list[list[list[Vectors]]]:
        """All of them in one sweep over the texts."""
        backbone.keeper.clear()
        return predict.embed(backbone.encoder, cells, texts, sweep.prefix, observe=sweep.observe)


class ReferenceBackend:
    """The plain models of Hugging Face, `peft` and `adapters`: each cell alone, without a prefix cache.

    Arguments as of `FusedBackend`.
    """

    def __init__(self, checkpoints: Checkpoints, observe: Callable[[Progress], None]) -> None:
        self._checkpoints, self._observe = checkpoints, observe

    def train(
        self, backbone: HeldBackbone, cells: Sequence[TrainingCell], brackets: Sequence[Bracket], parts: int
    ) -> list[Outcome]:
        """One after another."""
        assert not brackets, "whose candidates train side by side: a plan refuses them here"
        model = backbone.loaded.model
        return [reference.train(model, cell, self._checkpoints, self._observe) for cell in cells]

    def evaluate(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Head]],
        pools: Sequence[Pool],
        sweep: Sweep,
    ) -> list[list[LanguagePredictions]]:
        """One after another."""
        model = backbone.loaded.model
        return [reference.evaluate(model, cell, head, pools, sweep.seed, sweep.observe) for cell, head in cells]

    def embed(
        self,
        backbone: HeldBackbone,
        cells: Sequence[tuple[TrainedCell, Sequence[Pooling]]],
        texts: Sequence[Encoded],
        sweep: Sweep,
    ) -> list[list[list[Vectors]]]:
        """One after another, once for each pooling."""
        model = backbone.loaded.model
        return [
            [reference.embed(model, cell, one, texts, sweep.seed, sweep.observe) for one in poolings]
            for cell, poolings in cells
        ]


def backends(options: Options, checkpoints: Checkpoints, observe: Callable[[Progress], None]) -> Mapping[Lane, Backend]:
    """The backend of each lane; arguments as of `FusedBackend`."""
    return {
        "fused": FusedBackend(options, checkpoints, observe),
        "reference": ReferenceBackend(checkpoints, observe),
    }
