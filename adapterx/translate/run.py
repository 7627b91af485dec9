"""The whole of a translation: every text through the engine into the journals, then files made of the journals.

What is left out of a language is known when all of its texts have been translated, so items are gone through twice; the
second time asks the engine nothing. Files appear whole, and `provenance.json` last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from adapterx import __version__, stopping
from adapterx.store import JSON, write_json
from adapterx.store.atomic import sweep_abandoned
from adapterx.store.lock import hold
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.translate import items, layout, passages
from adapterx.translate.counts import ItemCounts
from adapterx.translate.engines.base import Engine
from adapterx.translate.errors import EngineError, TranslationError
from adapterx.translate.items import Outcome, Untranslatable
from adapterx.translate.journal import check_data
from adapterx.translate.provenance import arguments, engine, in_words
from adapterx.translate.request import JOURNAL, TASK, Request
from adapterx.translate.translator import Translator, opened

VERSION = 1
"""Of provenance.json, and of what `--json` prints."""
PROVENANCE = "provenance.json"
_CHUNK = 1024
"""Items whose texts are sorted by length together."""
_QUIET = 10.0
"""Seconds between two lines about how far it is."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Translation:
    """What has been written."""

    task: Path
    """The YAML."""
    provenance: Mapping[str, JSON]
    lacking: tuple[str, ...]
    """Languages into which nothing could be translated, which the task therefore lacks."""


