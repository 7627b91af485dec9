"""What a library's configuration of an adapter means here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapterx.methods.base import MethodSpec


@dataclass(frozen=True)
class Meant:
    """A method, and how an adapter of a library departs from it."""

    method: MethodSpec
    """Of the largest size, where sizes differ from place to place."""
    places: Mapping[str, MethodSpec] = field(default_factory=dict)
    """How the names of a place's tensors begin, and what is there, in every place that has an adapter; empty where that
    is `method` everywhere."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """By name, what a tensor is to be multiplied by, so that the method's own scaling holds for it."""
