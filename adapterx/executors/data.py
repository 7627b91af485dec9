"""Tokenised examples, each (task, source, language, split) once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from adapterx.engine.cell import Pool
from adapterx.plan import TaskPart
from adapterx.tasks import data as catalog
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.formats import encode
from adapterx.tasks.metrics import Metric, metric
from adapterx.tasks.spec import TaskSpec


class Data:
    """The data of one recipe, for tokenizers named by a key.

    Args:
        beside: where tasks of the user's own are found.
    """

    def __init__(self, beside: Path | None) -> None:
        self.spec = cache(lambda name: catalog.find(name, beside))
        self._encoded: dict[tuple[object, ...], Encoded] = {}

    def pools(
        self, part: TaskPart, split: str, limit: int | None, tokenizer: Any, key: str, max_length: int
    ) -> tuple[Pool, ...]:
        """One pool per language of the part. `key` names the tokenizer: equal keys, equal tokens."""
        return tuple(
            Pool(language, self._one(part, language, split, limit, tokenizer, key, max_length))
            for language in part.languages
        )

    def _one(
        self, part: TaskPart, language: str, split: str, limit: int | None, tokenizer: Any, key: str, max_length: int
    ) -> Encoded:
        name = (part.task, part.source, part.data, language, split, limit, key, max_length)
        if name not in self._encoded:
            spec: TaskSpec = self.spec(part.task)
            examples = catalog.load(spec, part.source, language, split, limit)
            self._encoded[name] = encode(examples, spec, tokenizer, max_length)
        return self._encoded[name]

    def metrics(self, part: TaskPart) -> list[Metric]:
        """The task's metrics, the main one first."""
        return [metric(name, part.labels) for name in self.spec(part.task).metrics]
