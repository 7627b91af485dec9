"""Adapters that act together, with their head, on their way to a directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import torch

from adapterx.backbones.shape import Encoder
from adapterx.formats.adapter import PortableAdapter, PortableHead
from adapterx.formats.fused import PortableFusion
from adapterx.formats.metadata import Metadata

Content: TypeAlias = PortableAdapter | PortableFusion


@dataclass(frozen=True)
class AdapterSet:
    """What one trained cell is made of: an adapter, a stack of them, or a fusion; with one head."""

    names: tuple[str, ...]
    """What a library calls each of `contents`: letters, digits, `_` and `-`."""
    contents: tuple[Content, ...]
    """The lowest first. A fusion stands alone and holds its members."""
    metadata: Metadata
    encoder: Encoder
    """Its model and revision are those that the libraries' files name."""
    languages: Mapping[str, PortableAdapter] = field(default_factory=dict)
    """Adapters that take turns with the lowest one, by the language of the texts."""

    @property
    def head(self) -> PortableHead:
        """The prediction head."""
        head = self.contents[-1].head
        assert head is not None, "what leaves has a head"
        return head

    @property
    def fusion(self) -> PortableFusion | None:
        """The fusion, where it is one."""
        content = self.contents[-1]
        return content if isinstance(content, PortableFusion) else None

    @property
    def stack(self) -> tuple[PortableAdapter, ...]:
        """The adapters that lie upon each other; one where nothing is stacked, none of a fusion."""
        return tuple(one for one in self.contents if isinstance(one, PortableAdapter))

    def rounded(self, dtype: torch.dtype) -> Self:
        """The same with every tensor stored in this number format."""
        contents = tuple(_rounded(one, dtype) for one in self.contents)
        languages = {code: _rounded_adapter(one, dtype) for code, one in self.languages.items()}
        return replace(self, contents=contents, languages=languages)


def _rounded(content: Content, dtype: torch.dtype) -> Content:
    if isinstance(content, PortableAdapter):
        return _rounded_adapter(content, dtype)
    members = tuple(_rounded_adapter(one, dtype) for one in content.members)
    tensors = {name: tensor.to(dtype) for name, tensor in content.tensors.items()}
    return replace(content, members=members, tensors=tensors, head=_rounded_head(content.head, dtype))


def _rounded_adapter(adapter: PortableAdapter, dtype: torch.dtype) -> PortableAdapter:
    tensors = {name: tensor.to(dtype) for name, tensor in adapter.tensors.items()}
    return replace(adapter, tensors=tensors, head=_rounded_head(adapter.head, dtype))


def _rounded_head(head: PortableHead | None, dtype: torch.dtype) -> PortableHead | None:
    if head is None:
        return None
    return replace(head, tensors={name: tensor.to(dtype) for name, tensor in head.tensors.items()})
