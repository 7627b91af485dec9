"""Examples as text, before any tokenizer has seen them: one frozen type per format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapterx.wording import shown

Format: TypeAlias = Literal[
    "pair-classification", "tagging", "multiple-choice", "extractive-qa", "retrieval", "masked-lm"
]
Split: TypeAlias = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class PairExample:
    """One or two texts and one label.

    `id` names the underlying item, so in a parallel task it is the same in every language.
    `label` indexes the task's labels.
    """

    id: str
    text: str
    text_pair: str | None
    label: int

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: here one label."""
        return (self.label,)


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """Words and as many tags; a tag indexes the task's labels."""

    id: str
    words: tuple[str, ...]
    tags: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags) or not self.words:
            raise ValueError(f"example {self.id}: {len(self.words)} words and {len(self.tags)} tags")

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: one tag per word."""
        return self.tags


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A context and its possible continuations or answers; `label` is the position of the right one."""

    id: str
    context: str
    choices: tuple[str, ...]
    label: int

    def __post_init__(self) -> None:
        if not 0 <= self.label < len(self.choices):
            raise ValueError(f"example {self.id}: label {self.label} among {len(self.choices)} choices")

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: here the position of the right choice."""
        return (self.label,)


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of a passage: its text, and the character it starts at."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QAExample:
    """A question about a passage. Each answer is a right one; there is none where the passage holds no answer."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]

    def __post_init__(self) -> None:
        for number, answer in enumerate(self.answers):
            found = self.context[answer.start : answer.start + len(answer.text)]
            if answer.start < 0 or found != answer.text:
                raise ValueError(
                    f"answers[{number}]: the passage has {shown(found)} at character {answer.start},"
                    f" not {shown(answer.text)}"
                )

    @property
    def labels(self) -> tuple[int, ...]:
        """None: the answers are texts."""
        return ()


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text, which is its own answer."""

    id: str
    text: str

    @property
    def labels(self) -> tuple[int, ...]:
        """None: what is to be guessed is drawn whenever the text is seen."""
        return ()


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """A text to search for, or one to be found.

    `relevant` are the places, among the candidates of the same language, of those that a query is to find; None makes
    it a candidate.
    """

    id: str
    text: str
    relevant: tuple[int, ...] | None

    @property
    def labels(self) -> tuple[int, ...]:
        """What is to be found; of a candidate -1."""
        return (CANDIDATE,) if self.relevant is None else self.relevant


CANDIDATE = -1
"""The label of a text that is to be found rather than searched for."""

Example: TypeAlias = PairExample | TaggingExample | ChoiceExample | QAExample | RetrievalExample | TextExample
