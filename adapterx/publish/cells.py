"""Cells of a run with the adapters that they are made of, read from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import TypeAdapter

from adapterx.backbones.shape import Encoder, Shape
from adapterx.config.problems import did_you_mean
from adapterx.formats import fused
from adapterx.formats.adapter import PortableAdapter, PortableHead
from adapterx.formats.fused import PortableFusion
from adapterx.formats.metadata import Metadata
from adapterx.methods.base import MethodSpec
from adapterx.methods.registry import Method
from adapterx.plan import defaults
from adapterx.plan.identity import with_defaults
from adapterx.publish.adapters import AdapterSet, Content
from adapterx.publish.base import ExportError
from adapterx.results import adapter_file, predictions, training
from adapterx.results.adapter_file import TrainedTensors
from adapterx.results.predictions import Evaluated
from adapterx.results.run_file import BackboneSize, PlannedCell, Run, StageRef
from adapterx.store import Record, Store
from adapterx.tasks.kinds import portable
from adapterx.transfers.registry import TRANSFERS

BELOW, ABOVE = "intermediate", "target"
"""Directories of the two adapters of a stack."""


@dataclass(frozen=True)
class _Trained:
    """A stored training: its adapter, or its fusion with the members."""

    name: str
    record: Record
    content: Content


def find(run: Run, wanted: str) -> PlannedCell:
    """The cell of that label, or the only one whose label begins so. ExportError otherwise."""
    cells = {cell.cell.label: cell for cell in run.cells}
    if wanted in cells:
        return cells[wanted]
    starting = [label for label in cells if label.startswith(wanted)]
    if len(starting) == 1:
        return cells[starting[0]]
    if starting:
        shown = ", ".join(starting[:4]) + (", …" if len(starting) > 4 else "")
        raise ExportError(f"'{wanted}' begins {len(starting)} cells of the run '{run.name}': {shown}")
    hint = did_you_mean(wanted, cells)
    raise ExportError(f"the run '{run.name}' has no cell '{wanted}'" + (f" ({hint})" if hint else ""))


@dataclass(frozen=True)
class StoredCell:
    """A cell of a run whose stages are stored, and the adapters that it is made of."""

    planned: PlannedCell
    size: BackboneSize
    adapters: AdapterSet
    trainings: tuple[Record, ...]
    """Of all that acts in it and of what that was made from, in the order they ran; the target's last."""
    evaluation: Record

    @property
    def target(self) -> Record:
        """The training of the target."""
        return self.trainings[-1]


def stored_cell(store: Store, run: Run, wanted: str) -> StoredCell:
    """The cell of that label, or the only one whose label begins so, with its adapters.

    Raises ExportError where there is none, or nothing that can leave, and DamagedFile.
    """
    planned = find(run, wanted)
    size = run.backbones[planned.cell.backbone] if planned.refused is None else None
    if size is None:
        raise ExportError(f"the cell {planned.cell.label} is refused, so there is nothing to export: {planned.refused}")
    trained = _trained(store, run, planned, size)
    others = _languages(store, planned, size) if len(trained) > 1 else {}
    made = _metadata(run, planned, size, trained)
    if others:
        own = {code: f"{BELOW}-{code}" for code in others}
        made = replace(made, languages={_language(trained[0].record): BELOW, **own})
    encoder = Encoder(made.architecture, _shape(size), made.model, made.revision)
    adapters = AdapterSet(
        tuple(one.name for one in trained), tuple(one.content for one in trained), made, encoder, others
    )
    refs = [ref for ref in (*planned.members, planned.intermediate, planned.target) if ref is not None]
    records = tuple(_done(store, ref) for ref in dict.fromkeys(refs))
    return StoredCell(planned, size, adapters, records, _record(store, _stored(planned.evaluation)))


def _shape(size: BackboneSize) -> Shape:
    return Shape(size.layers, size.hidden, size.intermediate)


def _trained(store: Store, run: Run, planned: PlannedCell, size: BackboneSize) -> list[_Trained]:
    """The trainings that act in a cell, the lowest first; members of a fusion stand inside it."""
    evaluation = _stored(planned.evaluation)
    if "search" in _record(store, evaluation).settings:
        raise ExportError(
            f"the cell {planned.cell.label} is evaluated by retrieval, which has no head: export a cell with the same"
            " adapter whose target is a task with one"
        )
    of = predictions.about(store.read(_record(store, evaluation), predictions.NAME))
    target_ref = _stored(planned.target)
    record = _done(store, target_ref)
    transfer = record.settings.get("transfer")
    way = TRANSFERS.get(str(transfer["kind"] if isinstance(transfer, Mapping) else transfer))
    if way is not None and way.freezes and way.several:
        return [_fusion(store, run, planned, size, record, of)]
    target = _training(store, target_ref, size, of)
    if way is not None and way.freezes:
        return [_training(store, _stored(planned.intermediate), size, None), target]
    return [target]


