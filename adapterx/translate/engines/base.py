"""What an engine is, and the options that one may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from adapterx.store.identity import JSON

Markers: TypeAlias = tuple[str, str]
"""What stands before and after an answer in a text that is to be translated with its answer marked."""


@dataclass(frozen=True)
class NoTranslation:
    """Why an engine gives no translation of a text."""

    reason: str


class Engine(Protocol):
    """Translates texts. What it says of a text depends on the text and the languages alone."""

    @property
    def name(self) -> str:
        """What the command line calls it; part of a default directory."""
        ...

    @property
    def markers(self) -> Sequence[Markers]:
        """Pairs that it is likely to hand through untouched, the best first; none where answers cannot be marked."""
        ...

    def check(self, source: str, target: str) -> None:
        """Raise EngineError where it does not translate from the one language into the other."""
        ...

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """What decides its translations, for provenance: equal identities, equal translations."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries it uses, for provenance."""
        ...

    def translate(self, texts: Sequence[str], source: str, target: str) -> Sequence[str | NoTranslation]:
        """A translation of each text, none of which is blank, in their order, or why there is none.

        Raises EngineError.
        """
        ...

    def close(self) -> None:
        """End what it has started."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """Options of the command line; None and empty where one is not given, so that each engine has its default."""

    batch: int = 32
    """Texts that are translated at once."""
    timeout: float | None = None
    """Seconds for which a program may keep silent."""
    beams: int | None = None
    max_tokens: int | None = None
    device: str | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    """What an engine calls a language of the task."""
    markers: tuple[Markers, ...] | None = None
    """In place of the engine's own; () marks nothing."""

    def given(self) -> list[str]:
        """The names of those options of a single engine that are given, as the command line writes them."""
        values = {
            "--timeout": self.timeout,
            "--beams": self.beams,
            "--max-tokens": self.max_tokens,
            "--device": self.device,
            "--codes": self.codes or None,
        }
        return [name for name, value in values.items() if value is not None]
