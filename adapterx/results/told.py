"""What records tell of how a result came about, checked before tables are made of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from adapterx.results.merge_weights import TriedWeights
from adapterx.results.tuning import Candidate
from adapterx.store import Record


class _Told(BaseModel):
    """The parts of a record's result that a report reads; a result has few of them, and more beside them."""

    model_config = ConfigDict(strict=True, frozen=True)

    tuning: list[Candidate] = []
    weights: list[float] | None = None
    weights_tried: list[TriedWeights] = []
    collapsed: bool = False
    why: str | None = None


def nonsense(record: Record) -> str | None:
    """What in a record cannot be what its writer wrote, None where all of it can."""
    try:
        told = _Told.model_validate(dict(record.result))
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if told.weights_tried and told.weights not in [one.weights for one in told.weights_tried]:
        return "weights: not among those that were tried"
    return None