def _stored(ref: StageRef | None) -> StageRef:
    assert ref is not None, "a cell with a head has a training and an evaluation"
    return ref


def _languages(store: Store, planned: PlannedCell, size: BackboneSize) -> dict[str, PortableAdapter]:
    """The lowest adapters that take turns with the one of the training language, by their languages."""
    found = {}
    for ref in planned.members:
        trained = _training(store, ref, size, None)
        assert isinstance(trained.content, PortableAdapter)
        found[_language(trained.record)] = trained.content
    return found


def _language(record: Record) -> str:
    """The one language of a training."""
    tasks = cast(dict[str, dict[str, list[str]]], record.settings["tasks"])
    (code,) = {code for task in tasks.values() for code in task["languages"]}
    return code


def _fusion(
    store: Store, run: Run, planned: PlannedCell, size: BackboneSize, record: Record, of: Evaluated
) -> _Trained:
    """A fusion over the members of the cell's intermediate, in the order in which it was trained."""
    target, members = _stored(planned.target), planned.members
    if record.inputs != tuple(ref.id for ref in members):
        raise ExportError(f"the target {target.label} was trained over other members: `adapterx run` the recipe again")
    below = [_training(store, ref, size, None).content for ref in members]
    adapters = tuple(one for one in below if isinstance(one, PortableAdapter))
    learnt = cast(dict[str, Any], run.recipe["intermediates"])[planned.cell.intermediate]
    tensors = _tensors(store, record)
    fusion = PortableFusion(
        fused.distinct(learnt["members"]), adapters, dict(tensors.adapter), _head(record, tensors, of)
    )
    return _Trained(_name(target), record, fusion)


def _training(store: Store, ref: StageRef, size: BackboneSize, of: Evaluated | None) -> _Trained:
    record = _done(store, ref)
    tensors = _tensors(store, record)
    method: MethodSpec = TypeAdapter(Method).validate_python(
        defaults.whole_method(cast(dict[str, Any], record.settings["method"]))
    )
    if method.not_exported:
        tensors_in = f"; its tensors are in {store.read(record, adapter_file.NAME)}" if method.made_by_library else ""
        raise ExportError(f"the cell {ref.label} {method.not_exported}{tensors_in}")
    head = None if of is None else _head(record, tensors, of)
    return _Trained(_name(ref), record, PortableAdapter(method, dict(tensors.adapter), head))


def _tensors(store: Store, record: Record) -> TrainedTensors:
    return adapter_file.read(store.read(record, adapter_file.NAME))


def _done(store: Store, ref: StageRef) -> Record:
    record = _record(store, ref)
    if record.status != "done":
        raise ExportError(f"the {ref.kind} {ref.label} has diverged: {training.message(record)}")
    return record


def _record(store: Store, ref: StageRef) -> Record:
    record = store.find(ref.id, ref.kind, ref.label)
    if record is None:
        raise ExportError(f"the {ref.kind} {ref.label} is not stored: `adapterx run` the recipe first")
    return record


def _name(ref: StageRef) -> str:
    """The stage's label in letters that a module's name may have."""
    return "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in ref.label)


def _head(record: Record, tensors: TrainedTensors, of: Evaluated) -> PortableHead:
    """The head that a training's target has, as the predictions of its evaluation say what it is for."""
    (task,) = cast(dict[str, object], record.settings["tasks"])
    own = tensors.head(task)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    # Predictions of earlier versions do not say their kind.
    found = of.format or next(name for name, one in portable().items() if one.is_stored_head(of.labels, shapes))
    return PortableHead(found, of.labels, own, task)


def _metadata(run: Run, planned: PlannedCell, size: BackboneSize, trained: list[_Trained]) -> Metadata:
    target = trained[-1]
    content = target.content
    adapters = content.names if isinstance(content, PortableFusion) else (".",) if len(trained) == 1 else (BELOW, ABOVE)
    settings = with_defaults(target.record.settings)
    train, backbone = (cast(dict[str, Any], settings[key]) for key in ("train", "backbone"))
    head = content.head
    assert head is not None, "a target has a head"
    pinned = size.key.rsplit("@", 1)[1] if size.key.startswith("hub:") else size.revision
    return Metadata(
        recipe=run.name,
        cell=planned.cell.label,
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
        adapters=adapters,
    )
