"""Questions about passages in another language: the answer is found again in the translated passage, or left out.

Two ways, one after the other. `marked`: the passage is translated with marks around the answer, where the engine has
marks of which the passage holds none; each answer of a passage is a translation of its own then. `found`: passage and
answer are translated apart, the passage once for all its questions, and the answer is looked for in it; `copied` where
a name or a number stands in the translated passage as it stood in the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapterx.tasks.kinds.extractive_qa import Answer as Span
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.translate.engines.base import Markers, NoTranslation
from adapterx.translate.finding import best, occurrences
from adapterx.translate.items import Outcome, Translate, TranslatedItem, Untranslatable, untranslatable
from adapterx.translate.marking import chosen, marked, unmarked
from adapterx.translate.texts import fault
from adapterx.translate.translator import Answer
from adapterx.wording import shown

MARKED, FOUND, COPIED, NONE = "marked", "found", "copied", "no answer"
"""How an answer was found again; the last is of questions that have none."""
SPANS = (MARKED, FOUND, COPIED, NONE)


@dataclass(frozen=True)
class MarkedPassage:
    """A passage that came through with its marks: without them, and where the answer stands; or what was wrong."""

    context: str = ""
    answer: Span | None = None
    wrong: str = ""


def outcomes(examples: Sequence[QAExample], known: Sequence[Markers], translate: Translate) -> Iterator[Outcome]:
    """The questions in their order.

    Args:
        known: pairs of marks that the engine may hand through; none where answers are only looked for.
    """
    passages = _through_marks(examples, known, translate)
    asked = dict.fromkeys(
        text for one, passage in zip(examples, passages, strict=True) for text in _alone(one, passage)
    )
    said = dict(zip(asked, translate(list(asked)), strict=True))
    for one, passage in zip(examples, passages, strict=True):
        yield _outcome(one, passage, said)


def _main(example: QAExample) -> Span | None:
    """The answer that most gave, the first of equal ones; None where there is none."""
    return Counter(example.answers).most_common(1)[0][0] if example.answers else None


def _through_marks(
    examples: Sequence[QAExample], known: Sequence[Markers], translate: Translate
) -> list[MarkedPassage]:
    """What became of the passage of each question when its main answer was marked."""
    found = [MarkedPassage() for _ in examples]
    asked: dict[int, tuple[Span, Markers, str]] = {}
    for number, one in enumerate(examples):
        answer = _main(one)
        if answer is None or not answer.text.strip():
            continue
        if (marks := chosen(one.context, known)) is not None:
            end = answer.start + len(answer.text)
            asked[number] = (answer, marks, marked(one.context, answer.start, end, marks))
        elif known:
            found[number] = MarkedPassage(wrong="the passage itself has all the marks that there are")
    said = translate([text for _, _, text in asked.values()])
    for (number, (answer, marks, _)), passage in zip(asked.items(), said, strict=True):
        found[number] = _unmarked(examples[number], answer, marks, passage)
    return found


def _unmarked(example: QAExample, answer: Span, marks: Markers, said: Answer) -> MarkedPassage:
    """A marked passage that was translated, without its marks."""
    if isinstance(said, NoTranslation):
        return MarkedPassage(wrong=f"with marks: {said.reason}")
    end = answer.start + len(answer.text)
    spaced = answer.text[-1:].isspace() or example.context[end : end + 1].isspace()
    found = unmarked(said, marks, spaced)
    if isinstance(found, str):
        return MarkedPassage(wrong=found)
    context, start, stop = found
    if why := fault(answer.text, context[start:stop]):
        return MarkedPassage(wrong=f"between the marks {why}")
    return MarkedPassage(context, Span(context[start:stop], start))


def _alone(example: QAExample, passage: MarkedPassage) -> Iterator[str]:
    """The texts of a question that are translated by themselves."""
    yield example.question
    known = _main(example) if passage.answer is not None else None
    if passage.answer is None:
        yield example.context
    yield from (answer.text for answer in example.answers if answer != known)


def _outcome(example: QAExample, passage: MarkedPassage, said: Mapping[str, Answer]) -> Outcome:
    """The question in the other language, or why it is left out."""
    question = said[example.question]
    if isinstance(question, NoTranslation):
        return untranslatable(example.id, example.question, question)
    context = passage.context if passage.answer is not None else said[example.context]
    if isinstance(context, NoTranslation):
        return untranslatable(example.id, example.context, context)
    if not example.answers:
        return TranslatedItem(QAExample(example.id, question, context, ()), NONE)
    found: dict[Span, tuple[Span, str]] = {}
    if (known := _main(example)) is not None and passage.answer is not None:
        found[known] = (passage.answer, MARKED)
    for answer in dict.fromkeys(example.answers):
        if answer not in found and (one := _looked_for(example, answer, context, said[answer.text])) is not None:
            found[answer] = one
    if not found:
        return _lost(example, passage, said)
    answers = tuple(found[answer][0] for answer in example.answers if answer in found)
    dropped = len(dict.fromkeys(example.answers)) - len(found)
    # QAExample refuses an answer that does not stand where it is said to.
    return TranslatedItem(QAExample(example.id, question, context, answers), next(iter(found.values()))[1], dropped)


def _looked_for(example: QAExample, answer: Span, context: str, said: Answer) -> tuple[Span, str] | None:
    """Where an answer stands in the translated passage, and how it was found."""
    end = answer.start + len(answer.text)
    tried = [] if isinstance(said, NoTranslation) else [(occurrences(context, said), FOUND)]
    if any(one.isdigit() or one.isupper() for one in answer.text):
        # Not of any word: a short one of another meaning may stand there by chance.
        tried.append(([one for one in occurrences(context, answer.text) if one.looseness == 0], COPIED))
    for places, how in tried:
        if places:
            one = best(places, context, example.context, answer.start, end)
            return Span(context[one.start : one.end], one.start), how
    return None


def _lost(example: QAExample, passage: MarkedPassage, said: Mapping[str, Answer]) -> Untranslatable:
    """A question none of whose answers was found again."""
    answer = example.answers[0]
    alone = said.get(answer.text)
    why = (
        f"its answer has no translation: {alone.reason}"
        if isinstance(alone, NoTranslation)
        else f"its answer's translation {shown(alone)} does not stand in the translated passage"
    )
    return Untranslatable(example.id, f"{passage.wrong}, and {why}" if passage.wrong else why, answer.text)
