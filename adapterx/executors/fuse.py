"""Adapters one already has, made into one: what they are, what they become, and its directory."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.shape import Encoder, Shape
from adapterx.backbones.spec import Backbone
from adapterx.errors import AdapterxError
from adapterx.executors.origin import Origin, found, told
from adapterx.files.adapter_files import METADATA, check_empty
from adapterx.files.errors import FormatError
from adapterx.files.settings import LARGEST, listed
from adapterx.formats import directory as formats
from adapterx.formats import fused, metadata
from adapterx.formats.adapter import PortableAdapter, PortableHead, unnamed, with_head
from adapterx.formats.fused import PortableFusion
from adapterx.formats.metadata import Metadata
from adapterx.formats.single import inside
from adapterx.methods.base import Layout, MethodSpec
from adapterx.methods.merging import Merging, member_weights, merge, of_sizes
from adapterx.methods.registry import ARITHMETIC, KINDS
from adapterx.recipe.training import Train
from adapterx.store import JSON
from adapterx.store.atomic import new_directory
from adapterx.wording import shown

Whole: TypeAlias = PortableAdapter | PortableFusion
"""What several adapters become: one by arithmetic, or themselves under a fusion."""


class FuseError(AdapterxError, ValueError):
    """Adapters that cannot be brought together as asked, worded for the user."""


@dataclass(frozen=True)
class Part:
    """One of the adapters that are brought together."""

    name: str
    """As the user gave it."""
    adapter: PortableAdapter
    """Its head knows its task, where head or adapterx.json says."""
    known: Metadata | None
    layout: Layout

    label: str
    """The last part of its name, without the commit."""


@dataclass(frozen=True)
class Parts:
    """All of them, and the backbone they share."""

    backbone: Backbone
    info: BackboneInfo
    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()
    """What to know of the parts."""

    @property
    def shape(self) -> Shape:
        return Shape(self.info.layers, self.info.hidden, self.info.intermediate)

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.info.architecture, self.shape, self.backbone.model, self.backbone.revision)

    @property
    def adapters(self) -> tuple[PortableAdapter, ...]:
        return tuple(part.adapter for part in self.parts)

    @property
    def max_length(self) -> int:
        """Tokens to which texts are cut: as in the training of those that say so, the longest."""
        known = [part.known.max_length for part in self.parts if part.known is not None]
        return min(max(known, default=Train.model_fields["max_length"].default), self.info.max_positions)


def read(names: Sequence[str], backbone: str | None, labels: Sequence[str] = ()) -> Parts:
    """Read adapter directories, local or on the Hub (`fetch.find`), and check that they share a backbone.

    A head that cannot be read is left out, and told.

    Args:
        backbone: the model they were trained on, where their files do not say, or another copy of it.
        labels: of the outputs, in their order, of heads whose files do not name them.

    Raises FormatError, HubError or BackboneError, worded for the user.
    """
    parts: list[Part] = []
    remarks: list[str] = []
    first: Origin | None = None
    for name in names:
        origin = found(name, None, backbone)
        if first is not None and (origin.info.key, origin.backbone.load) != (first.info.key, first.backbone.load):
            raise FormatError(
                f"{name} was trained on {origin.backbone.model}, {first.name} on {first.backbone.model}: adapters of"
                " different backbones have nothing in common to merge"
            )
        first = first or origin
        remarks += origin.remarks
        where = origin.directory / inside(name, origin.directory, origin.known)
        adapter = formats.read(where, origin.encoder, headless=True)
        adapter = with_head(adapter, partial(_head, adapter, origin), headless=True) if adapter.head else adapter
        if labels and adapter.head is not None and adapter.head.labels == unnamed(len(labels)):
            adapter = replace(adapter, head=replace(adapter.head, labels=tuple(labels)))
        if not adapter.method.merges:
            raise FuseError(
                f"{name} is an adapter that `{adapter.method.kind}` alone computes: it can be evaluated, not fused"
            )
        if adapter.headless:
            remarks.append(f"{name} goes without its head: {adapter.headless}")
        parts.append(Part(name, adapter, origin.known, formats.layout(where), origin.label))
    assert first is not None, "the command line asks for two or more"
    return Parts(first.backbone, first.info, tuple(parts), tuple(remarks))


def _head(adapter: PortableAdapter, origin: Origin) -> PortableHead:
    assert adapter.head is not None
    return told(adapter.head, origin.known, origin.directory)


def merged(parts: Parts, merging: Merging, seed: int) -> PortableAdapter:
    """The adapter that all parts make together, with the weighted mean of their heads where these are of one task.

    Args:
        seed: of DARE's masks.

    Raises FormatError for adapters that differ, and for arithmetic that is not defined for them.
    """
    _check_alike(parts.parts, merging)
    adapters = parts.adapters
    method = adapters[0].method
    if ARITHMETIC[merging.arithmetic].from_start:
        raise FormatError(
            f"{merging.arithmetic} needs what the adapters started from, which a recipe knows: use"
            f" {method.merges[0].name}"
        )
    ways = [one.name for one in method.merges if not one.from_start]
    if merging.arithmetic not in ways:
        others = next(spec.plural for spec in KINDS.values() if ARITHMETIC[merging.arithmetic] in spec.merges)
        fused = ", or are fused" if method.fusible else ""
        raise FuseError(f"{merging.arithmetic} merges {others}; {method.plural} merge by {', '.join(ways)}{fused}")
    if merging.weights is not None and len(merging.weights) != len(adapters):
        raise FuseError(f"--weights: {len(merging.weights)} given for {len(adapters)} adapters")
    try:
        whole, members = of_sizes([one.method for one in adapters], [one.tensors for one in adapters], merging)
        tensors = merge(method, members, merging, parts.shape, seed)
        shares = torch.tensor(member_weights(merging, len(adapters)))
    except ValueError as error:
        raise FormatError(str(error)) from None
    if beyond := next((name for name, tensor in tensors.items() if not bool((tensor.abs() <= LARGEST).all())), None):
        raise FuseError(f"the merged {beyond} is beyond {LARGEST:g}: give smaller --weights")
    heads = [one.head for one in adapters]
    return PortableAdapter(whole, tensors, _mean_head(heads, shares))


def _check_alike(parts: Sequence[Part], merging: Merging) -> None:
    first = parts[0]
    free = set(first.adapter.method.sized_by) if ARITHMETIC[merging.arithmetic].any_size else set()
    for part in parts[1:]:
        one, other = (_settings(of.adapter.method) for of in (part, first))
        differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
        if differing - free:
            told = [_told(part.name, one, differing), _told(first.name, other, differing)]
            ways = [way.name for way in first.adapter.method.merges if way.any_size]
            cure = (
                f"; {' and '.join(ways)} merge several sizes" if differing <= {*first.adapter.method.sized_by} else ""
            )
            raise FormatError(f"{', '.join(told)}: only adapters of one kind, size and place can be merged{cure}")


def _settings(method: MethodSpec) -> dict[str, JSON]:
    """What must be alike to merge: everything but what acts in training alone."""
    return method.model_dump(mode="json", exclude={"dropout"})


def _told(name: str, settings: Mapping[str, JSON], differing: Collection[str]) -> str:
    """The settings in which an adapter differs, its kind alone where that does."""
    keys = ["kind"] if "kind" in differing else [key for key in settings if key in differing]
    return f"{name} has {' and '.join(f'{key} {shown(settings[key])}' for key in keys)}"


def _mean_head(heads: Sequence[PortableHead | None], weights: Tensor) -> PortableHead | None:
    """None unless all name one task and its labels, in whatever order: the first head's is kept."""
    first = heads[0]
    total = float(weights.sum())
    if first is None or _apart(heads) is not None or total == 0.0:
        return None
    alike = [None if head is None else head.ordered(first.labels) for head in heads]
    shares = [float(weight) / total for weight in weights]
    tensors: Mapping[str, Tensor] = {
        name: torch.stack(
            [head.tensors[name] * share for head, share in zip(alike, shares, strict=True) if head is not None]
        ).sum(0)
        for name in first.tensors
    }
    return replace(first, tensors=tensors)


