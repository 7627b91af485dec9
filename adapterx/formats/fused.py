"""Bottleneck adapters under an AdapterFusion, as one of AdapterHub's composed setups: `Fuse` of single adapters.

A directory per member, one of the fusion named after all of them, one of the head, and adapter_setup.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import torch
from torch import Tensor, nn

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import SETUP
from adapterx.files.errors import FormatError
from adapterx.formats import adapterhub, adapterhub_fusion, adapterhub_head, setup
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter, PortableHead, expected
from adapterx.formats.adapterhub_fusion import fusion_shapes
from adapterx.formats.setup import Setup
from adapterx.methods.base import MethodSpec
from adapterx.methods.fusion.layers import with_full_value
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.method import Slot

HEAD = "head"
"""Directory and name of the head."""
_NAME_BYTES = 240
"""Of a directory's name that file systems hold, with some to spare: the fusion's is that of all members."""


@dataclass(frozen=True)
class PortableFusion:
    """Several adapters and what mixes them."""

    names: tuple[str, ...]
    """Of the members, in the fusion's order."""
    members: tuple[PortableAdapter, ...]
    """Bottlenecks that `check` accepts."""
    tensors: Mapping[str, Tensor]
    """`encoder.layer.N.PLACE.fusion.{query,key,value}.weight` (d, d) and `.{query,key}.bias` (d,), in the layers that
    the members adapt; PLACE is `output` or `attention.output`. A value may be of low rank (`methods.fusion`)."""
    head: PortableHead | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The members, and the fusion above them."""
        return (*(slot for member in self.members for slot in member.slots), Slot(self.method, self.tensors))

    @property
    def method(self) -> Fusion:
        """The fusion as a method."""
        return check([member.method for member in self.members], ", ".join(self.names))


def check(methods: Sequence[MethodSpec], where: str) -> Fusion:
    """The fusion over members of these methods; FormatError where they cannot be fused."""
    try:
        fusion = methods[0].fusion(tuple(methods), None)
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    assert isinstance(fusion, Fusion)
    return fusion


def distinct(wanted: Sequence[str]) -> tuple[str, ...]:
    """Names under which the library can hold these members: letters, digits, `_` and `-`, each once."""
    width = max(4, _NAME_BYTES // max(1, len(wanted)) - 1)
    modules = nn.ModuleDict()
    found: list[str] = []
    for name in wanted:
        plain = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in name)
        stem = _shortened(plain, width - 3) or "member"
        choices = chain([stem], (f"{stem}-{number}" for number in count(1)))
        # A module cannot bear the name of one of its container's attributes (`items`, `train`, …).
        free = (one for one in choices if one not in (*found, HEAD) and not hasattr(modules, one))
        found.append(next(free))
    return tuple(found)


def _shortened(name: str, bytes: int) -> str:
    """A name of at most so many bytes: its beginning and its end, as names of a grid differ in either."""
    whole = name.encode()
    if len(whole) <= bytes:
        return name
    half = bytes // 2
    parts = whole[: bytes - half - 1], whole[len(whole) - half :]
    return "-".join(part.decode(errors="ignore") for part in parts)


def write(directory: Path, fusion: PortableFusion, encoder: Encoder) -> None:
    """Write a whole setup into an existing, empty directory. FormatError for what the library cannot hold.

    A low-rank value is written as the matrix it stands for. The library has a fusion in every layer, so layers without
    adapters, where it never acts, get one of zeros.
    """
    method = check([member.method for member in fusion.members], str(directory))
    for name, member in zip(fusion.names, fusion.members, strict=True):
        (directory / name).mkdir()
        adapterhub.write(directory / name, PortableAdapter(member.method, member.tensors), encoder, name)
    joined = directory / ",".join(fusion.names)
    joined.mkdir()
    tensors = with_full_value(fusion.tensors)
    _check_tensors(tensors, method, encoder)
    shapes = fusion_shapes(encoder, method.sites)
    whole = {name: tensors[name] if name in tensors else torch.zeros(shape) for name, shape in shapes.items()}
    adapterhub_fusion.write(joined, adapterhub_fusion.FusionLayers(fusion.names, whole), encoder, method.sites)
    if fusion.head is not None:
        (directory / HEAD).mkdir()
        adapterhub_head.write(directory / HEAD, fusion.head, HEAD, adapterhub.facts(encoder, HEAD))
    setup.write(directory, Setup(fusion.names, HEAD if fusion.head is not None else None, "Fuse"))


def _check_tensors(tensors: Mapping[str, Tensor], method: Fusion, encoder: Encoder) -> None:
    known = {parameter.name for parameter in expected(method, encoder.shape)}
    if wrong := sorted(known ^ tensors.keys()):
        raise FormatError(f"the fusion does not fit its members: {wrong[0]} is out of place")


def read(directory: Path, composed: Setup, encoder: Encoder) -> PortableFusion:
    """Read the setup that adapter_setup.json describes. FormatError for whatever does not fit completely."""
    joined = directory / ",".join(composed.adapters)
    for part in (*(directory / name for name in composed.adapters), joined):
        if not part.is_dir():
            raise FormatError(f"{directory / SETUP} names {part.name}, but there is no directory {part}")
    members = tuple(formats.read(directory / name, encoder) for name in composed.adapters)
    method = check([member.method for member in members], str(directory))
    if len(members) < 2:
        raise FormatError(f"{directory / SETUP} fuses a single adapter: export or save it as it is, without a fusion")
    fusion = adapterhub_fusion.read(joined, encoder, method.sites, composed.adapters)
    own = {parameter.name: fusion.tensors[parameter.name] for parameter in expected(method, encoder.shape)}
    head = adapterhub_head.read(directory / composed.head, encoder) if composed.head is not None else None
    return PortableFusion(composed.adapters, members, own, head)
