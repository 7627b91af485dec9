"""Backbone sizes: which backbones are of one size, the smallest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from adapterx.results.run_file import BackboneSize


@dataclass(frozen=True)
class Level:
    """Backbones of one size."""

    parameters: int
    """Of the encoder, without embeddings."""
    backbones: tuple[str, ...]

    @property
    def name(self) -> str:
        """small; a and b."""
        *others, last = self.backbones
        return f"{', '.join(others)} and {last}" if others else last

    def only(self, backbones: Sequence[str]) -> Level:
        """The level with some of its backbones."""
        return replace(self, backbones=tuple(name for name in self.backbones if name in backbones))


def levels(backbones: Iterable[BackboneSize]) -> tuple[Level, ...]:
    """The sizes of some backbones."""
    by_size: dict[int, list[str]] = {}
    for one in backbones:
        by_size.setdefault(one.parameters, []).append(one.name)
    return tuple(Level(size, tuple(names)) for size, names in sorted(by_size.items()))
