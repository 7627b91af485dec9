"""Adapters in the files of `peft` or AdapterHub, with adapterx.json, which says what the libraries' files do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapterx.formats import directory as formats
from adapterx.formats import fused, metadata, setup
from adapterx.methods.base import Layout
from adapterx.publish import readme
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.base import ExportError, Leaving, Prepared
from adapterx.publish.cells import stored_cell
from adapterx.results import evaluation


@dataclass(frozen=True)
class LibraryFiles:
    """One cell as adapters of a library."""

    layout: Layout

    @property
    def name(self) -> str:
        return self.layout

    def prepare(self, leaving: Leaving) -> Prepared:
        """Read the adapters of the one chosen cell."""
        cell = stored_cell(leaving.store, leaving.run, leaving.cell)
        return LibraryDirectory(self.layout, cell.adapters, evaluation.read(cell.evaluation).why)


@dataclass(frozen=True)
class LibraryDirectory:
    """Adapters, and the library whose files they become."""

    layout: Layout
    adapters: AdapterSet
    no_result: str | None
    """In what way its answers are no result; None where they are one."""

    def fill(self, new: Path) -> None:
        write(new, self.layout, self.adapters)
        readme.write(new, self.layout, self.adapters, self.no_result)

    def told(self, out: Path) -> Sequence[str]:
        return [str(out / part) for part in self.adapters.metadata.adapters]


def write(new: Path, layout: Layout, adapters: AdapterSet) -> None:
    """Write adapters into an existing, empty directory.

    A stack gives two directories, `intermediate` and `target`, the head in the latter, and one more for every other
    language that has an adapter of its own; a fusion gives one per member, one of the fusion and one of the head.
    Raises ExportError or FormatError for what the library cannot hold.
    """
    _write(new, layout, adapters)
    for code, adapter in adapters.languages.items():
        part = adapters.metadata.languages[code]
        (new / part).mkdir()
        formats.write(new / part, layout, adapter, adapters.encoder, part)
    metadata.write(new, adapters.metadata)


def _write(new: Path, layout: Layout, adapters: AdapterSet) -> None:
    """Everything but the other languages and adapterx.json."""
    parts, cell = adapters.metadata.adapters, adapters.metadata.cell
    if adapters.fusion is not None:
        if layout != "adapterhub":
            raise ExportError(f"{layout} has no AdapterFusion: export {cell} with --format adapterhub")
        fused.write(new, adapters.fusion, adapters.encoder)
        return
    stack = adapters.stack
    if layout == "adapterhub":
        setup.check([adapter.method for adapter in stack], cell)
    for part, name, adapter in zip(parts, adapters.names, stack, strict=True):
        (new / part).mkdir(exist_ok=True)
        # In a setup of AdapterHub's a directory bears the name of its adapter.
        own = name if part == "." else part
        formats.write(new / part, layout, adapter, adapters.encoder, own, alone=len(stack) == 1)
    if layout == "adapterhub" and len(stack) > 1:
        setup.write(new, setup.Setup(parts, head=parts[-1]))
