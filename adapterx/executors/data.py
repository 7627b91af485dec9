"""Tokenised examples, each (content, tokenizer, settings) once: one object in a process, one file in a store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapterx.engine.cell import Pool
from adapterx.errors import AdapterxError
from adapterx.executors.texts import ReadTexts
from adapterx.tasks import data as catalog
from adapterx.tasks import pairing
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds.encoding import encode_stream
from adapterx.tasks.metrics import Metric, metric
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import TaskSpec
from adapterx.tasks.token_cache import TokenCache


@dataclass(frozen=True)
class _Asked:
    """One language of what `Data.pools` is asked for."""

    texts: ReadTexts
    language: str
    tokenizer: str


class Data:
    """The data of one recipe, for tokenizers named by a key.

    Args:
        beside: where tasks of the user's own are found.
        tokens: where tokenised examples are stored; in memory only where None.
    """

    def __init__(self, beside: Path | None, tokens: Path | None = None) -> None:
        self.spec = cache(lambda name: catalog.find(name, beside))
        self._stored = None if tokens is None else TokenCache(tokens)
        # What was asked for has one answer in a process, whatever happens to its files; parts of different stages
        # that come to the same content share it.
        self._keys: dict[_Asked, str] = {}
        self._unusable: dict[_Asked, AdapterxError] = {}
        self._encoded: dict[str, Encoded] = {}
        self._paired: tuple[ReadTexts, dict[str, list[Example]]] | None = None
        """Examples that pair languages, while their tokens are made."""

    def pools(self, texts: ReadTexts, tokenizer: Any, key: str) -> tuple[Pool, ...]:
        """One pool per language. `key` names the tokenizer: equal keys, equal tokens.

        Raises what loading raises, of the same data the same error each time, and DataError for data that changes at
        that moment.
        """
        asked = [_Asked(texts, language, key) for language in texts.part.languages]
        unanswerable = self.spec(texts.part.task).unanswerable
        found = tuple(Pool(one.language, self._one(one, tokenizer), unanswerable, texts.paired) for one in asked)
        self._paired = None
        return found

    def _one(self, asked: _Asked, tokenizer: Any) -> Encoded:
        if asked in self._unusable:
            raise self._unusable[asked]
        if asked not in self._keys:
            try:
                self._keys[asked] = self._found(asked, tokenizer)
            except AdapterxError as error:
                self._unusable[asked] = error
                raise
        return self._encoded[self._keys[asked]]

    def _found(self, asked: _Asked, tokenizer: Any) -> str:
        """The key of what was asked for, which is there now."""
        key = self._key(asked)
        if key not in self._encoded:
            found = self._stored.find(key) if self._stored else None
            self._encoded[key] = self._made(asked, key, tokenizer) if found is None else found
        return key

    def _key(self, asked: _Asked) -> str:
        return asked.texts.stored_as(asked.language, self.spec(asked.texts.part.task), asked.tokenizer)

    def _made(self, asked: _Asked, key: str, tokenizer: Any) -> Encoded:
        texts, language = asked.texts, asked.language
        source, split = texts.part.source, texts.split
        spec: TaskSpec = self.spec(texts.part.task)
        if texts.paired:
            examples = iter(self._pairs(texts, spec)[language])
        else:
            examples = catalog.stream(spec, source, language, split, texts.limit)
        if any(texts.prefixes):
            examples = (spec.kind.prefixed(one, *texts.prefixes) for one in examples)
        made = encode_stream(examples, spec, tokenizer, texts.max_length)
        if not len(made) and texts.paired:
            raise DataError(
                f"no {split} item of {spec.name} in {language} is in another of the languages as well, with the same"
                " answer and two texts: there is nothing to pair languages with (batches.monolingual: 1 does not)"
            )
        if not len(made):
            where = catalog.origin(spec, source, language, split)
            raise DataError(f"the {split} data of {spec.name} in {language} is empty: {where} holds none")
        if self._key(asked) != key:
            # Under this key it would be taken for what it is not, for as long as the store lives.
            raise DataError(f"the {split} data of {spec.name} in {language} changed while it was read")
        return self._stored.keep(key, made) if self._stored else made

    def _pairs(self, texts: ReadTexts, spec: TaskSpec) -> dict[str, list[Example]]:
        """The examples that pair languages, by the first of them; made once for all languages that follow."""
        if self._paired is None or self._paired[0] != texts:
            part = texts.part
            self._paired = (texts, pairing.paired(spec, part.source, part.languages, texts.split, texts.limit))
        return self._paired[1]

    def metrics(self, part: TaskPart) -> list[Metric]:
        """The task's metrics, the main one first."""
        spec: TaskSpec = self.spec(part.task)
        return [metric(name, part.labels, part.task, spec.unanswerable) for name in spec.metrics]
