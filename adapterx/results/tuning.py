"""What a training that tried several learning rates records: `learning_rate` and `tuning` of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from adapterx.store import JSON


class Candidate(BaseModel):
    """One learning rate that a stage tried."""

    model_config = ConfigDict(strict=True, frozen=True)

    learning_rate: float
    steps: int
    """Those it took."""
    total_steps: int = Field(gt=0)
    """Those of a whole training."""
    dev: dict[str, float]
    """Its dev score at each rung, by the rung's step."""
    outcome: str
    """`won`; `lost` to a better one at the end; `pruned` at a rung; or `diverged`."""


@dataclass(frozen=True)
class Tuning:
    """The choice of a learning rate."""

    learning_rate: float
    """The one kept."""
    candidates: tuple[Candidate, ...]
    """In the order of the recipe, the one kept among them."""

    def told(self) -> dict[str, JSON]:
        """The part of a result that says it."""
        return {"learning_rate": self.learning_rate, "tuning": [one.model_dump() for one in self.candidates]}


def candidates(result: Mapping[str, JSON]) -> tuple[Candidate, ...]:
    """The candidates of a result, none where there was no choice. Raises ValueError for what no writer wrote."""
    tried = result.get("tuning") or ()
    return tuple(Candidate.model_validate(one) for one in tried) if isinstance(tried, list | tuple) else ()
