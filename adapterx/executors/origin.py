"""Where an adapter comes from: its files, the backbone that it was trained on, and what to know of both.

No weight is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from adapterx.backbones.describe import describe
from adapterx.backbones.embedded import NAME, PREFIX
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import DEFAULT
from adapterx.backbones.shape import Encoder, Shape
from adapterx.backbones.spec import Backbone
from adapterx.files.adapter_files import CONFIG, METADATA, read_config
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed
from adapterx.formats import fetch, metadata, setup
from adapterx.formats.adapter import PortableHead, unnamed
from adapterx.formats.fetch import Located
from adapterx.formats.metadata import Metadata
from adapterx.places import expanded
from adapterx.recipe.training import Train
from adapterx.wording import plain, shown


@dataclass(frozen=True)
class Origin:
    """An adapter's directory and its backbone."""

    name: str
    """As the user gave it."""
    located: Located
    known: Metadata | None
    """What adapterx.json says."""
    backbone: Backbone
    info: BackboneInfo
    remarks: tuple[str, ...]

    @property
    def directory(self) -> Path:
        return self.located.directory

    @property
    def shape(self) -> Shape:
        return Shape(self.info.layers, self.info.hidden, self.info.intermediate)

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.info.architecture, self.shape, self.backbone.model)

    @property
    def max_length(self) -> int:
        """Tokens to which texts are cut: as in its training, where that is known."""
        length = self.known.max_length if self.known is not None else Train.model_fields["max_length"].default
        return int(min(length, self.info.max_positions))

    @property
    def label(self) -> str:
        """The last part of its name, without the commit."""
        remote = self.located.remote
        return remote.label if remote is not None else Path(self.name).name or self.name


def found(name: str, revision: str | None, backbone: str | None) -> Origin:
    """An adapter here or on the Hub, and the backbone it goes on.

    Args:
        name: as `fetch.find` reads it, with the revision.
        backbone: the model to put it on, where its files do not say, or another copy of it.

    Raises FormatError, HubError and BackboneError, worded for the user.
    """
    return on_backbone(name, fetch.find(name, revision), backbone)


def on_backbone(name: str, located: Located, backbone: str | None) -> Origin:
    """The same of an adapter whose files are here."""
    known = metadata.read(located.directory)
    base = None if known is not None else base_of(located.directory)
    chosen = backbone_of(located.directory, known, backbone, base)
    info = describe(chosen)
    if known is not None:
        check(located.directory, known, info, given=backbone is not None)
    return Origin(name, located, known, chosen, info, tuple(_remarks(name, known, base, backbone, chosen, info)))


def _remarks(
    name: str, known: Metadata | None, base: Backbone | None, given: str | None, chosen: Backbone, info: BackboneInfo
) -> list[str]:
    """What to know of the backbone."""
    if given is None:
        return [] if base is None else [f"{name} goes on {base.model}, as its {CONFIG} says"]
    if known is not None:
        same = known.backbone == info.key or known.model == chosen.model
        return [] if same else [f"{name} was trained on {known.model} by its {METADATA}; --backbone puts it on {given}"]
    if base is None or same_model(base.model, chosen.model):
        return []
    return [f"{name} was trained on {base.model} by its {CONFIG}; --backbone puts it on {given}"]


def same_model(one: str, other: str) -> bool:
    """Whether two names mean one model, as far as they tell: old ones lack the owner, copies have a directory."""
    return Path(one).name.lower() == Path(other).name.lower()


def base_of(directory: Path) -> Backbone | None:
    """The model that an adapter's own configuration names; of several adapters, that of the lowest."""
    composed = setup.read(directory)
    path = directory / (composed.adapters[0] if composed is not None else ".") / CONFIG
    if not path.exists():
        return None  # refused when the adapter is read
    config = read_config(path)
    peft = "peft_type" in config
    model, revision = config.get("base_model_name_or_path" if peft else "model_name"), config.get("revision")
    if not isinstance(model, str) or not 0 < len(model) <= 4096 or not model.isprintable():
        return None
    pinned = peft and isinstance(revision, str) and 0 < len(revision) <= 256
    if model.startswith(PREFIX) or expanded(model).is_dir():
        pinned = False  # a copy of what the revision was of
    return Backbone.model_construct(model=model, revision=revision if pinned else None, load=DEFAULT)


def backbone_of(directory: Path, known: Metadata | None, given: str | None, base: Backbone | None = None) -> Backbone:
    """The backbone that the user names, or else the one in adapterx.json, or else the one in the configuration.

    Args:
        base: what the adapter's configuration names.
    """
    if given is not None:
        load = DEFAULT if known is None else known.load
        whole = given.startswith(PREFIX) or (given != "" and expanded(given).is_dir())
        model, _, revision = (given, "", "") if whole else given.partition("@")
        if not model:
            raise FormatError(f"--backbone {shown(given)} names no model: give a directory, a Hub id or {PREFIX}{NAME}")
        return Backbone.model_validate({"model": model, "revision": revision or None, "load": load})
    if known is None and base is None:
        raise FormatError(
            f"{directory} has no {METADATA}, and its {CONFIG} names no model, so name the one it was trained on: "
            "--backbone MODEL"
        )
    if known is None:
        assert base is not None
        if base.model.startswith(("/", "~", ".")) and not expanded(base.model).is_dir():
            raise FormatError(
                f"{directory / CONFIG} says that the adapter was trained on {plain(base.model)}, which is not here: "
                "name a copy of that model with --backbone MODEL"
            )
        return base
    return Backbone.model_validate({"model": known.model, "revision": known.revision, "load": known.load})


def check(directory: Path, known: Metadata, info: BackboneInfo, given: bool) -> None:
    """The backbone must be the one in adapterx.json; one that the user names may be another copy of it."""
    sizes = (info.architecture, info.layers, info.hidden)
    wanted = (known.architecture, known.layers, known.hidden)
    if sizes != wanted:
        raise FormatError(
            f"{directory} was trained on {known.model}, {_words(*wanted)}; the backbone is {_words(*sizes)}: "
            "choose the backbone it was trained on"
        )
    if info.key != known.backbone and not given:
        raise FormatError(
            f"{known.model} is not what it was when {directory} was trained on it ({known.backbone} then, {info.key} "
            f"now): restore it, or name a copy of it with --backbone"
        )


def _words(architecture: str, layers: int, hidden: int) -> str:
    return f"{architecture} with {layers} layers of {hidden} features"


def told(head: PortableHead, known: Metadata | None, directory: Path) -> PortableHead:
    """The head with what adapterx.json says of it: its task, and labels that the head's own files only number.

    Raises FormatError where the two name different labels, or number the same ones differently.
    """
    if known is None:
        return head
    labels = known.labels if head.labels == unnamed(len(known.labels)) else head.labels
    if (head.format, labels) != (known.format, known.labels):
        raise FormatError(
            f"{directory / METADATA} is of a {known.format} head with the labels {listed(known.labels)}, the head "
            f"beside it of {head.format} with {listed(head.labels)}: export the cell again, or delete {METADATA}"
        )
    return replace(head, labels=labels, task=head.task or known.task)
