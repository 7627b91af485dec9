"""YAML 1.2 as a tree of values that remember where they were written.

Built from ruamel's parser events, with the scalars of the 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema):
`1e-4` is a number, `no` and `1:30` are strings, `012` is twelve. Tags are refused, so a file can name data only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from adapterx.config.problems import Position, Problem
from adapterx.errors import AdapterxError
from adapterx.wording import plain as printable
from adapterx.wording import shown

Event = Any  # ruamel sets tag, anchor and value in ways a type checker cannot follow
Plain = None | bool | int | float | str
MAX_NODES = 50_000
"""Values in one document, aliases counted each time: far above any recipe, far below an alias bomb."""
MAX_WRITTEN = 20_000
"""Values that are written out in one document: the parser takes seconds for so many."""
MAX_DEPTH = 32
"""Levels of nesting, those behind an alias counted: a recipe has six."""
MAX_DIGITS = 300
"""Digits of a whole number; what has more is text, and refused as such where a number is wanted."""

_CORE_SCHEMA: tuple[tuple[re.Pattern[str], Callable[[str], Plain]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(rf"[-+]?[0-9]{{1,{MAX_DIGITS}}}"), int),
    (re.compile(rf"0o[0-7]{{1,{MAX_DIGITS}}}|0x[0-9a-fA-F]{{1,{MAX_DIGITS}}}"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", "", 1))),
)


@dataclass(frozen=True)
class Scalar:
    """A value without parts; `text` is what was written, `bare` says it was written without quotes."""

    position: Position
    value: Plain
    text: str
    bare: bool


@dataclass(frozen=True)
class Sequence:
    position: Position
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Mapping:
    position: Position
    entries: dict[str, Entry]


@dataclass(frozen=True)
class Entry:
    """A key's place and its value."""

    key: Position
    node: Node


Node = Scalar | Sequence | Mapping


def resolve(text: str) -> Plain:
    """The value of an unquoted scalar by the YAML 1.2 core schema."""
    return next((read(text) for pattern, read in _CORE_SCHEMA if pattern.fullmatch(text)), text)


def plain(node: Node) -> Any:
    """The tree as dictionaries, lists and scalars."""
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


class DocumentError(AdapterxError, ValueError):
    """Text that is not one YAML document of plain data."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def compose(text: str, start: Position) -> tuple[Node | None, list[Problem]]:
    """Parse one document: its root (None when empty) and the duplicate keys found in it.

    Args:
        start: the place of the text's first character: of a file line 1 and column 1, of an override that of its value.

    Raises DocumentError where the text is not YAML, or has tags, a second document or an alias to its own parent.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    composer = _Composer(start)
    file = start.file
    try:
        return composer.document(YAML(typ="safe", pure=True).parse(text)), composer.duplicates
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = composer.position(mark) if mark else None
        raise DocumentError(Problem(file, "", _syntax(text, error), position=position)) from error
    except YAMLError as error:
        raise DocumentError(Problem(file, "", f"not YAML: {str(error).splitlines()[0]}")) from error
    except (ValueError, OverflowError) as error:  # the library's, of a number that names no character
        if isinstance(error, DocumentError):
            raise
        message = "not YAML: an escape such as \\U0001F600 names a character, and none has a number above 10FFFF"
        raise DocumentError(Problem(file, "", message, position=_bad_escape(text, composer))) from error


def collection_end(text: str) -> int | None:
    """The index behind the closing bracket of the list or mapping that a text begins with; None where there is none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    level = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            level += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if isinstance(event, CollectionEndEvent) and level == 0:
                return int(event.end_mark.index)
    except (YAMLError, ValueError, OverflowError):  # `compose` tells it, with its place
        return None
    return None


def _syntax(text: str, error: Any) -> str:
    """ruamel's complaint, or a plainer one for the two commonest slips."""
    mark = error.problem_mark
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return "not YAML: a tab cannot indent or start a value, use spaces"
    if error.problem == "mapping values are not allowed here":
        return "not YAML: a second ':' on this line, or a line that is indented too far (quote text that holds ': ')"
    context = f" ({error.context})" if error.context else ""
    return f"not YAML: {error.problem}{context}"


def _bad_escape(text: str, composer: _Composer) -> Position | None:
    """Where an escape stands that names no character."""
    for found in re.finditer(r"\\U([0-9a-fA-F]{8})", text):
        if int(found[1], 16) > 0x10FFFF:
            before = text[: found.start()]
            return composer.at(before.count("\n"), found.start() - (before.rfind("\n") + 1))
    return None


