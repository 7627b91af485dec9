"""The widths of a backbone that decide the shapes of its adapters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder: `layers` layers of `hidden` features with feed-forwards `intermediate` wide."""

    layers: int
    hidden: int
    intermediate: int
