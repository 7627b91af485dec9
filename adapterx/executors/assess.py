"""Scores of adapters one has on a task of the catalogue: read, put on their backbones, and compared item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapterx.backbones.describe import describe
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.config.fields import ALL_LANGUAGES
from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import collapse
from adapterx.engine.predict import TrainedCell
from adapterx.errors import AdapterxError
from adapterx.executors.answer import fitted, library_remarks, read_whole
from adapterx.executors.data import Data
from adapterx.executors.device import choose
from adapterx.executors.origin import Origin, found
from adapterx.executors.texts import ReadTexts
from adapterx.formats.adapter import PortableHead
from adapterx.limits import Limit
from adapterx.methods.head import Head
from adapterx.methods.method import Slot
from adapterx.plan.facts import Facts, Refusal
from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions
from adapterx.tasks import data as catalog
from adapterx.tasks.contents import Contents
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.looks import Looks
from adapterx.tasks.spec import TaskSpec
from adapterx.wording import shown


class AssessError(AdapterxError, ValueError):
    """An adapter that cannot be scored as asked, worded for the user."""


@dataclass(frozen=True)
class Question:
    """What adapters are to be scored on."""

    task: str
    languages: tuple[str, ...] = ALL_LANGUAGES
    limit: Limit | None = None
    """Which test items of each language; all where None."""
    backbone: str | None = None
    """The model to put them on, where their files do not say, or another copy of it."""
    labels: tuple[str, ...] = ()
    """Of their heads' outputs, in order; empty where their files say so."""


@dataclass(frozen=True)
class Assessed:
    """An adapter and its answers."""

    origin: Origin
    stored: StoredPredictions
    """Sorted by language and item, as a report reads them."""
    constant: str | None
    """Why its answers are no result, if they are none."""


@dataclass(frozen=True)
class _ReadyAdapter:
    """An adapter ready to answer: what acts for each language, under one head."""

    origin: Origin
    slots: Mapping[str, tuple[Slot, ...]]
    head: PortableHead

    @property
    def by_library(self) -> bool:
        return any(slot.method.made_by_library for slots in self.slots.values() for slot in slots)


