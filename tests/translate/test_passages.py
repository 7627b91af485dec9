"""Questions about passages: their answers in the translated passages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from adapterx.tasks.kinds.extractive_qa import Answer, QAExample
from adapterx.translate.engines.base import NoTranslation
from adapterx.translate.items import Outcome, TranslatedItem, Untranslatable
from adapterx.translate.passages import COPIED, FOUND, MARKED, NONE, outcomes

TAGS = (("<a>", "</a>"), ("[[", "]]"))
WORDS = {"The": "Die", "sky": "Luft", "is": "ist", "blue": "blau", "today": "heute", "What": "Was", "and": "und"}


def words(text: str) -> str:
    """Word by word; marks and punctuation stay where they are."""
    for word, meant in WORDS.items():
        text = text.replace(word, meant)
    return text


class Engine:
    """Translates with a function, or as a table says; remembers what it was asked."""

    def __init__(
        self, by: Callable[[str], str | NoTranslation] = words, table: Mapping[str, str | NoTranslation] | None = None
    ) -> None:
        self._by, self._table = by, table or {}
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[str | NoTranslation]:
        self.asked += texts
        return [self._table.get(text) or self._by(text) for text in texts]


def question(context: str, *answers: str | tuple[str, int], id: str = "q") -> QAExample:
    """A question about a passage; an answer is its text where that stands once."""
    found = [(one, context.index(one)) if isinstance(one, str) else one for one in answers]
    return QAExample(id, "What?", context, tuple(Answer(*one) for one in found))


def translated(example: QAExample, engine: Engine, marks: Sequence[tuple[str, str]] = TAGS) -> Outcome:
    (made,) = outcomes([example], marks, engine)
    if isinstance(made, TranslatedItem):
        assert made.example.id == example.id
        for answer in made.example.answers:
            assert answer.text and made.example.context[answer.start :][: len(answer.text)] == answer.text
    return made


def answers(outcome: Outcome) -> list[tuple[str, int]]:
    assert isinstance(outcome, TranslatedItem), outcome
    return [(one.text, one.start) for one in outcome.example.answers]


def test_marks_lead_to_the_answer() -> None:
    engine = Engine()
    made = translated(question("The sky is blue today.", "blue"), engine)
    assert isinstance(made, TranslatedItem)
    assert made.example.context == "Die Luft ist blau heute."
    assert (answers(made), made.spans) == ([("blau", 13)], MARKED)
    assert sorted(engine.asked) == ["The sky is <a>blue</a> today.", "What?"]


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: words(text).replace("<a>", ""),
        lambda text: words(text).replace("<a>", "").replace("</a>", ""),
        lambda text: words(text).replace("</a>", "</a></a>"),
        lambda text: words(text).replace("<a>", "#").replace("</a>", "<a>").replace("#", "</a>"),
        lambda text: words(text).replace("<a>blau</a>", "blau <a></a>"),
    ],
    ids=["one dropped", "both dropped", "doubled", "turned around", "empty"],
)
def test_without_them_the_answer_is_looked_for(broken: Callable[[str], str]) -> None:
    engine = Engine(broken)
    made = translated(question("The sky is blue today.", "blue"), engine)
    assert (answers(made), made.spans) == ([("blau", 13)], FOUND)  # type: ignore[union-attr]
    assert made.example.context == "Die Luft ist blau heute."  # type: ignore[union-attr]
    assert "The sky is blue today." in engine.asked


def test_marks_around_much_more_than_the_answer_are_not_believed() -> None:
    context = "The sky is blue today, " + "and today " * 20 + "it ends."
    engine = Engine(
        lambda text: f"<a>{words(text).replace('<a>', '').replace('</a>', '')}</a>" if "<a>" in text else words(text)
    )
    made = translated(question(context, "blue"), engine)
    assert (answers(made), made.spans) == ([("blau", 13)], FOUND)  # type: ignore[union-attr]


def test_marks_that_the_passage_has_itself_are_not_used() -> None:
    engine = Engine()
    made = translated(question("The <a> sky is blue today.", "blue"), engine)
    assert (answers(made), made.spans) == ([("blau", 17)], MARKED)  # type: ignore[union-attr]
    assert "The <a> sky is [[blue]] today." in engine.asked
    made = translated(question("The <a> sky [[ is blue today.", "blue"), engine)
    assert (answers(made), made.spans) == ([("blau", 20)], FOUND)  # type: ignore[union-attr]


def test_marks_of_an_answer_at_the_ends_of_its_passage() -> None:
    assert answers(translated(question("The sky is blue", "The"), Engine())) == [("Die", 0)]
    assert answers(translated(question("The sky is blue", "blue"), Engine())) == [("blau", 13)]
    assert answers(translated(question("blue", "blue"), Engine())) == [("blau", 0)]
    for whole in ("The", "blue"):
        made = translated(question("The sky is blue", whole), Engine(), marks=())
        assert [text for text, _ in answers(made)] == [words(whole)]


def test_white_space_at_the_ends_of_an_answer_stays_outside_the_marks() -> None:
    engine = Engine()
    made = translated(question("The sky is blue today", (" blue ", 10)), engine)
    assert answers(made) == [("blau", 13)]


def test_a_repeated_answer_is_found_where_it_stands() -> None:
    context = "The sky is blue. What sky? The sky is blue."
    for start, expected in ((11, 13), (38, 40)):
        for marks in (TAGS, ()):
            made = translated(question(context, ("blue", start)), Engine(), marks)
            assert answers(made) == [("blau", words(context).index("blau", expected - 3))]


def test_an_answer_may_go_over_the_end_of_a_sentence() -> None:
    context = "The sky is blue. What is it today?"
    for marks in (TAGS, ()):
        made = translated(question(context, "blue. What"), Engine(), marks)
        assert answers(made) == [("blau. Was", 13)]


@pytest.mark.parametrize("marks", [TAGS, ()])
def test_text_from_right_to_left_and_characters_beyond_the_first_plane(marks: Sequence[tuple[str, str]]) -> None:
    arabic = {"The sky is": "السماء 😀", "blue": "زرقاء", "What?": "ما؟"}

    def by(text: str) -> str:
        for one, other in arabic.items():
            text = text.replace(one, other)
        return f"\u200f{text}\u200f"

    made = translated(question("The sky is blue 👩\u200d💻.", "blue"), Engine(by), marks)
    ((text, start),) = answers(made)
    assert text == "زرقاء"
    # Code points: the smiley is one.
    assert start == len("\u200fالسماء 😀 ")


def test_accents_in_two_characters_stay_whole() -> None:
    made = translated(question("a coffee now", "coffee"), Engine(lambda text: text.replace("coffee", "cafe\u0301")), ())
    assert answers(made) == [("cafe\u0301", 2)]


def test_names_and_numbers_that_were_copied() -> None:
    table = {"Denver Broncos": "Denver-Mannschaft", "The Denver Broncos won": "Die Denver Broncos gewannen"}
    made = translated(question("The Denver Broncos won", "Denver Broncos"), Engine(table=table), ())
    assert (answers(made), made.spans) == ([("Denver Broncos", 4)], COPIED)  # type: ignore[union-attr]
    # A small word of the source may stand there by chance, with another meaning.
    table = {"to die now": "die Zeit", "die": "sterben"}
    assert isinstance(translated(question("to die now", "die"), Engine(table=table), ()), Untranslatable)


def test_what_is_lost_is_told_with_every_reason() -> None:
    context = "The sky is blue today."
    table = {"blue": "azur", "The sky is <a>blue</a> today.": "Die Luft ist blau heute."}
    made = translated(question(context, "blue"), Engine(table=table))
    assert made == Untranslatable(
        "q",
        "the engine dropped a mark, and its answer's translation 'azur' does not stand in the translated passage",
        "blue",
    )
    made = translated(question(context, "blue"), Engine(table={"blue": NoTranslation("too blue")}), ())
    assert made == Untranslatable("q", "its answer has no translation: too blue", "blue")
    made = translated(question(context, "blue"), Engine(table={"What?": NoTranslation("no question")}))
    assert made == Untranslatable("q", "no question", "What?")
    made = translated(question(context, "blue"), Engine(table={context: NoTranslation("no passage")}), ())
    assert made == Untranslatable("q", "no passage", context)


def test_a_passage_that_only_its_marks_spoil_is_translated_without_them() -> None:
    engine = Engine(lambda text: NoTranslation("angle brackets") if "<" in text else words(text))
    made = translated(question("The sky is blue.", "blue"), engine)
    assert (answers(made), made.spans) == ([("blau", 13)], FOUND)  # type: ignore[union-attr]


def test_several_right_answers() -> None:
    context = "The sky is blue today."
    example = question(context, "is blue", "blue", "blue", "today", ("sky is", 4))
    engine = Engine(table={"sky is": "etwas ganz anderes"})
    made = translated(example, engine)
    # The one that most gave is marked, and the others are looked for in the same passage.
    assert "The sky is <a>blue</a> today." in engine.asked and context not in engine.asked
    assert answers(made) == [("ist blau", 9), ("blau", 13), ("blau", 13), ("heute", 18)]
    assert isinstance(made, TranslatedItem) and (made.spans, made.dropped) == (MARKED, 1)


def test_a_question_without_an_answer_keeps_none() -> None:
    engine = Engine()
    made = translated(question("The sky is blue."), engine)
    assert isinstance(made, TranslatedItem) and made.spans == NONE
    assert (made.example.context, made.example.answers) == ("Die Luft ist blau.", ())
    assert sorted(engine.asked) == ["The sky is blue.", "What?"]


def test_a_passage_of_several_questions_is_asked_for_once_where_nothing_is_marked() -> None:
    context = "The sky is blue today."
    asked = [question(context, one, id=one) for one in ("sky", "blue", "today")]
    engine = Engine()
    made = list(outcomes(asked, (), engine))
    assert [answers(one) for one in made] == [[("Luft", 4)], [("blau", 13)], [("heute", 18)]]
    assert engine.asked.count(context) == 1 and engine.asked.count("What?") == 1
