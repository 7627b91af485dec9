"""What became of the items of each split in each language."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from adapterx.store.identity import JSON
from adapterx.translate.items import TranslatedItem
from adapterx.translate.scripts import is_other
from adapterx.translate.texts import is_copy


@dataclass
class ItemCounts:
    """Of one split in one language."""

    items: int = 0
    """That there are in the source."""
    written: int = 0
    untranslatable: int = 0
    left_out: int = 0
    """Untranslatable into another language, where all are to have the same items."""
    spans: Counter[str] = field(default_factory=Counter)
    """Of questions about passages: how answers were found again."""
    answers_dropped: int = 0
    """Further right answers that were not found again."""
    texts: set[int] = field(default_factory=set)
    """Hashes of distinct texts of the source that are not blank."""
    unchanged: set[int] = field(default_factory=set)
    """Of those that came back as they were."""
    other_script: set[int] = field(default_factory=set)
    """Of those whose translation is in no script of the language."""

    def add(self, source: Any, item: TranslatedItem, language: str) -> None:
        """Count an item that is written."""
        self.written += 1
        if item.spans:
            self.spans[item.spans] += 1
        self.answers_dropped += item.dropped
        for text, said in zip(source.texts, item.example.texts, strict=True):
            key = hash(text)
            if not text.strip() or key in self.texts:
                continue
            self.texts.add(key)
            if is_copy(text, said):
                self.unchanged.add(key)
            if is_other(said, language):
                self.other_script.add(key)

    def told(self, passages: bool) -> dict[str, JSON]:
        """The counts for provenance and programs.

        Args:
            passages: whether the task's questions ask about passages.
        """
        found: dict[str, JSON] = {
            "items": self.items,
            "written": self.written,
            "untranslatable": self.untranslatable,
            "left_out": self.left_out,
            "texts": len(self.texts),
            "unchanged": len(self.unchanged),
            "other_script": len(self.other_script),
        }
        if passages:
            found |= {"spans": dict(sorted(self.spans.items())), "answers_dropped": self.answers_dropped}
        return found
