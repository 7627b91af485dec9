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
from adapterx.methods import merge_weights
from adapterx.methods.merge_weights import Trial, Vector
from adapterx.methods.merging import Merging, member_weights, merge, merged_method
from adapterx.methods.shape import Shape
from adapterx.plan import BackboneInfo
from adapterx.plan.facts import Facts, Refusal
from adapterx.recipe import ALL_LANGUAGES, Backbone
from adapterx.tasks import data as catalog

_MERGED = "merged"
DEV_ITEMS = 200
"""Per language, for tuned weights."""


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


def tuned(
    parts: Parts, merging: Merging, task: str, languages: tuple[str, ...], beside: Path
) -> tuple[Merging, tuple[Trial, ...]]:
    """The weights with which the merged adapter and head are best on the task's dev items, and all that were tried.

    `methods.merge_weights` says which those are. The mean over the languages decides, of DEV_ITEMS items each.
    Raises FormatError where the parts have no heads of one task, or the task no dev items in these languages.
    """
    if merged(parts, merging).head is None:
        raise FormatError("tuned weights are judged by the answers of a head, and these adapters have none in common")
    judge = _Judge(parts, task, "dev", languages, DEV_ITEMS, beside)

    def scored(vector: Vector) -> tuple[float, ...]:
        adapter = merged(parts, replace(merging, weights=tuple(map(float, vector))))
        return tuple(judge.scores([(adapter, None)])[0].values())

    trials = merge_weights.search(len(parts.parts), merging.arithmetic, scored)
    return replace(merging, weights=tuple(map(float, merge_weights.best(trials).weights))), trials


def scores(
    parts: Parts, adapter: PortableAdapter, task: str, limit: int | None, beside: Path
) -> dict[str, dict[str, float]]:
    """The task's first metric on its test items, in per cent, by language: of every part with a head, and `merged`."""
    judge = _Judge(parts, task, "test", ALL_LANGUAGES, limit, beside)
    every = [*((p.name, p.adapter, p.known) for p in parts.parts), (_MERGED, adapter, None)]
    headed = [(name, one, known) for name, one, known in every if one.head is not None]
    found = judge.scores([(one, known) for _, one, known in headed])
    return {name: scored for (name, _, _), scored in zip(headed, found, strict=True)}


class _Judge:
    """The items of one split of a task, and the backbone that reads them."""

    def __init__(
        self, parts: Parts, task: str, split: str, languages: tuple[str, ...], limit: int | None, beside: Path
    ) -> None:
        from adapterx.backbones.load import load
        from adapterx.backbones.packed import PackedEncoder
        from adapterx.executors.device import choose

        self._task, self._beside = task, beside
        try:
            asked = Facts(describe, catalog, beside).part(task, None, languages, (split,))
        except Refusal as refusal:
            raise FormatError(str(refusal)) from None
        length = next((part.known.max_length for part in parts.parts if part.known is not None), 128)
        loaded = load(parts.backbone, parts.info, choose().device)
        source = Data(beside)
        self._pools = source.pools(asked, split, limit, loaded.tokenizer, loaded.tokenizer_key, length)
        self._metric = source.metrics(asked)[0]
        self._encoder = PackedEncoder(loaded.model, parts.info.key)

    def scores(self, adapters: Sequence[tuple[PortableAdapter, Metadata | None]]) -> list[dict[str, float]]:
        """The first metric of each adapter, all of which have heads, in per cent by language."""
        from adapterx.engine.evaluate import evaluate, score
        from adapterx.engine.predict import TrainedCell
        from adapterx.methods.method import Slot

        cells = []
        for one, known in adapters:
            assert one.head is not None
            head, tensors = for_task(one.head, self._task, known, self._beside).named(self._task)
            cells.append((TrainedCell((Slot(one.method, one.tensors),), tensors), head))
        found = evaluate(self._encoder, cells, self._pools)
        return [{one.language: 100 * score(self._metric, one) for one in of_cell} for of_cell in found]


def _shape(info: BackboneInfo) -> Shape:
    return Shape(info.layers, info.hidden, info.intermediate)