class Assessment:
    """Adapters, the task's test items, and what is to be known before a weight of a backbone is loaded.

    Args:
        names: of adapters, as `fetch.find` reads them.
        beside: where tasks of the user's own are found.

    Raises what reading an adapter or a task raises, worded for the user.
    """

    def __init__(self, names: Sequence[str], question: Question, beside: Path) -> None:
        self._data = Data(beside)
        facts: Facts[TaskSpec] = Facts(describe, catalog, beside, Looks(Contents(beside)))
        self.question = question
        try:
            self.part: TaskPart = facts.part(question.task, None, question.languages, ("test",))
        except Refusal as refusal:
            raise AssessError(str(refusal)) from None
        self.spec: TaskSpec = self._data.spec(question.task)
        self._remarks = [f"left out: {remark}" for remark in facts.remarks]
        self._remarks += list(facts.single_labels)
        self._readers = [self._reader(name, beside) for name in names]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of adapters and data, each once."""
        return tuple(dict.fromkeys(self._remarks))

    def _reader(self, name: str, beside: Path) -> _ReadyAdapter:
        origin = found(name, None, self.question.backbone)
        self._remarks += origin.remarks
        turns = origin.known is not None and bool(origin.known.languages)
        read = {code: read_whole(origin, code) for code in (self.part.languages if turns else ("",))}
        slots = {code: read[code if turns else ""][0] for code in self.part.languages}
        _, head = next(iter(read.values()))
        self._remarks += library_remarks(next(iter(slots.values())), origin)
        head, remarks = fitted(head, self.question.task, beside, self.question.labels, name)
        self._remarks += remarks
        return _ReadyAdapter(origin, slots, head)

    def answers(self) -> list[Assessed]:
        """The answers of each adapter, in order. Those of one backbone and length share one sweep over the items."""
        made: dict[int, Assessed] = {}
        groups: dict[tuple[str, str, int], list[int]] = {}
        for place, one in enumerate(self._readers):
            origin = one.origin
            groups.setdefault((origin.info.key, origin.backbone.load, origin.max_length), []).append(place)
        loaded: tuple[tuple[str, str], LoadedBackbone] | None = None
        for (key, precision, length), places in sorted(groups.items()):
            if loaded is None or loaded[0] != (key, precision):
                loaded = None  # one backbone goes before the next one comes
                first = self._readers[places[0]].origin
                loaded = (key, precision), load(first.backbone, first.info, choose().device)
            backbone = loaded[1]
            texts = ReadTexts(self.part, "test", self.question.limit, length)
            pools = self._data.pools(texts, backbone.tokenizer, backbone.tokenizer_key)
            for place, predictions in zip(places, self._swept(backbone, places, pools), strict=True):
                made[place] = self._assessed(self._readers[place], predictions)
        return [made[place] for place in range(len(self._readers))]

    def _swept(
        self, backbone: LoadedBackbone, places: Sequence[int], pools: Sequence[Pool]
    ) -> list[list[LanguagePredictions]]:
        """Predictions of several adapters for the pools, in one sweep wherever the engine computes them."""
        readers = [self._readers[place] for place in places]
        answered: list[list[LanguagePredictions]] = [[] for _ in readers]
        for part in _alike(readers, pools):
            for place, predictions in enumerate(self._read(backbone, readers, part)):
                answered[place].extend(predictions)
        return answered

    def _read(
        self, backbone: LoadedBackbone, readers: Sequence[_ReadyAdapter], pools: Sequence[Pool]
    ) -> list[list[LanguagePredictions]]:
        """The same for pools that every adapter reads with the same tensors."""
        from adapterx import reference
        from adapterx.backbones.packed import PackedEncoder
        from adapterx.engine.evaluate import evaluate

        cells = [self._cell(one, pools[0].language) for one in readers]
        fused = [cell for cell, one in zip(cells, readers, strict=True) if not one.by_library]
        key = f"{readers[0].origin.info.key} {readers[0].origin.backbone.load}"
        swept = iter(evaluate(PackedEncoder(backbone.model, key), fused, pools) if fused else ())
        return [
            reference.evaluate(backbone.model, *cell, pools, 0) if one.by_library else next(swept)
            for cell, one in zip(cells, readers, strict=True)
        ]

    def _cell(self, reader: _ReadyAdapter, language: str) -> tuple[TrainedCell, Head]:
        head, tensors = reader.head.named(self.question.task)
        return TrainedCell(reader.slots[language], tensors), head

    def _assessed(self, reader: _ReadyAdapter, predictions: Sequence[LanguagePredictions]) -> Assessed:
        check_finite(reader.origin.name, predictions)
        kind = reader.head.kind
        stored = assessed(predictions, self.spec, self.part.labels, kind)
        return Assessed(reader.origin, stored, collapse(predictions, self.part.labels, kind))


def _alike(readers: Sequence[_ReadyAdapter], pools: Sequence[Pool]) -> Iterator[Sequence[Pool]]:
    """The pools, language by language where some adapter takes turns with them."""
    if all(len({id(slots) for slots in one.slots.values()}) == 1 for one in readers):
        yield pools
        return
    for pool in pools:
        yield [pool]


def assessed(
    predictions: Sequence[LanguagePredictions], spec: TaskSpec, labels: Sequence[str], kind: TaskKind[Any]
) -> StoredPredictions:
    """Predictions as a report reads them: by language and item."""
    of = Evaluated(spec.name, tuple(labels), tuple(spec.metrics), spec.unanswerable, kind.name)
    return StoredPredictions(of, [_sorted(one) for one in sorted(predictions, key=lambda one: one.language)])


def _sorted(one: LanguagePredictions) -> LanguagePredictions:
    """The same by item: what is paired stands in one order."""
    order = sorted(range(len(one.ids)), key=lambda at: one.ids[at])
    return LanguagePredictions(
        one.language,
        [one.ids[at] for at in order],
        [one.gold[at] for at in order],
        [one.prediction[at] for at in order],
    )


def check_finite(name: str, predictions: Sequence[LanguagePredictions]) -> None:
    """Raise AssessError naming an item whose scores are none: an answer that follows from them means nothing."""
    for of_language in predictions:
        for id, scores in zip(of_language.ids, of_language.scores, strict=True):
            # Choices that an item lacks have a score of -inf, and so has an answer in a passage without a token.
            if np.isnan(scores).any() or not np.isfinite(scores.max(axis=-1)).all():
                raise AssessError(
                    f"the scores of {name} for item {shown(id)} ({of_language.language}) are not finite: it has "
                    "weights that overflow"
                )
