"""The backbone in memory: one at a time, with the hidden states that are kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.spec import Backbone
from adapterx.engine.prefix import PrefixCache
from adapterx.errors import AdapterxError
from adapterx.executors.device import free_memory
from adapterx.plan import Stage
from adapterx.recipe.schema import PrefixCacheSettings


@dataclass(frozen=True)
class BackboneRequest:
    """How a stage wants its backbone."""

    backbone: Backbone
    mixed: bool
    """Whether weights in float32 are multiplied in bfloat16."""

    @classmethod
    def by(cls, stage: Stage) -> BackboneRequest:
        """What is trained itself starts from the checkpoint's own numbers, and stays in float32."""
        backbone = stage.backbone
        if not stage.method.trains_backbone or backbone.load == Float32.name:
            return cls(backbone, False)
        return cls(backbone.model_copy(update={"load": Float32.name}), True)


@dataclass(frozen=True)
class HeldBackbone:
    """The backbone in memory."""

    wanted: BackboneRequest
    loaded: LoadedBackbone
    encoder: PackedEncoder
    prefix: PrefixCache | None


class Backbones:
    """Loads the backbones of a plan as they are asked for, and holds the last one.

    Args:
        device: where it lives.
        cache: what is kept of hidden states below adapters.
        directory: where that is, if it is kept on disk.
    """

    def __init__(self, device: str, cache: PrefixCacheSettings, directory: Path) -> None:
        self._device, self._cache, self._directory = device, cache, directory
        self._held: HeldBackbone | None = None
        self._unusable: dict[str, AdapterxError] = {}
        """By backbone: why it cannot be loaded, which the next bundle need not find out again."""

    def holds(self, stage: Stage) -> bool:
        """Whether the stage's backbone is the one in memory."""
        return self._held is not None and self._held.wanted == BackboneRequest.by(stage)

    def of(self, stage: Stage) -> HeldBackbone:
        """The stage's backbone, loaded. BackboneError, the same each time, for one that cannot be."""
        wanted = BackboneRequest.by(stage)
        if self._held is None or self._held.wanted != wanted:
            self._held = None  # free the old one before the new one comes
            name = repr(wanted)
            if name in self._unusable:
                raise self._unusable[name]
            try:
                loaded = load(wanted.backbone, stage.info, self._device)
            except AdapterxError as error:
                self._unusable[name] = error
                raise
            encoder = PackedEncoder(loaded.model, f"{stage.info.key} {stage.backbone.load}", mixed=wanted.mixed)
            self._held = HeldBackbone(wanted, loaded, encoder, self._prefix(encoder))
        return self._held

    def _prefix(self, encoder: PackedEncoder) -> PrefixCache | None:
        cache = self._cache
        if cache.where == "none":
            return None
        dtype = None if cache.precision == "exact" else getattr(torch, cache.precision)
        limit = int(cache.gigabytes * 1e9)
        if cache.where == "disk":
            return PrefixCache(encoder, limit, self._directory, dtype)
        # Half of what is free: bundles need room too, and what does not fit is computed each time.
        return PrefixCache(encoder, min(limit, free_memory("cpu") // 2), None, dtype)