class _Composer:
    """Builds the tree from parser events."""

    def __init__(self, start: Position) -> None:
        self.start = start
        self.file = start.file
        self.duplicates: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0
        self.written = 0

    def position(self, mark: Any) -> Position:
        return self.at(mark.line, mark.column)

    def at(self, line: int, column: int) -> Position:
        """A place in the text by line and column, both counted from 0."""
        first = self.start.column if line == 0 else 1
        return replace(self.start, line=self.start.line + line, column=first + column)

    def document(self, events: Iterator[Event]) -> Node | None:
        from ruamel.yaml.events import DocumentEndEvent, DocumentStartEvent, StreamEndEvent

        root: Node | None = None
        seen = False
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if seen:
                    raise self.error(event, "holds a second document ('---'): one file is one recipe")
                seen = True
                root = self.node(next(events), events, ())
            elif isinstance(event, DocumentEndEvent | StreamEndEvent):
                continue
        empty = isinstance(root, Scalar) and root.bare and not root.text
        return None if empty else root

    def error(self, event: Event, message: str) -> DocumentError:
        return DocumentError(Problem(self.file, "", message, position=self.position(event.start_mark)))

    def node(self, event: Event, events: Iterator[Event], path: tuple[str, ...]) -> Node:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent

        if isinstance(event, AliasEvent):
            return self.alias(event, len(path))
        self.nodes += 1
        self.written += 1
        if self.written > MAX_WRITTEN:
            raise self.error(event, f"is one value more than the {MAX_WRITTEN:,} that a file may hold")
        if len(path) > MAX_DEPTH:
            raise self.error(event, f"is nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None and event.tag != "!":
            tag = printable(str(event.tag))
            raise self.error(event, f"has the tag '{tag}': recipes hold plain data, without tags")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node: Node
        if isinstance(event, ScalarEvent):
            bare = event.style is None and event.tag is None
            text = str(event.value)
            if any("\ud800" <= one <= "\udfff" for one in text):
                raise self.error(event, "holds half of a surrogate pair, which is no character")
            if "\0" in text:
                raise self.error(event, "holds the character \\0, which no text can hold")
            node = Scalar(self.position(event.start_mark), resolve(text) if bare else text, text, bare)
        elif isinstance(event, MappingStartEvent):
            node = Mapping(self.position(event.start_mark), self.entries(events, path))
        else:
            node = Sequence(self.position(event.start_mark), self.items(events, path))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Event, depth: int) -> Node:
        name = printable(str(event.anchor), 40)
        if event.anchor not in self.anchors:
            raise self.error(event, f"uses the alias '*{name}', which no '&{name}' before it defines")
        node = self.anchors[event.anchor]
        if node is None:
            raise self.error(event, f"uses the alias '*{name}' inside the value it stands for")
        if depth + _depth(node) > MAX_DEPTH:
            raise self.error(event, f"is nested more than {MAX_DEPTH} levels deep through its aliases")
        self.nodes += _count(node)
        if self.nodes > MAX_NODES:
            raise self.error(event, f"grows beyond {MAX_NODES:,} values through its aliases")
        return node

    def items(self, events: Iterator[Event], path: tuple[str, ...]) -> tuple[Node, ...]:
        from ruamel.yaml.events import SequenceEndEvent

        items: list[Node] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self.node(event, events, (*path, str(len(items)))))
        return tuple(items)

    def entries(self, events: Iterator[Event], path: tuple[str, ...]) -> dict[str, Entry]:
        from ruamel.yaml.events import MappingEndEvent

        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self.node(event, events, (*path, "?"))
            if not isinstance(key, Scalar) or not isinstance(key.value, str):
                written = shown(key.text) if isinstance(key, Scalar) else "a list or a mapping"
                raise self.error(event, f"the key {written} is not text: quote it, or give it another name")
            value = self.node(next(events), events, (*path, key.value))
            if isinstance(value, Scalar) and value.bare and not value.text:
                value = replace(value, position=self.at(event.end_mark.line, event.end_mark.column + 1))
            if key.value == "<<" and key.bare:
                merged = self.merge(event, value) | merged
            elif key.value in entries:
                first = entries[key.value].key
                message = f"duplicate key, first written on line {first.line}"
                where = ".".join((*path, key.value))
                self.duplicates.append(Problem(self.file, where, message, position=key.position))
            else:
                entries[key.value] = Entry(key.position, value)
        return {**merged, **entries}

    def merge(self, event: Event, value: Node) -> dict[str, Entry]:
        """The entries of `<<: *base` or `<<: [*a, *b]`, where earlier mappings win."""
        bases = value.items if isinstance(value, Sequence) else (value,)
        merged: dict[str, Entry] = {}
        for base in bases:
            if not isinstance(base, Mapping):
                raise self.error(event, "'<<' merges mappings only")
            merged = base.entries | merged
        return merged


def _depth(node: Node) -> int:
    """Levels of mappings and lists in a node: 0 of a scalar."""
    if isinstance(node, Scalar):
        return 0
    below = [entry.node for entry in node.entries.values()] if isinstance(node, Mapping) else node.items
    return 1 + max((_depth(one) for one in below), default=0)


def _count(node: Node) -> int:
    """Values in a node, itself included."""
    if isinstance(node, Mapping):
        return 1 + sum(_count(entry.node) for entry in node.entries.values())
    if isinstance(node, Sequence):
        return 1 + sum(_count(item) for item in node.items)
    return 1
