"""How a task's tags mark spans: bare types, BIO, BIOES, BILOU and their like, told by the labels themselves.

A tag is a place in a span and the span's type. Places are those of CoNLL-2000's scorer and seqeval: B begins a span, I
goes on, E ends it, S is a span alone, O is outside. Every other way of writing is translated into them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapterx.wording import shown

OUTSIDE = "O"

_WAYS: Mapping[str, Mapping[str, str]] = {
    "BIO": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BMEWO": {"B": "B", "M": "I", "E": "E", "W": "S"},
    "BMLU": {"B": "B", "M": "I", "L": "E", "U": "S"},
}
"""By name, what each letter of a way of writing stands for; the first that has all letters counts."""
_LETTERS = "".join(sorted({letter for way in _WAYS.values() for letter in way}))
_BEFORE = re.compile(rf"(?P<place>[{_LETTERS}])(?P<between>[-_])(?P<type>.+)", re.IGNORECASE | re.DOTALL)
_AFTER = re.compile(rf"(?P<type>.+)(?P<between>[-_])(?P<place>[{_LETTERS}])", re.IGNORECASE | re.DOTALL)
_STRANGE = re.compile(rf"[{_LETTERS}][^\w\s_-].+", re.IGNORECASE | re.DOTALL)
_KNOWN = (
    "span_f1 reads tags without a prefix, and BIO, BIOES or BILOU with '-' or '_' between place and type, before it or"
    " after it (B-PER, B_PER, PER-B)"
)


class SchemeError(ValueError):
    """Tags that mark spans in no known way."""


@dataclass(frozen=True)
class Scheme:
    """What each of a task's labels says; l labels."""

    name: str
    places: tuple[str, ...]
    """(l) each one of B, I, E, S, O."""
    types: tuple[str, ...]
    """(l) the span's type; empty outside, and where spans have no types."""


def scheme(labels: Sequence[str]) -> Scheme:
    """The scheme of these labels. Raises SchemeError naming labels that fit none."""
    tags = [label for label in labels if label.upper() != OUTSIDE]
    for pattern in (_BEFORE, _AFTER):
        found = [pattern.fullmatch(tag) for tag in tags]
        # Bare types may end in a letter by chance, not in those of a span's inside as well.
        inside = {match["place"].upper() for match in found if match} & {"I", "M"}
        if tags and all(found) and (pattern is _BEFORE or inside):
            return _written(labels, [match for match in found if match is not None])
    if tags and all(len(tag) == 1 for tag in tags) and "B" in [tag.upper() for tag in tags]:
        return _untyped(labels, tags)
    _check_bare(tags)
    places = tuple(OUTSIDE if label.upper() == OUTSIDE else "I" for label in labels)
    return Scheme("bare", places, tuple("" if label.upper() == OUTSIDE else label for label in labels))


def seqeval_0_0_12(labels: Sequence[str]) -> Scheme:
    """What the seqeval that XTREME was scored with makes of labels.

    On BIO it is what `scheme` says. Of a bare tag it takes the first letter for its place and the whole tag for its
    type, so that S (of SYM, say) is a span of its own wherever it stands.
    """
    types = tuple(label[2:] if label[1:2] == "-" else label for label in labels)
    return Scheme("seqeval 0.0.12", tuple(label[:1] for label in labels), types)


def _written(labels: Sequence[str], found: Sequence[re.Match[str]]) -> Scheme:
    """Labels all of which have a place, before or after the type."""
    if len({match["between"] for match in found}) > 1:
        raise SchemeError(f"{_KNOWN}; here {_two(found, 'between')} part them in two ways")
    meaning = _meaning({match["place"].upper() for match in found}, [match[0] for match in found])
    said = {match[0]: (meaning[1][match["place"].upper()], match["type"]) for match in found}
    pairs = [said.get(label, (OUTSIDE, "")) for label in labels]
    return Scheme(meaning[0], tuple(place for place, _ in pairs), tuple(type_ for _, type_ in pairs))


def _untyped(labels: Sequence[str], tags: Sequence[str]) -> Scheme:
    """Places alone, of spans of one kind."""
    name, means = _meaning({tag.upper() for tag in tags}, tags)
    return Scheme(name, tuple(means.get(label.upper(), OUTSIDE) for label in labels), ("",) * len(labels))


def _meaning(letters: set[str], tags: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    for name, way in _WAYS.items():
        if letters <= set(way):
            return name, way
    raise SchemeError(f"{_KNOWN}; {', '.join(shown(tag) for tag in tags[:4])}, … mix the places of several")


def _check_bare(tags: Sequence[str]) -> None:
    """Refuse labels some of which look as if they had a place: read as types they would cut every span up."""
    placed = [tag for tag in tags if _BEFORE.fullmatch(tag)]
    if placed and len(placed) < len(tags):
        without = next(tag for tag in tags if tag not in placed)
        raise SchemeError(
            f"{_KNOWN}; here {shown(placed[0])} has a place before its type and {shown(without)} has none"
        )
    if tags and all(_STRANGE.fullmatch(tag) for tag in tags):
        raise SchemeError(f"{_KNOWN}; here {shown(tags[0])} parts them by {shown(tags[0][1])}")


def _two(found: Sequence[re.Match[str]], part: str) -> str:
    """Two labels that differ in a part."""
    other = next(match for match in found if match[part] != found[0][part])
    return f"{shown(found[0][0])} and {shown(other[0])}"