def _apart(heads: Sequence[PortableHead | None]) -> str | None:
    """Why these heads have no mean, as what follows "the merged adapter has no head:"; None where they have one."""
    found = [head for head in heads if head is not None]
    if len(found) < len(heads):
        return "one of the adapters has none" if len(heads) - len(found) == 1 else "not all of the adapters have one"
    first = found[0]
    if not all(head.task for head in found):
        return (
            f"their files do not say what task they were trained on ({METADATA} does), and outputs of different tasks "
            "have no mean"
        )
    if len(tasks := sorted({head.task for head in found})) > 1:
        return f"theirs were trained on different tasks, {listed(tasks)}"
    other = next((one for one in found if one.format != first.format or set(one.labels) != set(first.labels)), None)
    if other is not None:
        return f"theirs answer different labels, {listed(first.labels)} and {listed(other.labels)}"
    return None


def remarks(parts: Parts, whole: Whole) -> tuple[str, ...]:
    """What to know of a merged adapter: why it has no head though some of its parts have one."""
    heads = [part.adapter.head for part in parts.parts]
    if not isinstance(whole, PortableAdapter) or whole.head is not None or not any(heads):
        return ()
    why = _apart(heads) or "the weights of the adapters sum to 0"
    return (f"the merged adapter has no head: {why}",)


