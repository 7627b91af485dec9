"""The backbone in memory: one at a time, with the hidden states that are kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from adapterx.backbones import tokens
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.spec import Backbone
from adapterx.engine.cell import Pool
from adapterx.engine.kept_bundle import KeptBundle
from adapterx.engine.prefix import PrefixCache
from adapterx.errors import AdapterxError
from adapterx.executors.data import Data
from adapterx.executors.device import free_memory
from adapterx.executors.texts import ReadTexts
from adapterx.executors.vocabularies import ReadTokens, Vocabularies
from adapterx.plan import Stage
from adapterx.plan.vocabulary import reads_some
from adapterx.recipe.schema import PrefixCacheSettings
from adapterx.tasks.known_tokenizers import KnownTokenizers

ON_DEVICE = 0.05
"""Of a GPU's free memory: what hidden states may take there; more are kept in the host's."""


@dataclass(frozen=True)
class BackboneRequest:
    """How a stage wants its backbone."""

    backbone: Backbone
    """With a vocabulary that is `used` only where the stage can do with the embeddings of the tokens that it reads."""
    mixed: bool
    """Whether weights in float32 are multiplied in bfloat16."""

    @classmethod
    def by(cls, stage: Stage) -> BackboneRequest:
        """What is trained itself starts from the checkpoint's own numbers, and stays in float32."""
        backbone = stage.backbone
        if not reads_some(stage):
            backbone = backbone.model_copy(update={"vocabulary": "all"})
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
    readable: frozenset[ReadTexts] | None = None
    """Texts whose tokens all have their embeddings in memory; None where all tokens have."""
    keeper: KeptBundle = field(default_factory=KeptBundle)
    """What is recorded on a GPU, for the next training."""

    def pools(self, data: Data, texts: ReadTexts) -> tuple[Pool, ...]:
        """One pool per language, tokenised for this backbone. Raises what `Data.pools` raises, and BackboneError for
        texts whose tokens could not be found when the backbone was loaded.
        """
        found = data.pools(texts, self.loaded.tokenizer, self.loaded.tokenizer_key)
        if self.readable is not None and texts not in self.readable:
            raise BackboneError(
                f"the {texts.split} texts of {texts.part.task} could not be read when {self.wanted.backbone.model} was"
                " loaded with the embeddings of the tokens that are used, and can be now: run again"
            )
        return found


class Backbones:
    """Loads the backbones of a plan as they are asked for, and holds the last one.

    Args:
        device: where it lives.
        vocabularies: whose embeddings are loaded, where not those of all tokens are.
        tokenizers: where the tokenizer of each backbone is noted.
        cache: what is kept of hidden states below adapters.
        directory: where that is, if it is kept on disk.
    """

    def __init__(
        self,
        device: str,
        vocabularies: Vocabularies,
        tokenizers: KnownTokenizers,
        cache: PrefixCacheSettings,
        directory: Path,
    ) -> None:
        self._device, self._cache, self._directory = device, cache, directory
        self._vocabularies, self._tokenizers = vocabularies, tokenizers
        self._held: HeldBackbone | None = None
        self._unusable: dict[str, AdapterxError] = {}
        """By backbone: why it cannot be loaded, which the next bundle need not find out again."""

    def holds(self, stage: Stage) -> bool:
        """Whether the stage's backbone is the one in memory."""
        return self._held is not None and self._held.wanted == BackboneRequest.by(stage)

    def of(self, bundle: Sequence[Stage]) -> HeldBackbone:
        """The backbone of stages that share a pass, loaded. BackboneError, the same each time, for one that cannot be.

        One that lacks embeddings of tokens that they read, as of a result that was found damaged and is made anew, is
        loaded again with them.
        """
        wanted = BackboneRequest.by(bundle[0])
        name = repr(wanted)
        if name in self._unusable:
            raise self._unusable[name]
        try:
            read = self._vocabularies.of(bundle)
            if self._held is None or self._held.wanted != wanted or _lacks(self._held, read):
                if self._held is not None:
                    self._held.keeper.clear()
                self._held = None  # free the old one before the new one comes
                self._held = self._loaded(wanted, bundle[0], read)
        except AdapterxError as error:
            self._unusable[name] = error
            raise
        return self._held

    def _loaded(self, wanted: BackboneRequest, stage: Stage, read: ReadTokens | None) -> HeldBackbone:
        ids = None if read is None else read.tokens.ids()
        loaded = load(wanted.backbone, stage.info, self._device, ids)
        if read is not None and read.key != loaded.tokenizer_key:
            raise BackboneError(
                f"the tokenizer of {wanted.backbone.model} changed after texts were read with it: run again"
            )
        self._tokenizers.note(stage.info.key, loaded.tokenizer_key, tokens.special(loaded.tokenizer))
        encoder = PackedEncoder(loaded.model, f"{stage.info.key} {stage.backbone.load}", mixed=wanted.mixed)
        readable = None if read is None else frozenset(read.texts)
        return HeldBackbone(wanted, loaded, encoder, self._prefix(encoder), readable)

    def _prefix(self, encoder: PackedEncoder) -> PrefixCache | None:
        cache = self._cache
        if cache.where == "none":
            return None
        dtype = None if cache.precision == "exact" else getattr(torch, cache.precision)
        limit = int(cache.gigabytes * 1e9)
        if cache.where == "disk":
            return PrefixCache(encoder, limit, self._directory, dtype)
        # Half of what is free: bundles need room too, and what does not fit is computed each time.
        there = int(ON_DEVICE * free_memory("cuda")) if encoder.device.type == "cuda" else 0
        return PrefixCache(encoder, min(limit, free_memory("cpu") // 2), None, dtype, there)


def _lacks(held: HeldBackbone, read: ReadTokens | None) -> bool:
    """Whether texts were read since the backbone was loaded."""
    return read is not None and held.readable is not None and not held.readable >= read.texts
