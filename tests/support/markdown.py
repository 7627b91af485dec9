"""What tests read of a Markdown page: its links, the anchors of its headings, its blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FENCE = re.compile(r"^([ ]*)```(\w*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    """What stands behind the fence; empty for output and synopses."""
    text: str
    """Without the indentation of the fence."""


@dataclass(frozen=True)
class Page:
    """One page, read once."""

    path: Path
    text: str

    @property
    def prose(self) -> str:
        """The page without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code, in order."""
        found = _FENCE.findall(self.text)
        return [Block(name, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)) for indent, name, text in found]

    @property
    def code(self) -> list[str]:
        """The code in running text, each as one line."""
        return [" ".join(one.split()) for one in _CODE.findall(self.prose)]

    @property
    def links(self) -> list[str]:
        """Where links and images lead, as written."""
        return _LINK.findall(_CODE.sub("``", self.prose))

    @property
    def anchors(self) -> set[str]:
        """The names by which GitHub's pages reach the headings."""
        found: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
            name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            repeated = (f"{name}-{number}" for number in range(1, len(found) + 1))
            found.add(next(one for one in (name, *repeated) if one not in found))
        return found


@lru_cache
def read(path: Path) -> Page:
    """The page in a file."""
    return Page(path, path.read_text(encoding="utf-8"))