def under_fusion(parts: Parts) -> PortableFusion:
    """The parts under a fusion that has no tensors yet. FuseError or FormatError for adapters that cannot be fused."""
    for part in parts.parts:
        method = part.adapter.method
        if not method.fusible:
            raise FuseError(
                f"{part.name} is a {method.plural}, and a fusion mixes what bottleneck adapters add to a layer: merge"
                f" {method.plural} instead, with --method {method.merges[0].name}, say"
            )
    fused.check([adapter.method for adapter in parts.adapters], ", ".join(part.name for part in parts.parts))
    return PortableFusion(fused.distinct([part.label for part in parts.parts]), parts.adapters, {})


def check_writable(parts: Parts, whole: Whole, layout: Layout, out: Path) -> None:
    """Raise FormatError or FuseError now for what could not be written after an hour of training."""
    check_empty(out)
    if isinstance(whole, PortableFusion) and layout != "adapterhub":
        raise FuseError(f"{layout} has no AdapterFusion: write it with --format adapterhub")
    with tempfile.TemporaryDirectory(prefix="adapterx-fuse-") as scratch:
        for place, adapter in enumerate(whole.members if isinstance(whole, PortableFusion) else (whole,)):
            formats.write(Path(scratch), layout, adapter, parts.encoder, f"adapter{place}")


def write(parts: Parts, whole: Whole, layout: Layout, out: Path, tuning: Mapping[str, JSON] | None = None) -> None:
    """Write the result into a new directory, whole or not at all: an adapter, or a composed setup of a fusion.

    Args:
        tuning: by what its weights were chosen, for `Metadata.tuning`; None where they were given.
    """
    check_empty(out)
    with new_directory(out) as new:
        _fill(new, parts, whole, layout, tuning or {})


def _fill(new: Path, parts: Parts, whole: Whole, layout: Layout, tuning: Mapping[str, JSON]) -> None:
    if isinstance(whole, PortableFusion):
        fused.write(new, whole, parts.encoder)
    else:
        formats.write(new, layout, whole, parts.encoder, "merged")
    if whole.head is not None:
        metadata.write(new, _metadata(parts, whole, whole.head, tuning))


def _metadata(parts: Parts, whole: Whole, head: PortableHead, tuning: Mapping[str, JSON]) -> Metadata:
    info, backbone = parts.info, parts.backbone
    return Metadata(
        recipe="fuse",
        cell=", ".join(part.name for part in parts.parts),
        stage="",
        model=backbone.model,
        revision=info.key.rsplit("@", 1)[1] if info.key.startswith("hub:") else backbone.revision,
        backbone=info.key,
        load=backbone.load,
        architecture=info.architecture,
        layers=info.layers,
        hidden=info.hidden,
        task=head.task,
        format=head.format,
        labels=head.labels,
        max_length=parts.max_length,
        adapters=whole.names if isinstance(whole, PortableFusion) else (".",),
        tuning=tuning,
    )
