"""Adapter directories of either format: which one it is, and the whole of it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import CONFIG, HEAD_CONFIG, OWN_HEAD, check_names, names_in, read_config
from adapterx.files.errors import FormatError
from adapterx.formats import adapterhub, own_head, peft
from adapterx.formats.adapter import PortableAdapter, with_head
from adapterx.methods.base import Layout

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def write(
    directory: Path, layout: Layout, adapter: PortableAdapter, encoder: Encoder, name: str, *, alone: bool = True
) -> None:
    """Write an adapter and its head into an existing, empty directory; FormatError for what the format cannot hold.

    Args:
        name: what AdapterHub's library will call it.
        alone: whether no other adapter acts beside it. `peft` lets no other one act beside one that holds a head.
    """
    if layout == "adapterhub":
        adapterhub.write(directory, adapter, encoder, name)
        return
    inside = peft.write(directory, adapter, encoder, with_head=alone)
    if adapter.head is not None:
        own_head.write(directory, adapter.head, inside=inside)


def read(directory: Path, encoder: Encoder, headless: bool = False) -> PortableAdapter:
    """Read an adapter of either format, with its head where it has one.

    Architecture, width, depth and every key and shape are checked against the encoder before a weight is used.

    Args:
        headless: whether an adapter will do whose head cannot be read; it says why.

    Raises FormatError, naming the file, for whatever does not fit.
    """
    check_names(names_in(directory), str(directory))
    if layout(directory) == "adapterhub":
        return adapterhub.read(directory, encoder, headless)
    adapter = peft.read(directory, encoder, headless)
    head = adapter.head
    if (directory / OWN_HEAD).exists():
        return with_head(adapter, lambda: own_head.read(directory, encoder), headless)
    if head is not None and (directory / HEAD_CONFIG).exists():
        return with_head(adapter, lambda: own_head.named(directory, head), headless)
    return adapter


def layout(directory: Path) -> Layout:
    """Which format a directory's configuration is in; FormatError for any other."""
    config = read_config(directory / CONFIG)
    if "peft_type" in config:
        return "peft"
    if "config" in config and "model_type" in config:
        return "adapterhub"
    raise FormatError(
        f"{directory / CONFIG} is neither peft's (no peft_type) nor AdapterHub's (no config and model_type)"
    )
