"""Which tokens the stages of a run read, so that the embeddings of no others need be in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from adapterx.backbones import tokens
from adapterx.backbones.load import load_tokenizer
from adapterx.engine.alignment import PAD
from adapterx.executors.data import Data
from adapterx.executors.texts import ReadTexts, of_stage
from adapterx.plan import Stage
from adapterx.plan.vocabulary import Weights, reads_some, weights
from adapterx.tasks.token_set import TokenSet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Vocabularies:
    """The tokens that are read with each backbone of a plan.

    Args:
        stages: of the plan, by id.
        data: the examples of its tasks.
    """

    def __init__(self, stages: Mapping[str, Stage], data: Data) -> None:
        self._stages, self._data = stages, data
        self._found: dict[Weights, ReadTokens] = {}

    def count(self, todo: Sequence[Stage]) -> dict[Weights, int]:
        """Read the texts of all stages that are to be done and want the embeddings of their tokens alone.

        So that a backbone is loaded once for all of them. What cannot be read is left out: its stage will say why.

        Returns:
            How many tokens there are, by weights.
        """
        for stage in filter(reads_some, todo):
            with suppress(Exception):
                self._of(stage)
        return {key: len(found.tokens) for key, found in self._found.items()}

    def of(self, bundle: Sequence[Stage]) -> ReadTokens | None:
        """Tokens whose embeddings a bundle needs: its own and those of what was counted; None for those of all.

        Raises what loading the tokenizer raises.
        """
        if not all(map(reads_some, bundle)):
            return None
        return [self._of(stage) for stage in bundle][-1]

    def _of(self, stage: Stage) -> ReadTokens:
        key = weights(stage)
        if key not in self._found:
            tokenizer = load_tokenizer(stage.backbone, stage.info)
            self._found[key] = ReadTokens(tokenizer, stage.info.vocabulary)
        found = self._found[key]
        with suppress(Exception):
            for texts in of_stage(stage, self._stages, self._data.spec):
                found.read(texts, self._data)
        return found


class ReadTokens:
    """Tokens that occur in the texts that were read so far, and those that a tokenizer puts around them.

    Args:
        vocabulary: how many tokens the backbone knows.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self.key = tokens.key(tokenizer)
        """Names the tokenizer's content."""
        self.texts: set[ReadTexts] = set()
        self.tokens = TokenSet(vocabulary)
        self.tokens.add([*tokens.special(tokenizer), PAD])

    def read(self, texts: ReadTexts, data: Data) -> None:
        """Add the tokens of texts. Those that cannot be read are no part of `texts`, and their reader is told why."""
        if texts in self.texts:
            return
        with suppress(Exception):
            for pool in data.pools(texts, self._tokenizer, self.key):
                self.tokens.add(pool.data.tokens)
            self.texts.add(texts)
