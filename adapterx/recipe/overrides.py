"""Dotted settings from the command line, `train.epochs=2` or `seeds=[1,2]`, laid over a recipe's tree.

A value is the characters that the shell hands over, up to the last one: what would be a comment, a mapping, a tag or an
alias in a file (` #2`, `: `, `!`, `*`) is text here. Read as in a file are only lists and mappings in brackets, text in
quotes, numbers, `true`, `false` and `null`. A later override of the same setting wins, as with any command-line flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence as Texts
from dataclasses import replace

from adapterx.config.document import (
    DocumentError,
    Entry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    collection_end,
    compose,
    resolve,
)
from adapterx.config.problems import Position, Problem, did_you_mean
from adapterx.recipe.training import EXCLUSIVE, Train
from adapterx.wording import plain

NAMED = (("backbones",), ("methods",), ("intermediates",), ("targets",))
"""Where the keys are names of the user's: a new one is given whole, a mistyped one must not make a new entry."""


def apply(root: Mapping, overrides: Texts[str]) -> tuple[Mapping, list[Problem]]:
    """The tree with every override laid over it, and what is wrong with the overrides themselves."""
    problems: list[Problem] = []
    for text in overrides:
        try:
            keys, value = _parse(text)
            root = replaced(root, keys, value)
        except DocumentError as error:
            problems.append(error.problem)
    return root, problems


def without_effect(train: Train, overrides: Texts[str]) -> Iterator[str]:
    """Why overrides of general training settings change nothing, where both phases have settings of their own."""
    phases = [
        part.model_fields_set if part is not None else frozenset[str]() for part in (train.intermediate, train.target)
    ]
    for text in overrides:
        key = text.partition("=")[0].removeprefix("train.")
        if not text.startswith("train.") or "." in key:
            continue
        pair = next((pair for pair in EXCLUSIVE if key in pair), (key,))
        if all(given & set(pair) for given in phases):
            why = "train.intermediate and train.target have a setting of their own for it"
            yield f"{plain(text)} changes nothing: {why}"


def _parse(text: str) -> tuple[list[str], Node]:
    path, separator, value = text.partition("=")
    keys = path.split(".")
    if not separator or not all(key and key == key.strip() for key in keys):
        raise _error(
            text, "", "is not an override: write section.setting=value without spaces, or quote it: 'seeds=[1, 2]'"
        )
    return keys, _value(value, Position(text, 1, len(path) + 2, override=True))


_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def _value(written: str, at: Position) -> Node:
    """What stands behind the `=` of an override.

    Args:
        at: the place of its first character.
    """
    inner = written.strip()
    start = replace(at, column=at.column + len(written) - len(written.lstrip()))
    if inner[:1] in ("[", "{"):
        return _collection(inner, start)
    if _QUOTED.fullmatch(inner):
        root, _ = compose(inner, start)
        assert root is not None
        return root
    value = resolve(inner) if inner or not written else written
    return Scalar(start if inner else at, written if isinstance(value, str) else value, written, bare=True)


def _collection(written: str, start: Position) -> Node:
    """A list or a mapping in brackets, with nothing behind it."""
    end = collection_end(written)
    if end is not None and written[end:].strip():
        at, hint = replace(start, column=start.column + end), "to give text, put it in quotes inside those of the shell"
        raise DocumentError(Problem(start.file, "", "has more text behind the closing bracket", hint, at))
    try:
        root, duplicates = compose(written, start)
    except DocumentError as error:
        comment = "between brackets ' #' begins a comment: put text that holds it in quotes" if " #" in written else ""
        raise DocumentError(replace(error.problem, hint=comment)) from None
    if duplicates:
        raise DocumentError(duplicates[0])
    assert root is not None
    return root


def _error(text: str, path: str, message: str, hint: str = "") -> DocumentError:
    return DocumentError(Problem(text, path, message, hint, _beginning(text)))


def _beginning(override: str) -> Position:
    return Position(override, 1, 1, override=True)


def _with(node: Node, keys: list[str], value: Node, whole: list[str]) -> Node:
    """`node` with the value at `keys` replaced; the mappings on the way are made where they are missing."""
    if not keys:
        return value
    path = tuple(whole[: -len(keys)])
    node = _expanded(node, path)
    override, above = value.position.file, ".".join(path)
    if isinstance(node, Mapping):
        if path in NAMED and len(keys) > 1 and keys[0] not in node.entries:
            raise _error(override, above, f"has no '{plain(keys[0])}'", did_you_mean(keys[0], node.entries))
        return _mapping_with(node, keys, value, whole)
    if isinstance(node, Sequence):
        index = int(keys[0]) if keys[0].isdecimal() else len(node.items)
        if index >= len(node.items):
            raise _error(override, above, f"is a list of {len(node.items)}, which has no item '{plain(keys[0])}'")
        items = list(node.items)
        items[index] = _with(items[index], keys[1:], value, whole)
        return replace(node, items=tuple(items))
    if node.value is None:
        return _mapping_with(Mapping(_beginning(override), {}), keys, value, whole)
    raise _error(
        override, above, f"is the single value '{plain(node.text)}' in the file: override it as a whole, {above}=…"
    )


def _expanded(node: Node, path: tuple[str, ...]) -> Node:
    """A shorthand in its long form, so that an override can reach into it."""
    if path == ("transfers",) and isinstance(node, Sequence):
        kinds = [item for item in node.items if isinstance(item, Scalar)]
        named = {
            item.text: Entry(item.position, Mapping(item.position, {"kind": Entry(item.position, item)}))
            for item in kinds
        }
        return Mapping(node.position, named)
    if path == ("targets",) and isinstance(node, Sequence):
        named = {item.text: Entry(item.position, item) for item in node.items if isinstance(item, Scalar)}
        return Mapping(node.position, named)
    key = {"backbones": "model", "targets": "task"}.get(path[0])
    if len(path) == 2 and key is not None and isinstance(node, Scalar) and node.value is not None:
        return Mapping(node.position, {key: Entry(node.position, node)})
    return node


def replaced(node: Mapping, keys: list[str], value: Node) -> Mapping:
    """`node` with the value at `keys` replaced; DocumentError where the way leads through a single value."""
    return _mapping_with(node, keys, value, keys)


def _mapping_with(node: Mapping, keys: list[str], value: Node, whole: list[str]) -> Mapping:
    old = node.entries.get(keys[0])
    below: Node = old.node if old is not None else Scalar(value.position, None, "", bare=True)
    at = old.key if old is not None else _beginning(value.position.file)
    return replace(node, entries={**node.entries, keys[0]: Entry(at, _with(below, keys[1:], value, whole))})
