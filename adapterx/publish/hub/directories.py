"""An adapter's directory, as an export, a library or `adapterx fuse` wrote it, on its way to the Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.load import local_checkpoint
from adapterx.backbones.shape import Encoder, Shape
from adapterx.backbones.spec import Backbone
from adapterx.executors.origin import told
from adapterx.files.adapter_files import CONFIG, read_config
from adapterx.formats import adapterhub_head, fused, metadata, setup
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter
from adapterx.formats.metadata import Metadata
from adapterx.hub import HubError
from adapterx.publish.adapters import AdapterSet, Content
from adapterx.publish.hub import folder
from adapterx.publish.hub.bases import PublicBase, public_base
from adapterx.publish.hub.check import Checked, check
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.making import fetch, rewrite
from adapterx.publish.hub.plans import PlannedRepository
from adapterx.publish.hub.probes import made_up
from adapterx.publish.hub.publication import Form, Publication, of_adapters
from adapterx.recipe.publishing import Publish
from adapterx.recipe.training import Train
from adapterx.results.run_file import BackboneSize
from adapterx.tasks.items import read as read_items

_TEXTS = ("She lives in Lima.", "Die Sitzung beginnt um neun.", "Le train part demain matin.", "हम कल मिलेंगे।")
"""What is asked of an adapter of which no answers are stored."""


@dataclass(frozen=True)
class DirectoryMaker:
    """Makes the folder of a directory's repository.

    Args:
        base: `ID` or `ID@REVISION` of the public base model, where the command line names it.
    """

    directory: Path
    settings: Publish
    base: str | None

    def publication(self, planned: PlannedRepository) -> Publication:
        """The directory's adapters with their head."""
        known = metadata.read(self.directory)
        own = self._own(known)
        base = self._public(known, own)
        info = self._info(own, base)
        encoder = Encoder(info.architecture, Shape(info.layers, info.hidden, info.intermediate), base.id)
        adapters = read(self.directory, known, encoder, info)
        form = Form(self.settings.format, self.settings.dtype, self.settings.licence)
        return of_adapters(adapters, planned.id, base, form)

    def write(self, publication: Publication, out: Path, existing: folder.Existing | None = None) -> None:
        """Write the adapters and a card without scores."""
        rewrite(out, lambda new: folder.write(new, publication, 0.0, existing))

    def check(self, publication: Publication, out: Path, *, offline: bool) -> Checked:
        """What adapterx answers to some texts decides, on the backbone of its training where that is here."""
        own = self._own(metadata.read(self.directory))
        declared = Backbone(model=publication.base.id, revision=publication.base.revision)
        fetched = fetch(publication.base)
        if fetched is not None and (own is None or not offline):
            raise PublishError(f"the declared base model cannot be fetched: {fetched}")
        backbone = own if own is not None and _is_here(own) else declared
        head = publication.adapters.head
        lines = [json.dumps(item) for item in _items(head.kind.reading, head.kind.item_fields, len(head.labels))]
        examples = read_items(lines, "the items of the check", head.kind, head.labels)
        copy = None if fetched is None or own is None else local_checkpoint(own)
        return check(out, publication, made_up(publication.adapters, backbone, examples), copy)

    def _own(self, known: Metadata | None) -> Backbone | None:
        """The backbone that the directory names, as a recipe would."""
        if known is not None:
            return Backbone.model_validate({"model": known.model, "revision": known.revision, "load": known.load})
        inside = self.directory if (self.directory / CONFIG).exists() else None
        config: Mapping[str, Any] = {} if inside is None else read_config(inside / CONFIG)
        name = config.get("base_model_name_or_path") or config.get("model_name")
        if not isinstance(name, str):
            return None
        revision = config.get("revision")
        return Backbone(model=name, revision=revision if isinstance(revision, str) else None)

    def _public(self, known: Metadata | None, own: Backbone | None) -> PublicBase:
        if own is None and self.base is None:
            raise PublishError(f"{self.directory} names no base model: name it with --base-model ID[@REVISION]")
        key = known.backbone if known is not None else "" if own is None else _key(own)
        model = "" if own is None else own.model
        size = BackboneSize(model or "its backbone", model, None, key, "", 0, 0, 0)
        return public_base(size, self.base)

    @staticmethod
    def _info(own: Backbone | None, base: PublicBase) -> BackboneInfo:
        """Sizes, of the backbone here or of the public one."""
        if own is not None:
            try:
                return describe(own)
            except (BackboneError, HubError):
                pass
        return describe(Backbone(model=base.id, revision=base.revision))


def _key(backbone: Backbone) -> str:
    try:
        return describe(backbone).key
    except (BackboneError, HubError):
        return ""


def _is_here(backbone: Backbone) -> bool:
    return bool(_key(backbone))


def read(directory: Path, known: Metadata | None, encoder: Encoder, info: BackboneInfo) -> AdapterSet:
    """The adapters of a directory, with their head. Raises FormatError, and PublishError where there is no head."""
    composed = setup.read(directory)
    parts = known.adapters if known is not None else (".",) if composed is None else composed.adapters
    contents: tuple[Content, ...]
    if composed is not None and composed.kind == "Fuse":
        contents = (fused.read(directory, composed, encoder),)
    else:
        adapters = [formats.read(directory / part, encoder) for part in parts]
        if adapters[-1].head is None and composed is not None and composed.head is not None:
            head = adapterhub_head.read(directory / composed.head, encoder)
            adapters[-1] = PortableAdapter(adapters[-1].method, adapters[-1].tensors, head)
        contents = tuple(adapters)
    found = contents[-1].head
    if found is None:
        raise PublishError(
            f"{directory} has no prediction head, and answers nothing by itself: export it with its head"
        )
    head = told(found, known, directory)
    made = known or Metadata(
        recipe="",
        cell=directory.resolve().name,
        stage="",
        model=encoder.model,
        revision=None,
        backbone=info.key,
        load="float32",
        architecture=info.architecture,
        layers=info.layers,
        hidden=info.hidden,
        task=head.task,
        format=head.format,
        labels=head.labels,
        max_length=min(Train.model_fields["max_length"].default, info.max_positions),
        adapters=parts if len(parts) > 1 else (".",),
    )
    languages = {code: formats.read(directory / part, encoder) for code, part in made.languages.items()}
    languages = {code: one for code, one in languages.items() if made.languages[code] not in parts}
    return AdapterSet(tuple(_name(part, directory) for part in parts), contents, made, encoder, languages)


def _name(part: str, directory: Path) -> str:
    name = directory.resolve().name if part == "." else part
    return "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in name)


def _items(reading: str, fields: Sequence[str], choices: int) -> list[dict[str, Any]]:
    """A few items with the fields of a kind of task."""
    found = []
    for place, text in enumerate(_TEXTS):
        other = _TEXTS[place - 1]
        values: dict[str, Any] = {
            "text": text,
            "text_pair": other,
            "words": text.split(),
            "context": text,
            "question": other,
            "choices": [f"{other} {number}" for number in range(choices)],
        }
        found.append({"id": str(place), **{field: values[field] for field in fields if field in values}})
    return found
