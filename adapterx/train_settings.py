"""How one training is done, every setting concrete: what a recipe's settings come to, and the engine goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from adapterx.config.fields import Model, PositiveInt
from adapterx.limits import Limit, Sample


class EarlyStopping(Model):
    """Keep the best step on the dev set of the training languages, and stop when it no longer improves."""

    every: PositiveInt
    """Steps between two evaluations on the dev set."""
    patience: PositiveInt
    """Evaluations without improvement after which training stops."""
    limit: PositiveInt | None = None
    """Dev examples per language; all of them when null."""
    sample: Sample = "random"
    """Which ones a limit keeps."""

    @property
    def evaluated(self) -> Limit | None:
        """Which of the dev examples are read; None for all."""
        return Limit.of(self.limit, self.sample)


@dataclass(frozen=True)
class PruneSettings:
    """The candidates of one stage and how they are thinned out."""

    learning_rates: tuple[float, ...]
    rungs: tuple[float, ...]
    keep: float
    limit: Limit | None
    """Of the dev examples."""

    @property
    def going_on(self) -> tuple[int, ...]:
        """How many candidates go on from each rung, 1 once nobody is left to drop."""
        sizes = [len(self.learning_rates)]
        for _ in self.rungs:
            # The tolerance keeps products such as 0.7 · 10 from counting as more than the whole number they stand for.
            kept = math.ceil(self.keep * sizes[-1] - 1e-9)
            sizes.append(max(1, min(kept, sizes[-1] - 1)))
        return tuple(sizes[1:])

    @property
    def trainings(self) -> float:
        """The steps of all candidates, in units of one full training."""
        ends = (*self.rungs, 1.0)
        counts = (len(self.learning_rates), *self.going_on)
        return sum(count * (end - start) for count, start, end in zip(counts, (0.0, *self.rungs), ends, strict=True))


@dataclass(frozen=True)
class TrainSettings:
    """The training settings of one stage: one of `epochs` and `steps` is set, one of `learning_rate` and `prune`."""

    learning_rate: float | None
    batch_size: int
    epochs: float | None = None
    steps: int | None = None
    warmup_ratio: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 128
    """Tokens to which texts are cut."""
    limit: Limit | None = None
    """Which of the training examples are used; None for all."""
    early_stopping: EarlyStopping | None = None
    prune: PruneSettings | None = None

    @property
    def candidates(self) -> tuple[TrainSettings, ...]:
        """The settings of each training that this comes to: one per learning rate of `prune`, else these alone."""
        if self.prune is None:
            return (self,)
        return tuple(replace(self, learning_rate=rate, prune=None) for rate in self.prune.learning_rates)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the data that the training reads."""
        return ("train",) if self.early_stopping is None and self.prune is None else ("train", "dev")
