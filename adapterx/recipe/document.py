"""YAML 1.2 as a tree of values that remember where they were written.

Built from ruamel's parser events, with the scalars of the 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema):
`1e-4` is a number, `no` and `1:30` are strings, `012` is twelve. Tags are refused, so a file can name data only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from adapterx.errors import AdapterxError
from adapterx.recipe.problems import Position, Problem

Event = Any  # ruamel sets tag, anchor and value in ways a type checker cannot follow
Plain = None | bool | int | float | str
MAX_NODES = 50_000
"""Values in one document, aliases counted each time: far above any recipe, far below an alias bomb."""
MAX_DEPTH = 32
"""Levels of nesting: a recipe has six."""

_CORE_SCHEMA: tuple[tuple[re.Pattern[str], Callable[[str], Plain]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]{1,300}"), int),
    (re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
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


def compose(text: str, file: str, column: int = 0) -> tuple[Node | None, list[Problem]]:
    """Parse one document: its root (None when empty) and the duplicate keys found in it.

    `column` is added to the columns of the first line (an override's value starts within the override's text).
    Raises DocumentError where the text is not YAML, or has tags, a second document or an alias to its own parent.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    composer = _Composer(file, column)
    try:
        return composer.document(YAML(typ="safe", pure=True).parse(text)), composer.duplicates
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = composer.position(mark) if mark else None
        raise DocumentError(Problem(file, "", _syntax(text, error), position=position)) from error
    except YAMLError as error:
        raise DocumentError(Problem(file, "", f"not YAML: {str(error).splitlines()[0]}")) from error


def _syntax(text: str, error: Any) -> str:
    """ruamel's complaint, or a plainer one for the two commonest slips."""
    mark = error.problem_mark
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return "not YAML: a tab cannot indent or start a value, use spaces"
    if error.problem == "mapping values are not allowed here":
        return "not YAML: a second ':' on this line, or a line that is indented too far (quote text that holds ': ')"
    context = f" ({error.context})" if error.context else ""
    return f"not YAML: {error.problem}{context}"


class _Composer:
    """Builds the tree from parser events."""

    def __init__(self, file: str, column: int) -> None:
        self.file = file
        self.column = column
        self.duplicates: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0

    def position(self, mark: Any) -> Position:
        return Position(self.file, mark.line + 1, mark.column + 1 + (self.column if mark.line == 0 else 0))

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
            return self.alias(event)
        self.nodes += 1
        if len(path) > MAX_DEPTH:
            raise self.error(event, f"is nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None and event.tag != "!":
            raise self.error(event, f"has the tag '{event.tag}': recipes hold plain data, without tags")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node: Node
        if isinstance(event, ScalarEvent):
            bare = event.style is None and event.tag is None
            text = str(event.value)
            node = Scalar(self.position(event.start_mark), resolve(text) if bare else text, text, bare)
        elif isinstance(event, MappingStartEvent):
            node = Mapping(self.position(event.start_mark), self.entries(events, path))
        else:
            node = Sequence(self.position(event.start_mark), self.items(events, path))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Event) -> Node:
        if event.anchor not in self.anchors:
            raise self.error(event, f"uses the alias '*{event.anchor}', which no '&{event.anchor}' before it defines")
        node = self.anchors[event.anchor]
        if node is None:
            raise self.error(event, f"uses the alias '*{event.anchor}' inside the value it stands for")
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
                written = f"'{key.text}'" if isinstance(key, Scalar) else "a list or a mapping"
                raise self.error(event, f"the key {written} is not text: quote it, or give it another name")
            value = self.node(next(events), events, (*path, key.value))
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


def _count(node: Node) -> int:
    if isinstance(node, Mapping):
        return 1 + sum(_count(entry.node) for entry in node.entries.values())
    if isinstance(node, Sequence):
        return 1 + sum(_count(item) for item in node.items)
    return 1
