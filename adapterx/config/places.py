"""Where in a document the value stands that a finding is about."""

from __future__ import annotations

from adapterx.config.document import Mapping, Node, Scalar
from adapterx.config.document import Sequence as Items
from adapterx.config.problems import Finding, Location, Problem, dotted


def walk(root: Mapping, location: Location) -> tuple[Node, Location]:
    """The deepest node on the way to a location, and its own location.

    pydantic's locations also name the chosen member of a union and the keys of expanded shorthands: passed over.
    """
    node: Node = root
    walked: list[str | int] = []
    for part in location:
        if isinstance(node, Mapping) and part in node.entries:
            node = node.entries[str(part)].node
            walked.append(part)
        elif isinstance(node, Items):
            index = part if isinstance(part, int) else _item(node, part)
            if index is None:
                continue
            if index >= len(node.items):
                break
            node = node.items[index]
            walked.append(index)
    return node, tuple(walked)


def _item(node: Items, text: str) -> int | None:
    """The list item that a name came from, in a list that is short for a mapping."""
    return next((i for i, item in enumerate(node.items) if isinstance(item, Scalar) and item.value == text), None)


def placed(root: Mapping, one: Finding) -> Problem:
    """A finding with its place in the file, or in the override that wrote it."""
    node, walked = walk(root, one.location)
    position = node.position
    if one.at_key and walked:
        above, _ = walk(root, walked[:-1])
        if isinstance(above, Mapping):
            position = above.entries[str(walked[-1])].key
    path = walked
    if one.message == "is missing" and (not walked or walked[-1] != one.location[-1]):
        path = (*walked, one.location[-1])
    return Problem(position.file, dotted(path), one.message, one.hint, position)
