"""Extractive QA: the span of a passage that answers a question."""

from __future__ import annotations

from dataclasses import dataclass

from adapterx.wording import shown


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

    @property
    def texts(self) -> tuple[str, ...]:
        """The question, then the passage."""
        return (self.question, self.context)
