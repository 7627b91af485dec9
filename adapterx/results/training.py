"""What the record of a training says of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapterx.results import merge_weights, tuning
from adapterx.results.merge_weights import ChosenWeights
from adapterx.results.tuning import Tuning
from adapterx.store import JSON, Record


@dataclass(frozen=True)
class DataNotes:
    """What a training notes of its own data."""

    prior_loss: float | None = None
    """The loss of guessing by how frequent the labels are, or by the mean of numbers; None for other answers."""
    remarks: tuple[str, ...] = ()
    """Which task has one label only, and in which languages."""

    def told(self) -> dict[str, JSON]:
        """The part of a result that says it."""
        found: dict[str, JSON] = {} if self.prior_loss is None else {"prior_loss": self.prior_loss}
        return found | ({"remarks": list(self.remarks)} if self.remarks else {})


@dataclass(frozen=True)
class TrainingResult:
    """How a training went. Numbers are None where there is none, and where an earlier version did not record them."""

    steps: int | None = None
    examples: int | None = None
    """Those that it has seen, repetitions included."""
    tokens: int | None = None
    final_loss: float | None = None
    best_step: int | None = None
    """The step that was kept, where dev data chose it, and its score."""
    best_dev: float | None = None
    data: DataNotes = field(default_factory=DataNotes)
    tuning: Tuning | None = None
    """Where several learning rates were tried."""
    merging: ChosenWeights | None = None
    """Where the weights of a merger were chosen."""
    message: str | None = None
    """Why a diverged training ended."""

    def told(self) -> dict[str, JSON]:
        """The result of its record."""
        return {
            "steps": self.steps,
            "examples": self.examples,
            "tokens": self.tokens,
            "final_loss": self.final_loss,
            "best_step": self.best_step,
            "best_dev": self.best_dev,
            **self.data.told(),
            **({} if self.tuning is None else self.tuning.told()),
            **({} if self.merging is None else self.merging.told()),
            **({} if self.message is None else {"message": self.message}),
        }


def notes(record: Record) -> DataNotes:
    """What a training noted of its data, nothing where its version did not."""
    prior, remarks = number(record.result.get("prior_loss")), record.result.get("remarks")
    return DataNotes(prior, tuple(map(str, remarks)) if isinstance(remarks, list) else ())


def message(record: Record) -> str:
    """Why a diverged training ended; empty where nothing is said."""
    said = record.result.get("message")
    return "" if said is None else str(said)


def read(record: Record) -> TrainingResult:
    """The result of a training. Raises ValueError for a choice that no writer wrote (`told.nonsense` asks first)."""
    result: Mapping[str, JSON] = record.result
    rate, tried = number(result.get("learning_rate")), tuning.candidates(result)
    return TrainingResult(
        steps=_count(result.get("steps")),
        examples=_count(result.get("examples")),
        tokens=_count(result.get("tokens")),
        final_loss=number(result.get("final_loss")),
        best_step=_count(result.get("best_step")),
        best_dev=number(result.get("best_dev")),
        data=notes(record),
        tuning=None if rate is None or not tried else Tuning(rate, tried),
        merging=merge_weights.chosen(result),
        message=message(record) or None,
    )


def number(value: JSON) -> float | None:
    """A number of a record; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
