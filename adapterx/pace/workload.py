"""What a device computes, counted, and the seconds that a unit of each count takes."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from pydantic import BaseModel, ConfigDict, NonNegativeFloat


@dataclass(frozen=True)
class Workload:
    """What a device computes. Workloads add up, and are multiplied by how often they are done."""

    calls: float = 0.0
    """Layers gone through, forward and backward, however many rows and cells: launching kernels takes its time."""
    cell_calls: float = 0.0
    """The same, for each cell that has adapters in them."""
    products: float = 0.0
    """Floating-point operations of products with weights."""
    attention: float = 0.0
    """Floating-point operations of attention's scores and means."""
    elements: float = 0.0
    """Numbers in the hidden states that layers pass on, forward and backward: norms, activations, sums."""

    def __add__(self, other: Workload) -> Workload:
        return Workload(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: float) -> Workload:
        return Workload(*(times * one for one in astuple(self)))


COUNTS = tuple(field.name for field in fields(Workload))


class Rates(BaseModel):
    """Seconds that one unit of each count takes on a device."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    calls: NonNegativeFloat = 0.0
    cell_calls: NonNegativeFloat = 0.0
    products: NonNegativeFloat = 0.0
    attention: NonNegativeFloat = 0.0
    elements: NonNegativeFloat = 0.0

    def seconds(self, work: Workload) -> float:
        """How long a workload takes."""
        return sum(float(getattr(self, name)) * float(getattr(work, name)) for name in COUNTS)


FLOPS = 100e9
"""Floating-point operations per second of the rule of thumb: two laptop cores. A data-centre GPU has 500 times more."""
RULE = Rates(products=1 / FLOPS, attention=1 / FLOPS)
"""The rule of thumb: operations alone count."""
