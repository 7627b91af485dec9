"""A trained cell of a run, in the files of `peft` or AdapterHub."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter
from torch import Tensor

from adapterx.executors import plain
from adapterx.executors.work import ADAPTER, PREDICTIONS
from adapterx.formats import directory as formats
from adapterx.formats import metadata, setup
from adapterx.formats.adapter import Encoder, PortableAdapter, PortableHead
from adapterx.formats.files import check_empty
from adapterx.formats.metadata import Metadata
from adapterx.methods.config import Full, HeadOnly, Library
from adapterx.methods.shape import Shape
from adapterx.plan.identity import with_defaults
from adapterx.recipe import Method, did_you_mean
from adapterx.report.run import BackboneSize, PlannedCell, Run, StageRef
from adapterx.store import Record, Store
from adapterx.tasks.examples import Format

BELOW, ABOVE = "intermediate", "target"
"""Directories of the two adapters of a stack."""


class ExportError(ValueError):
    """A cell that cannot be exported, worded for the user."""


@dataclass(frozen=True)
class _Trained:
    """A stored training with its adapter."""

    name: str
    record: Record
    adapter: PortableAdapter


def find(run: Run, wanted: str) -> PlannedCell:
    """The cell of that slug, or the only one whose slug begins so. ExportError otherwise."""
    cells = {cell.cell.slug: cell for cell in run.cells}
    if wanted in cells:
        return cells[wanted]
    starting = [slug for slug in cells if slug.startswith(wanted)]
    if len(starting) == 1:
        return cells[starting[0]]
    if starting:
        shown = ", ".join(starting[:4]) + (", …" if len(starting) > 4 else "")
        raise ExportError(f"'{wanted}' begins {len(starting)} cells of the run '{run.name}': {shown}")
    hint = did_you_mean(wanted, cells)
    raise ExportError(f"the run '{run.name}' has no cell '{wanted}'" + (f" ({hint})" if hint else ""))


def export(store: Store, run: Run, wanted: str, layout: formats.Layout, out: Path) -> Metadata:
    """Write the adapters and the head of a cell into a new directory, whole or not at all.

    A `stack` gives two directories, `intermediate` and `target`, the head in the latter. Raises ExportError,
    FormatError for what the format cannot hold, and DamagedFile.
    """
    planned = find(run, wanted)
    size = run.backbones[planned.cell.backbone] if planned.refused is None else None
    if size is None:
        raise ExportError(f"the cell {planned.cell.slug} is refused, so there is nothing to export: {planned.refused}")
    check_empty(out)
    trained = _trained(store, planned, size)
    made = _metadata(store, run, planned, size, trained)
    if layout == "adapterhub":
        setup.check([one.adapter.method for one in trained], planned.cell.slug)
    encoder = Encoder(made.architecture, _shape(size), made.model, made.revision)
    with tempfile.TemporaryDirectory(dir=_parent(out), prefix=".export-") as scratch:
        new = Path(scratch) / "new"
        for part, one in zip(made.adapters, trained, strict=True):
            (new / part).mkdir(parents=True, exist_ok=True)
            # In a setup of AdapterHub's a directory bears the name of its adapter.
            formats.write(new / part, layout, one.adapter, encoder, one.name if part == "." else part)
        if layout == "adapterhub" and len(trained) > 1:
            setup.write(new, setup.Setup(made.adapters, head=made.adapters[-1]))
        metadata.write(new, made)
        if out.is_dir():
            out.rmdir()
        shutil.move(new, out)
    return made


def _parent(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.parent


def _shape(size: BackboneSize) -> Shape:
    return Shape(size.layers, size.hidden, size.intermediate)


def _trained(store: Store, planned: PlannedCell, size: BackboneSize) -> list[_Trained]:
    """The adapters of a cell, the lowest first."""
    refs = {ref.kind: ref for ref in planned.stages}
    target = _training(store, refs["target"], size, _read_labels(store, refs["evaluation"]))
    if planned.cell.transfer != "stack":
        return [target]
    return [_training(store, refs["intermediate"], size, None), target]


def _training(store: Store, ref: StageRef, size: BackboneSize, labels: tuple[str, ...] | None) -> _Trained:
    from safetensors.torch import load_file

    record = _record(store, ref)
    if record.status != "done":
        raise ExportError(f"the {ref.kind} {ref.slug} has diverged: {record.result.get('message')}")
    tensors = load_file(store.read(record, ADAPTER))
    chosen: Any = TypeAdapter(Method).validate_python(record.settings["method"])
    method = plain.method(chosen, size.layers)
    if isinstance(method, Full | HeadOnly):
        trains = "every weight" if isinstance(method, Full) else "a head alone"
        raise ExportError(f"the cell {ref.slug} trains {trains}, so there is no adapter to export")
    if isinstance(method, Library):
        raise ExportError(
            f"the cell {ref.slug} is an adapter of the library `{method.library}`, whose files adapterx does not write;"
            f" its tensors are in {store.read(record, ADAPTER)}"
        )
    encoder = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
    head = None if labels is None else _head(record, tensors, labels)
    return _Trained(_name(ref), record, PortableAdapter(method, encoder, head))


def _record(store: Store, ref: StageRef) -> Record:
    record = store.find(ref.id, ref.kind, ref.slug)
    if record is None:
        raise ExportError(f"the {ref.kind} {ref.slug} is not stored: `adapterx run` the recipe first")
    return record


def _name(ref: StageRef) -> str:
    """The stage's slug in letters that a module's name may have."""
    return "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in ref.slug)


def _read_labels(store: Store, ref: StageRef) -> tuple[str, ...]:
    """The task's labels, which stand with the predictions."""
    from pyarrow import parquet

    schema = parquet.read_schema(store.read(_record(store, ref), PREDICTIONS))
    return tuple(json.loads(schema.metadata[b"labels"]))


def _head(record: Record, tensors: dict[str, Tensor], labels: tuple[str, ...]) -> PortableHead:
    (task,) = cast(dict[str, object], record.settings["tasks"])
    prefix = f"head.{task}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    format_: Format = "pair-classification"
    if "dense.weight" not in own:
        format_ = "tagging"
    elif len(own["output.weight"]) == 1:
        format_ = "multiple-choice"
    return PortableHead(format_, labels, own, task)


def _metadata(store: Store, run: Run, planned: PlannedCell, size: BackboneSize, trained: list[_Trained]) -> Metadata:
    target = trained[-1]
    settings = with_defaults(target.record.settings)
    train, backbone = (cast(dict[str, Any], settings[key]) for key in ("train", "backbone"))
    head = target.adapter.head
    assert head is not None, "a target has a head"
    pinned = size.key.rsplit("@", 1)[1] if size.key.startswith("hub:") else size.revision
    return Metadata(
        recipe=run.name,
        cell=planned.cell.slug,
        stage=target.record.id,
        model=size.model,
        revision=pinned,
        backbone=size.key,
        load=backbone["load"],
        architecture=size.architecture,
        layers=size.layers,
        hidden=size.hidden,
        task=head.task,
        format=head.format,
        labels=head.labels,
        max_length=train["max_length"],
        adapters=(".",) if len(trained) == 1 else (BELOW, ABOVE),
    )
