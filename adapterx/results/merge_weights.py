"""What a training whose merge weights were tuned records of them, under `weights` and `weights_tried` of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel, ConfigDict

from adapterx.store import JSON


class TriedWeights(BaseModel):
    """One vector of merge weights, and how the adapter merged with it scored."""

    model_config = ConfigDict(strict=True, frozen=True)

    weights: list[float]
    """In the order of the stage's inputs."""
    dev: float
    """The mean over members, from 0 to 1, as is each of the next."""
    dev_by_member: list[float] = []


@dataclass(frozen=True)
class ChosenWeights:
    """The choice, and what it was made from."""

    weights: tuple[float, ...]
    """In the order of the stage's inputs."""
    tried: tuple[TriedWeights, ...]
    """In the order tried, the arithmetic's default first."""

    @property
    def dev(self) -> float:
        """The score of the weights chosen."""
        return next(one.dev for one in self.tried if tuple(one.weights) == self.weights)

    @property
    def default(self) -> float:
        """The score of the default weights."""
        return self.tried[0].dev

    def told(self) -> dict[str, JSON]:
        """The part of a result that says it."""
        return {"weights": list(self.weights), "weights_tried": [one.model_dump() for one in self.tried]}


def chosen(result: Mapping[str, JSON]) -> ChosenWeights | None:
    """The choice that a result tells of, None where there was none. Raises ValueError for what no writer wrote."""
    tried = result.get("weights_tried")
    if not tried:
        return None
    made = tuple(TriedWeights.model_validate(one) for one in cast(list[JSON], tried))
    return ChosenWeights(tuple(cast(list[float], result["weights"])), made)
