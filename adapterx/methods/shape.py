"""The widths of a backbone that decide the shapes of its adapters."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder: `layers` layers of `hidden` features with feed-forwards `intermediate` wide."""

    layers: int
    hidden: int
    intermediate: int
    weights: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), repr=False)
    """Names and shapes of the encoder's own tensors, which `full` trains."""
