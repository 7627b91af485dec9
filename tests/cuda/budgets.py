"""The most operators that a step may launch: 4 cells over 3 layers, the first step of a shape, its copies included.

Measured on this code with a twentieth to spare. A change that needs more either goes cell by cell where it went
together, or has a reason that belongs beside the new number.
"""

from __future__ import annotations

LAUNCHES: dict[tuple[str, str], int] = {}
REPLAYED = 80
"""Of a replayed step: the copies of its numbers, its losses, and who is alive."""
