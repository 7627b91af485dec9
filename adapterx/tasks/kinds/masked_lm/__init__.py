"""Masked language modelling: text to learn a language from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text, which is its own answer."""

    id: str
    text: str

    @property
    def labels(self) -> tuple[int, ...]:
        """None: what is to be guessed is drawn whenever the text is seen."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)
