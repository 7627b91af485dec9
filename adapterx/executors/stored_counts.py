"""How many tokens a run would load the embeddings of, as far as tokens that are stored already tell. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from adapterx.executors.texts import ReadTexts, of_stage
from adapterx.plan import Plan, Stage
from adapterx.plan.vocabulary import Weights, reads_some, weights
from adapterx.tasks import data as catalog
from adapterx.tasks.known_tokenizers import KnownTokenizers
from adapterx.tasks.token_cache import TokenCache
from adapterx.tasks.token_set import TokenSet


def known(plan: Plan, todo: Sequence[Stage], beside: Path | None, store: Path) -> dict[Weights, int]:
    """Tokens by weights, where every text that the stages to be done read has been tokenised.

    Args:
        beside: where tasks of the user's own are found.
        store: the directory whose cache has tokens and notes of tokenizers.
    """
    counts = _Counts(plan, beside, store / "cache")
    found: dict[Weights, list[Stage]] = {}
    for stage in filter(reads_some, todo):
        found.setdefault(weights(stage), []).append(stage)
    counted = {key: counts.of(stages) for key, stages in found.items()}
    return {key: tokens for key, tokens in counted.items() if tokens is not None}


class _Counts:
    def __init__(self, plan: Plan, beside: Path | None, directory: Path) -> None:
        self._stages = plan.stages
        self._spec = cache(lambda name: catalog.find(name, beside))
        self._tokens, self._tokenizers = TokenCache(directory / "tokens"), KnownTokenizers(directory / "tokenizers")

    def of(self, stages: Sequence[Stage]) -> int | None:
        """Tokens that stages on the same weights read; None where some of their texts are not tokenised."""
        info = stages[0].info
        tokenizer = self._tokenizers.find(info.key)
        if tokenizer is None or max(tokenizer.special, default=0) >= info.vocabulary:
            return None
        tokens = TokenSet(info.vocabulary)
        tokens.add(tokenizer.special)
        texts = {one for stage in stages for one in of_stage(stage, self._stages, self._spec)}
        return len(tokens) if all(self._add(one, tokenizer.key, tokens) for one in texts) else None

    def _add(self, texts: ReadTexts, tokenizer: str, tokens: TokenSet) -> bool:
        """Add the tokens of texts; whether they are stored."""
        for language in texts.part.languages:
            found = self._tokens.find(texts.stored_as(language, self._spec(texts.part.task), tokenizer))
            if found is None:
                return False
            tokens.add(found.tokens)
        return True
