"""Adapters one has, as the intermediates of a recipe: looked at for a plan, read for a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.shape import Encoder, Shape
from adapterx.backbones.spec import Backbone
from adapterx.executors.origin import base_of, check, same_model
from adapterx.files.adapter_files import CONFIG, HUB_WEIGHTS, METADATA, PEFT_WEIGHTS, weights_in
from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats import fetch, metadata
from adapterx.formats.adapter import PortableAdapter
from adapterx.formats.metadata import Metadata
from adapterx.formats.single import inside
from adapterx.plan.adoption import Adopted, Adoption


def adopt(init: str, backbone: Backbone, info: BackboneInfo) -> Adopted:
    """What an adapter is on a backbone. Raises FormatError or HubError, worded for the user, where it does not fit."""
    _, found = _read(init, backbone, info)
    return found


def read(work: Adoption, backbone: Backbone, info: BackboneInfo) -> Mapping[str, Tensor]:
    """The tensors of an adapter that a plan has looked at; FormatError where it has changed since."""
    adapter, found = _read(work.init, backbone, info)
    if found.digest != work.adapter.digest:
        raise FormatError(f"the adapter {work.init} has changed since this run was planned: run again")
    return adapter.tensors


def _read(init: str, backbone: Backbone, info: BackboneInfo) -> tuple[PortableAdapter, Adopted]:
    located = fetch.find(init)
    known = metadata.read(located.directory)
    if known is not None:
        check(located.directory, known, info, given=True)
    _check_base(init, located.directory, known, backbone, info)
    where = located.directory / inside(init, located.directory, known)
    encoder = Encoder(info.architecture, Shape(info.layers, info.hidden, info.intermediate), backbone.model)
    adapter = formats.read(where, encoder, headless=True)
    if adapter.method.made_by_library:
        raise FormatError(
            f"the adapter {init} is one that `{adapter.method.kind}` alone computes: it can be evaluated with"
            " `adapterx evaluate`, not trained on"
        )
    task = known.task if known is not None else "" if adapter.head is None else adapter.head.task
    return adapter, Adopted(adapter.method, _digest(where), located.commit, task)


def _check_base(init: str, directory: Path, known: Metadata | None, backbone: Backbone, info: BackboneInfo) -> None:
    """Refuse an adapter whose files name another model than the recipe does."""
    base = base_of(directory) if known is None else None
    model = known.model if known is not None else "" if base is None else base.model
    if not model or (known is not None and known.backbone == info.key) or same_model(model, backbone.model):
        return
    where = METADATA if known is not None else CONFIG
    raise FormatError(f"the adapter {init} was trained on {model} by its {where}, and the backbone is {backbone.model}")


def _digest(directory: Path) -> str:
    """SHA-256 of the configuration and the weights of a single adapter."""
    digest = hashlib.sha256((directory / CONFIG).read_bytes())
    for name in (PEFT_WEIGHTS, HUB_WEIGHTS):
        if (path := weights_in(directory, name)).exists():
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
