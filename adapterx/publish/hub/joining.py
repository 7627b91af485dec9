"""Adapters as a repository holds them: what is loaded in one line lies at its root."""

from __future__ import annotations

from dataclasses import replace

from adapterx.formats.adapter import PortableAdapter
from adapterx.methods.base import Layout
from adapterx.methods.merging import joined
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.hub.bases import PublicBase
from adapterx.publish.hub.errors import PublishError

MEMBERS = "members"
"""The directory of the adapters that one at the root stands for."""


def at_base(adapters: AdapterSet, base: PublicBase) -> AdapterSet:
    """The same adapters in a public base model."""
    encoder = replace(adapters.encoder, model=base.id, revision=base.revision)
    made = replace(adapters.metadata, model=base.id, revision=base.revision, backbone=base.key)
    return replace(adapters, encoder=encoder, metadata=made)


def layout_for(adapters: AdapterSet, wanted: Layout | None) -> Layout:
    """The library whose files hold the adapters: the one that is asked for, or else `peft` where it has the method."""
    if wanted is not None:
        return wanted
    held = adapters.fusion is None and all("peft" in one.method.codecs for one in adapters.stack)
    return "peft" if held else "adapterhub"


def as_one(adapters: AdapterSet) -> AdapterSet:
    """A stack as the one adapter that does the same, one for each language where the lowest ones take turns.

    `peft` loads one adapter in one line, and a head with one alone. Raises PublishError where no single one is equal.
    """
    if len(adapters.stack) < 2:
        return adapters
    made = replace(adapters.metadata, adapters=(".",), languages={})
    languages = {}
    if adapters.languages:
        own = {code: code for code in adapters.languages}
        training = next(code for code in adapters.metadata.languages if code not in own)
        made = replace(made, languages={training: ".", **own})
        languages = {code: _joined(adapters, (one, *adapters.stack[1:])) for code, one in adapters.languages.items()}
    whole = _joined(adapters, adapters.stack)
    return replace(adapters, names=adapters.names[-1:], contents=(whole,), metadata=made, languages=languages)


def _joined(adapters: AdapterSet, stack: tuple[PortableAdapter, ...]) -> PortableAdapter:
    methods, tensors = [one.method for one in stack], [one.tensors for one in stack]
    try:
        method, made = joined(methods, tensors, adapters.encoder.shape)
    except ValueError as error:
        raise PublishError(f"{adapters.metadata.cell}: {error}; publish it with --format adapterhub") from None
    return PortableAdapter(method, made, adapters.head)
