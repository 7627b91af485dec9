"""Adapters one already has, made into one by arithmetic on their weights, and scored against each of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from adapterx.backbones.describe import describe
from adapterx.executors.answer import backbone_of, check, for_task
from adapterx.executors.data import Data
from adapterx.formats import directory as formats
from adapterx.formats import fetch, metadata
from adapterx.formats.adapter import Encoder, PortableAdapter, PortableHead
from adapterx.formats.errors import FormatError
from adapterx.formats.files import check_empty
from adapterx.formats.metadata import Metadata
from adapterx.methods.merging import Merging, member_weights, merge, merged_method
from adapterx.methods.shape import Shape
from adapterx.plan import BackboneInfo
from adapterx.plan.facts import Facts
from adapterx.recipe import ALL_LANGUAGES, Backbone
from adapterx.tasks import data as catalog

_MERGED = "merged"


@dataclass(frozen=True)
class Part:
    """One of the adapters that are brought together."""

    name: str
    adapter: PortableAdapter
    known: Metadata | None


@dataclass(frozen=True)
class Parts:
    """All of them, and the backbone they share."""

    backbone: Backbone
    info: BackboneInfo
    parts: tuple[Part, ...]


def read(names: Sequence[str], backbone: str | None) -> Parts:
    """Read adapter directories, local or on the Hub (`id` or `id@revision`), and check that they go together.

    Args:
        backbone: the model they were trained on, where adapterx.json does not say, or another copy of it.

    Raises FormatError or BackboneError, worded for the user.
    """
    found: list[Part] = []
    first: tuple[Backbone, BackboneInfo] | None = None
    for name in names:
        here = Path(name).expanduser().exists()
        id, _, revision = (name, "", "") if here else name.partition("@")
        directory = fetch.locate(id, revision or None)
        known = metadata.read(directory)
        chosen = backbone_of(directory, known, backbone)
        info = describe(chosen)
        if known is not None:
            check(directory, known, info, given=backbone is not None)
        if first is not None and (info.key, chosen.load) != (first[1].key, first[0].load):
            raise FormatError(
                f"{name} was trained on {chosen.model}, {names[0]} on {first[0].model}: adapters of different backbones"
                " have nothing in common to merge"
            )
        first = first or (chosen, info)
        inside = known.adapters if known is not None else (".",)
        if len(inside) > 1:
            raise FormatError(f"{name} is a stack of {len(inside)} adapters; merge single ones")
        encoder = Encoder(info.architecture, _shape(info), chosen.model)
        found.append(Part(name, formats.read(directory / inside[0], encoder), known))
    assert first is not None, "the command line asks for two or more"
    _check_alike(found)
    return Parts(*first, tuple(found))


def _check_alike(parts: Sequence[Part]) -> None:
    first = replace(parts[0].adapter.method, dropout=0.0)
    for part in parts[1:]:
        if replace(part.adapter.method, dropout=0.0) != first:
            raise FormatError(
                f"{part.name} is {part.adapter.method}, {parts[0].name} is {parts[0].adapter.method}: only adapters of"
                " one kind, size and place can be merged"
            )


def merged(parts: Parts, merging: Merging) -> PortableAdapter:
    """The adapter that all parts make together, with the weighted mean of their heads where these are of one task.

    Raises FormatError for arithmetic that is not defined for these adapters.
    """
    adapters = [part.adapter for part in parts.parts]
    method = adapters[0].method
    if merging.arithmetic == "task_arithmetic":
        raise FormatError("task_arithmetic needs what the adapters started from, which a recipe knows: use average")
    try:
        tensors = merge(method, [one.tensors for one in adapters], merging, _shape(parts.info), seed=0)
        shares = torch.tensor(member_weights(merging, len(adapters)))
    except ValueError as error:
        raise FormatError(str(error)) from None
    heads = [one.head for one in adapters]
    return PortableAdapter(merged_method(method, merging, len(adapters)), tensors, _mean_head(heads, shares))


def _mean_head(heads: Sequence[PortableHead | None], weights: Tensor) -> PortableHead | None:
    """None unless all answer the same task with the same labels."""
    first = heads[0]
    alike = {(head.format, head.labels, head.task) if head is not None else None for head in heads}
    total = float(weights.sum())
    if first is None or len(alike) > 1 or total == 0.0:
        return None
    shares = [float(weight) / total for weight in weights]
    tensors: Mapping[str, Tensor] = {
        name: torch.stack(
            [head.tensors[name] * share for head, share in zip(heads, shares, strict=True) if head is not None]
        ).sum(0)
        for name in first.tensors
    }
    return replace(first, tensors=tensors)


def write(parts: Parts, adapter: PortableAdapter, layout: formats.Layout, out: Path) -> None:
    """Write the merged adapter into a new directory, whole or not at all."""
    check_empty(out)
    encoder = Encoder(parts.info.architecture, _shape(parts.info), parts.backbone.model, parts.backbone.revision)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".fuse-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        formats.write(new, layout, adapter, encoder, _MERGED)
        known = parts.parts[0].known
        if known is not None and adapter.head is not None:
            names = ", ".join(part.name for part in parts.parts)
            metadata.write(new, replace(known, recipe="fuse", cell=names, stage="", adapters=(".",)))
        if out.is_dir():
            out.rmdir()
        shutil.move(new, out)


def scores(
    parts: Parts, adapter: PortableAdapter, task: str, limit: int | None, beside: Path
) -> dict[str, dict[str, float]]:
    """The task's first metric on its test items, in per cent, by language: of every part with a head, and `merged`."""
    from adapterx.backbones.load import load
    from adapterx.backbones.packed import PackedEncoder
    from adapterx.engine.evaluate import evaluate, summary
    from adapterx.engine.predict import TrainedCell
    from adapterx.executors.device import choose
    from adapterx.methods.method import Slot

    facts = Facts(describe, catalog, beside)
    asked = facts.part(task, None, ALL_LANGUAGES, ("test",))
    length = next((part.known.max_length for part in parts.parts if part.known is not None), 128)
    loaded = load(parts.backbone, parts.info, choose().device)
    source = Data(beside)
    pools = source.pools(asked, "test", limit, loaded.tokenizer, loaded.tokenizer_key, length)
    cells, names = [], []
    for name, one, known in [*((p.name, p.adapter, p.known) for p in parts.parts), (_MERGED, adapter, None)]:
        if one.head is not None:
            head, tensors = for_task(one.head, task, known, beside).named(task)
            cells.append((TrainedCell((Slot(one.method, one.tensors),), tensors), head))
            names.append(name)
    metrics = source.metrics(asked)
    found: dict[str, dict[str, float]] = {}
    encoder = PackedEncoder(loaded.model, parts.info.key)
    for name, predictions in zip(names, evaluate(encoder, cells, pools), strict=True):
        languages = summary(predictions, metrics)
        found[name] = {code: 100 * values[metrics[0].name] for code, values in languages.items()}
    return found


def _shape(info: BackboneInfo) -> Shape:
    return Shape(info.layers, info.hidden, info.intermediate)