@dataclass
class TranslationRun:
    """One call: a request, an engine, and somebody who is told how far it is."""

    request: Request
    engine: Engine
    tell: Tell
    translated: int = 0
    """Texts that the engine has translated in this call."""
    failed: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """By split and language, the ids of untranslatable items."""
    counts: dict[str, dict[str, ItemCounts]] = field(default_factory=dict)
    """By language and split."""
    repeated: dict[str, int] = field(default_factory=dict)
    """By split, ids that stand at more than one item."""
    blank: bool = False

    def __call__(self) -> Translation:
        """Translate and write. Raises TranslationError, and what reading the task raises."""
        started, request = _now(), self.request
        for one in request.directions:
            self.engine.check(one.source, one.target)
        first = next(self._examples(request.splits[0]), None)
        if first is None:
            raise TranslationError(f"the task '{request.spec.name}' has no items in '{request.language}'")
        columns = layout.columns(request, first)
        layout.described(request, columns, request.languages, self.engine.name, blank=True)
        request.out.mkdir(parents=True, exist_ok=True)
        with hold(request.out / JOURNAL / "translate.lock", str(request.out)):
            sweep_abandoned(request.out)
            check_data(request.out / JOURNAL / TASK, self._data())
            try:
                with stopping.saving(self._kept):
                    self._translate()
                    self._write()
            except EngineError as error:
                raise EngineError(f"{error}; {self._kept()}: run the same command to go on", error.where) from error
            return self._finish(columns, started)

    def _data(self) -> dict[str, JSON]:
        request = self.request
        read: dict[str, JSON] = {
            split: data.fingerprint(request.spec, request.source, {split: [request.language]})
            for split in request.splits
        }
        return {"task": request.spec.name, "source": request.source, "language": request.language, "splits": read}

    def _kept(self) -> str:
        return f"what was translated is kept in {self.request.out} ({self.translated:,} texts by this call)"

    # The two ways through the items

    def _translate(self) -> None:
        """Have every text translated, and note what is untranslatable."""
        for target in self.request.targets:
            with self._translator(target) as translator:
                for split in self.request.splits:
                    lost = self.failed.setdefault(split, {}).setdefault(target, set())
                    progress = self._progress(target, split)
                    for _, outcome in self._outcomes(translator, split):
                        progress()
                        if isinstance(outcome, Untranslatable):
                            lost.add(outcome.id)

    def _write(self) -> None:
        """Write the files of every language."""
        request = self.request
        for split in request.splits:
            self._write_originals(split)
        for target in request.targets:
            left: list[str] = []
            with self._translator(target) as translator:
                for split in request.splits:
                    path = request.out / layout.file_name(request, split, target)
                    layout.write_items(request, path, self._kept_items(translator, split, left))
            layout.write_lines(request.out / f"untranslatable-{target}.jsonl", left)

    def _write_originals(self, split: str) -> None:
        """The items in their own language, as they are."""
        request = self.request
        count = ItemCounts()
        self.counts.setdefault(request.language, {})[split] = count
        others = self._lost_anywhere(split)

        def kept() -> Iterator[Any]:
            for one in self._examples(split):
                count.items += 1
                if one.id in others:
                    count.left_out += 1
                    continue
                self.blank = self.blank or any(not text.strip() for text in one.texts)
                count.written += 1
                yield one

        path = request.out / layout.file_name(request, split, request.language, original=request.back)
        layout.write_items(request, path, kept())

    def _kept_items(self, translator: Translator, split: str, left: list[str]) -> Iterator[Any]:
        """The items of a split in a language; what is left out is noted as lines of JSON."""
        count = self.counts.setdefault(self._counted(translator.target), {}).setdefault(split, ItemCounts())
        others = self._lost_anywhere(split)
        for source, outcome in self._outcomes(translator, split):
            count.items += 1
            if isinstance(outcome, Untranslatable):
                count.untranslatable += 1
                left.append(_left(split, outcome))
            elif source.id in others:
                count.left_out += 1
                where = ", ".join(one for one, lost in self.failed[split].items() if source.id in lost)
                left.append(_left(split, Untranslatable(source.id, f"untranslatable into {where} (--same-items)")))
            else:
                count.add(source, outcome, translator.target)
                yield outcome.example

    def _counted(self, target: str) -> str:
        """What counts of a language are called: those of a back-translation apart from those of its source."""
        return f"{target} via {self.request.via}" if target == self.request.language else target

    def _lost_anywhere(self, split: str) -> set[str]:
        """Ids that are to be left out of every language."""
        found: set[str] = set()
        return found.union(*self.failed[split].values()) if self.request.same_items else found

    def _outcomes(self, translator: Translator, split: str) -> Iterator[tuple[Any, Outcome]]:
        """Every item with what becomes of it in a language."""
        kind, examples = self.request.spec.kind, self._examples(split)
        while chunk := list(islice(examples, _CHUNK)):
            made = (
                passages.outcomes(chunk, self.engine.markers, translator)
                if kind.passages
                else items.outcomes(chunk, kind, translator)
            )
            yield from zip(chunk, made, strict=True)

    def _examples(self, split: str) -> Iterator[Any]:
        """The items of the source, each with an id of its own."""
        request = self.request
        seen = set[str]()
        self.repeated[split] = 0
        one: Any
        for one in data.stream(request.spec, request.source, request.language, split, request.limit):
            id, number = one.id, 1
            while id in seen:
                number += 1
                id = f"{one.id}~{number}"
            seen.add(id)
            self.repeated[split] += number > 1
            yield one if number == 1 else replace(one, id=id)

    def _translator(self, target: str) -> Any:
        folder = self.request.out / JOURNAL
        return opened(self.engine, self.request.legs(target), folder, self.request.batch, self._count)

    def _count(self, texts: int) -> None:
        self.translated += texts

    def _progress(self, target: str, split: str) -> Callable[[], None]:
        """Called for each item; tells now and then how far it is."""
        size = data.known_size(self.request.spec, self.request.source, self.request.language, split)
        limit = self.request.limit
        whole = min(size, limit.items) if size and limit else limit.items if limit else size
        done, last = 0, time.monotonic()

        def one() -> None:
            nonlocal done, last
            done += 1
            if time.monotonic() - last > _QUIET:
                last = time.monotonic()
                of = f" of {whole:,}" if whole else ""
                self.tell(f"{target} {split}: {done:,}{of} items, {self.translated:,} texts translated")

        return one

    # The end

    def _provenance(self, started: str, lacking: tuple[str, ...]) -> dict[str, JSON]:
        request = self.request
        return {
            "adapterx_translate": VERSION,
            "adapterx": __version__,
            "started": started,
            "finished": _now(),
            "data": {**self._data(), "format": request.spec.format},
            "engine": engine(request, self.engine),
            "arguments": arguments(request, self.engine),
            "counts": {
                language: {split: count.told(request.spec.kind.passages) for split, count in splits.items()}
                for language, splits in self.counts.items()
            },
            "in_all_languages": {
                split: self.counts[request.language][split].items - len(set[str]().union(*lost.values()))
                for split, lost in self.failed.items()
            },
            "repeated_ids": dict(self.repeated),
            "lacking": list(lacking),
        }

    def _finish(self, columns: Mapping[str, str], started: str) -> Translation:
        """Write the YAML and where all of it comes from, and read back what was written."""
        request = self.request
        lacking = tuple(one for one in request.targets if not self._written(one))
        provenance = self._provenance(started, lacking)
        if {*request.targets} <= {*lacking}:
            write_json(request.out / PROVENANCE, provenance)
            raise TranslationError(
                f"nothing could be translated into {', '.join(lacking)}: see untranslatable-{lacking[0]}.jsonl in"
                f" {request.out}",
                request.out,
            )
        languages = [one for one in request.languages if one not in lacking]
        blank = self.blank or request.spec.sources[request.source].on_missing == "keep"
        said = layout.described(request, columns, languages, in_words(request, self.engine), blank)
        task = layout.write_task(request, said)
        self._check(languages)
        write_json(request.out / PROVENANCE, provenance)
        return Translation(task, provenance, lacking)

    def _written(self, target: str) -> int:
        """Items that are written in a language."""
        return sum(count.written for count in self.counts[self._counted(target)].values())

    def _check(self, languages: list[str]) -> None:
        """Read back what was written, as a plan would."""
        request = self.request
        spec = find(request.name, request.out)
        asked = [(layout.TRANSLATED, one, self._counted(one) if one in request.targets else one) for one in languages]
        asked += [(layout.ORIGINAL, request.language, request.language)] if request.back else []
        for source, language, counted in asked:
            for split in request.splits:
                wanted = self.counts[counted][split].written
                found = data.counted(spec, source, language, split).examples
                if found != wanted:
                    path = request.out / layout.file_name(request, split, language)
                    raise TranslationError(f"{path}: has {found:,} items, and {wanted:,} were written", path)


def _left(split: str, one: Untranslatable) -> str:
    return json.dumps({"split": split, "id": one.id, "reason": one.reason, "text": one.text}, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
