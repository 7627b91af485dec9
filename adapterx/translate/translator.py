"""Texts through one or two directions of an engine, each distinct text once, with what is not believed told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapterx.translate.engines.base import Engine, NoTranslation
from adapterx.translate.errors import EngineError
from adapterx.translate.journal import Languages, TranslationJournal
from adapterx.translate.texts import HALF, fault, is_whole, normalised

Answer = str | NoTranslation
"""A normalised translation that is believed, or why there is none."""


def route(source: str, target: str, via: str | None) -> tuple[Languages, ...]:
    """The directions that lead from one language to another, through a third where one is named and is neither."""
    if via in (None, source, target):
        return (Languages(source, target),)
    return Languages(source, str(via)), Languages(str(via), target)


@dataclass
class Translator:
    """Translates into one language; what has been translated is in the journals.

    Args:
        batch: texts that an engine is given at once.
        tell: told how many texts have been translated since it was last told.
    """

    engine: Engine
    legs: Sequence[tuple[Languages, TranslationJournal]]
    batch: int
    tell: Callable[[int], None]

    @property
    def target(self) -> str:
        """The language that texts end in."""
        return self.legs[-1][0].target

    def __call__(self, texts: Sequence[str]) -> list[Answer]:
        """What each text comes to; a blank one stays as it is. Raises EngineError."""
        found: dict[str, Answer] = {text: text for text in texts}
        for number, (languages, journal) in enumerate(self.legs):
            asked = {text for text in found.values() if isinstance(text, str) and text.strip()}
            answers = self._leg(asked, languages, journal)
            through = f"into {languages.target}, on the way: " if number < len(self.legs) - 1 else ""
            for text, said in found.items():
                if isinstance(said, str) and said in answers:
                    found[text] = _believed(said, answers[said], through)
        return [found[text] for text in texts]

    def _leg(self, texts: set[str], languages: Languages, journal: TranslationJournal) -> Mapping[str, Answer]:
        """What the engine says of some texts, of the journal or of now."""
        missing = sorted((text for text in texts if is_whole(text) and journal.get(text) is None), key=_length)
        for start in range(0, len(missing), self.batch):
            batch = missing[start : start + self.batch]
            try:
                said = self.engine.translate(batch, languages.source, languages.target)
            except EngineError as error:
                journal.add({batch[place]: _noted(text) for place, text in error.done.items()})
                self.tell(len(error.done))
                raise
            if len(said) != len(batch):
                raise EngineError(f"the engine {self.engine.name} gave {len(said)} texts for {len(batch)}")
            journal.add({text: _noted(answer) for text, answer in zip(batch, said, strict=True)})
            self.tell(len(batch))
        kept = {text: journal.get(text) if is_whole(text) else NoTranslation(HALF) for text in texts}
        return {text: answer for text, answer in kept.items() if answer is not None}


def _length(text: str) -> tuple[int, str]:
    """Texts of a length together, so that little of a batch is padding; in one order, so that a run repeats another."""
    return len(text), text


def _noted(answer: Answer) -> Answer:
    """An engine's answer as the journal has it: nothing of half characters, which no file can hold."""
    if isinstance(answer, NoTranslation):
        return answer
    return normalised(answer) if is_whole(answer) else NoTranslation(f"the engine's text is no text: {HALF}")


def _believed(source: str, answer: Answer, through: str) -> Answer:
    if isinstance(answer, NoTranslation):
        return NoTranslation(f"{through}{answer.reason}")
    why = fault(source, answer)
    return NoTranslation(f"{through}{why}") if why else answer


@contextmanager
def opened(
    engine: Engine, legs: Sequence[Languages], folder: Path, batch: int, tell: Callable[[int], None]
) -> Iterator[Translator]:
    """A translator over the journals in a folder, which are closed at the end."""
    journals: list[TranslationJournal] = []
    try:
        for one in legs:
            journals.append(TranslationJournal(folder / f"{one}.jsonl", engine.identity(one.source, one.target)))
        yield Translator(engine, list(zip(legs, journals, strict=True)), batch, tell)
    finally:
        for journal in journals:
            journal.close()
