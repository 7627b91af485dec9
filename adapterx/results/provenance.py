"""Where and with what a stage was made, and what it cost, as its record says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from adapterx.results.training import number
from adapterx.store import JSON, Record
from adapterx.store.record import Failure


@dataclass(frozen=True)
class MeasuredCost:
    """What a stage took. None where it does not apply, or where an earlier version did not record it."""

    seconds: float | None = None
    """Of its bundle's time, its share."""
    peak_memory_bytes: float | None = None
    """Of the whole process so far."""
    trained_together: float | None = None
    """Cells of its bundle."""
    trained_parameters: float | None = None
    candidates: float | None = None
    """Trainings it took, where several learning rates were tried, and the examples that all of them saw."""
    examples: float | None = None

    @classmethod
    def of(cls, record: Record) -> MeasuredCost:
        """What a record says; what no choice of rates adds, some versions said in the result."""
        anywhere = {name: record.provenance.get(name, record.result.get(name)) for name in COST[:4]}
        return cls(**{name: number({**record.provenance, **anywhere}.get(name)) for name in COST})


COST = tuple(field.name for field in fields(MeasuredCost))
AFTER_FAILURE = "after_failure"
OWN = frozenset({*COST, AFTER_FAILURE})
"""Facts that differ from stage to stage; all others are of software and machine."""


@dataclass(frozen=True)
class Provenance:
    """Where and with what a stage was made, and what it cost."""

    surroundings: Mapping[str, JSON]
    """Versions, code and machine."""
    device: str
    gpu: Mapping[str, JSON]
    """Its name and memory; nothing where there is none."""
    lane: str
    cost: MeasuredCost
    after: Failure | None = None
    """How the stage had ended when it was tried before, if it was."""

    def told(self) -> dict[str, JSON]:
        """The provenance of its record."""
        cost = self.cost
        found: dict[str, JSON] = {**self.surroundings, "device": self.device, **self.gpu}
        found |= {"seconds": cost.seconds, "peak_memory_bytes": cost.peak_memory_bytes, "lane": self.lane}
        rest = ("trained_together", "trained_parameters", "candidates", "examples")
        found |= {name: value for name in rest if (value := getattr(cost, name)) is not None}
        # Not the message: it may name paths of the machine, and records are published.
        return found if self.after is None else {**found, AFTER_FAILURE: [self.after.status, self.after.when]}


def surroundings(record: Record) -> Mapping[str, JSON]:
    """What a record says of software and machine, as it was written."""
    return {name: value for name, value in record.provenance.items() if name not in OWN}


def failed_before(record: Record) -> tuple[str, str] | None:
    """How a stage had ended when it was tried before, and when (ISO 8601); None where that is not known to be so."""
    told = record.provenance.get(AFTER_FAILURE)
    return (str(told[0]), str(told[1])) if isinstance(told, list) and len(told) == 2 else None
