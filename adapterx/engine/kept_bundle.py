"""A GPU's last bundle with its recorded steps, taken over by the next cells of the same structure.

A recording reads and writes tensors at their addresses: other cells can be replayed with it if their numbers are
brought to the same places.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import Bundle
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState


class KeptBundle:
    """At most one bundle, between the trainings of a process. What it keeps takes memory until `clear`."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, Bundle] | None = None

    def bundle(
        self,
        encoder: PackedEncoder,
        cells: Sequence[TrainingCell],
        states: Sequence[CellState],
        options: Options | None,
        prefix: PrefixCache | None,
        parts: int,
    ) -> Bundle:
        """A bundle of these cells: the kept one if its structure is theirs; arguments as of `Bundle`."""
        kept, self._kept = self._kept, None
        if kept is not None:
            key, bundle = kept
            if parts == 1 and bundle.backbone is encoder and key == _structure(cells, options, prefix):
                bundle.take_over(cells, states)
                return bundle
            bundle.close()
        return Bundle(encoder, cells, states, options, prefix, parts)

    def give_back(self, bundle: Bundle) -> None:
        """Keep a bundle that is done with, if there is something recorded in it; else close it."""
        if bundle.parts == 1 and bundle.records:
            bundle.pause()
            self._kept = (_structure(bundle.cells, bundle.options, bundle.given_prefix), bundle)
        else:
            bundle.close()

    def clear(self) -> None:
        """Let go of what is kept."""
        if self._kept is not None:
            self._kept[1].close()
        self._kept = None


def _structure(cells: Sequence[TrainingCell], options: Options | None, prefix: PrefixCache | None) -> Hashable:
    """Equal for cells whose steps are the same work on other numbers."""
    return (
        options or Options(),
        id(prefix),
        tuple(
            (
                cell.method,
                cell.seed if cell.method.drops or cell.method.dropped_layers else None,  # which decides masks
                tuple(task.head for task in cell.tasks),
                tuple(task.vocabulary is None for task in cell.tasks),
                tuple(
                    (slot.method, tuple((name, tuple(one.shape)) for name, one in slot.tensors.items()))
                    for slot in cell.lower
                ),
            )
            for cell in cells
        ),
    )
