"""How the files of `peft` and AdapterHub hold adapters of each method: translations that the methods' folders have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from adapterx.backbones.shape import Encoder
from adapterx.methods.base import Layout, MethodSpec
from adapterx.methods.meant import Meant
from adapterx.methods.registry import KINDS


class PeftCodec(Protocol):
    """What a method's module for `peft` has."""

    READS: str
    """The library's name of the method, as `peft_type`."""
    SETTINGS: tuple[str, ...]
    """What of `adapter_config.json` makes the same adapter anew, in the reference lane."""

    def config(self, method: Any, encoder: Encoder) -> dict[str, Any]:
        """The whole `adapter_config.json`."""
        ...

    def check(self, path: Path, config: Mapping[str, Any]) -> None:
        """Raise FormatError, naming file and key, for what this package would compute otherwise.

        LibraryAloneError is for what the library computes: its model then answers, in the engine's place.
        """
        ...

    def read(self, path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> Meant:
        """What a checked configuration means; FormatError where it fits nothing here.

        Args:
            stem: what the names of the encoder's modules begin with in the model that was adapted.
        """
        ...

    def library_settings(self, path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> dict[str, Any]:
        """Of a configuration that `check` leaves to the library, what makes the same adapter on the bare encoder."""
        ...

    def name_in_file(self, key: str) -> str:
        """The library's name of a tensor, less what it calls the model."""
        ...


class AdapterHubCodec(Protocol):
    """What a method's module for AdapterHub's `adapters` has."""

    READS: str | None
    """The library's `architecture` of the method."""

    def config(self, method: Any, encoder: Encoder) -> dict[str, Any]:
        """The library's configuration of the adapter, as it stands under `config`."""
        ...

    def read(self, path: Path, config: Mapping[str, Any], encoder: Encoder) -> Meant:
        """What a configuration of today's library means; errors as of `PeftCodec.check`."""
        ...

    def name_in_file(self, key: str, name: str) -> str:
        """The library's name of a tensor of the adapter of this name."""
        ...

    def check_stack(self, methods: Sequence[Any]) -> str:
        """Why the library computes several of them, one upon the other, in another way; empty where it does not."""
        ...


def peft_codec(method: MethodSpec) -> PeftCodec | None:
    """The translation for `peft`; None for a method that it has not got."""
    return cast("PeftCodec | None", _codec(type(method), "peft"))


def peft_codecs() -> dict[str, PeftCodec]:
    """All of them by the library's names."""
    return {codec.READS: codec for codec in map(_peft, KINDS.values()) if codec is not None}


def adapterhub_codec(method: MethodSpec) -> AdapterHubCodec | None:
    """The translation for `adapters`; None for a method that it has not got."""
    return cast("AdapterHubCodec | None", _codec(type(method), "adapterhub"))


def adapterhub_codecs() -> dict[str | None, tuple[str, AdapterHubCodec]]:
    """All of them, with what messages call their adapters, by the library's architectures."""
    found = [(spec.plural, cast("AdapterHubCodec | None", _codec(spec, "adapterhub"))) for spec in KINDS.values()]
    return {codec.READS: (plural, codec) for plural, codec in found if codec is not None}


def _peft(spec: type[MethodSpec]) -> PeftCodec | None:
    return cast("PeftCodec | None", _codec(spec, "peft"))


def _codec(spec: type[MethodSpec], layout: Layout) -> object | None:
    module = spec.codecs.get(layout)
    return None if module is None else import_module(module)
