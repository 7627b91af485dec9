"""What every form in which results leave has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapterx.errors import AdapterxError
from adapterx.files.adapter_files import check_empty
from adapterx.results.run_file import Run
from adapterx.store import Store
from adapterx.store.atomic import new_directory


class ExportError(AdapterxError, ValueError):
    """Results that cannot leave as asked, worded for the user."""


@dataclass(frozen=True)
class Leaving:
    """What of a run is to leave."""

    store: Store
    run: Run
    cell: str = ""
    """A cell's label, or how labels begin."""
    seed: int | None = None
    """Of the cells; None for all."""
    partial: bool = False
    """Whether a benchmark's task may lack languages that it scores."""


class Prepared(Protocol):
    """Everything that is to leave, read and checked."""

    def fill(self, new: Path) -> None:
        """Write it into an empty directory. Raises FormatError for what the form cannot hold."""
        ...

    def told(self, out: Path) -> Sequence[str]:
        """Lines that tell the user what lies in `out`."""
        ...


class Publisher(Protocol):
    """A form in which results leave."""

    @property
    def name(self) -> str:
        """What commands call it."""
        ...

    def prepare(self, leaving: Leaving) -> Prepared:
        """Read and check what is to leave; nothing is written. Raises ExportError, FormatError and DamagedFile."""
        ...


def write(prepared: Prepared, out: Path) -> Sequence[str]:
    """Write into a new directory, whole or not at all; lines that tell what lies there. Raises FormatError."""
    check_empty(out)
    with new_directory(out) as new:
        prepared.fill(new)
    return prepared.told(out)
