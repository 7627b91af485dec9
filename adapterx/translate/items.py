"""Items in another language: every text of an item, with the same answer, or why the item is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapterx.tasks.kinds.base import TaskKind
from adapterx.translate.engines.base import NoTranslation
from adapterx.translate.translator import Answer

Translate: TypeAlias = Callable[[Sequence[str]], Sequence[Answer]]
"""What each of several texts comes to."""


@dataclass(frozen=True)
class TranslatedItem:
    """An item in another language."""

    example: Any
    spans: str = ""
    """How its answer was found again, of a passage that has one."""
    dropped: int = 0
    """Further right answers that were not found again."""


@dataclass(frozen=True)
class Untranslatable:
    """An item that is left out of a language."""

    id: str
    reason: str
    text: str = ""
    """Which of its texts is the trouble."""


Outcome: TypeAlias = TranslatedItem | Untranslatable


def outcomes(examples: Sequence[Any], kind: TaskKind[Any], translate: Translate) -> Iterator[Outcome]:
    """Items whose answer is no part of their texts, in their order."""
    answers = iter(translate([text for one in examples for text in one.texts]))
    for one in examples:
        found = [next(answers) for _ in one.texts]
        refused = next(((text, said) for text, said in zip(one.texts, found, strict=True) if _is_refused(said)), None)
        if refused is not None:
            yield untranslatable(one.id, refused[0], refused[1])
            continue
        texts = [str(said) for said in found]
        made = kind.reworded(one, texts)
        if kind.reading == "choices" and len(set(made.choices)) < len(set(one.choices)):
            yield Untranslatable(one.id, "two of its choices have one translation", " | ".join(one.choices))
        else:
            yield TranslatedItem(made)


def untranslatable(id: str, text: str, said: Answer) -> Untranslatable:
    """An item one of whose texts has no translation."""
    return Untranslatable(id, said.reason if isinstance(said, NoTranslation) else "", text)


def _is_refused(said: Answer) -> bool:
    return isinstance(said, NoTranslation)
