"""Encoded examples that arrive part by part, end to end in arrays that grow in place: no part is kept beside them."""

from __future__ import annotations

from array import array
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, Passages
from adapterx.tasks.stored import StoredTexts, as_bytes

_OWN = tuple(field.name for field in fields(Encoded) if field.name not in ("ids", "passages"))
_INTO = {
    "sequence_offsets": "tokens",
    "example_sequences": "sequence_offsets",
    "read_tokens": "tokens",
    "example_reads": "read_tokens",
    "example_labels": "labels",
    "example_texts": "text_offsets",
    "text_offsets": "text",
    "id_offsets": "id_text",
}
"""Positions, and the array they count in; offsets count from one part to the next."""
_OFFSETS = frozenset(_INTO) - {"read_tokens"}
_TYPES = {"tokens": "i", "characters": "i", "text": "B", "id_text": "B"}


class Growing:
    """The examples of several parts of one task, in order."""

    def __init__(self) -> None:
        self._arrays: dict[str, array[int]] = {}

    def add(self, part: Encoded) -> None:
        """Put a part at the end. Parts of one task have passages all or none."""
        own: dict[str, NDArray[Any]] = {name: getattr(part, name) for name in _OWN}
        own["id_offsets"], own["id_text"] = as_bytes(part.ids)
        if part.passages is not None:
            own |= {"characters": part.passages.characters, "example_texts": part.passages.example_texts}
            own["text_offsets"], own["text"] = as_bytes(part.passages.texts)
        self._extend(own)

    def _extend(self, own: dict[str, NDArray[Any]]) -> None:
        starts = {name: self._end(name) for name in own}
        for name, values in own.items():
            found = self._arrays.setdefault(name, array(_TYPES.get(name, "q")))
            added = values + starts[_INTO[name]] if name in _INTO else values
            if found and name in _OFFSETS:
                added = added[1:]  # where one part ends the next begins
            found.frombytes(np.ascontiguousarray(added).view(np.uint8).data)

    def _end(self, name: str) -> int:
        """Where the next part begins; of k slices there are k + 1 offsets."""
        length = len(self._arrays.get(name, ()))
        return max(0, length - 1) if name in _OFFSETS else length

    def encoded(self) -> Encoded:
        """All of them, in views of the arrays, after which nothing can be added. Raises ValueError without a part."""
        if not self._arrays:
            raise ValueError("no part was added")
        own = {name: np.asarray(found) for name, found in self._arrays.items()}
        ids = StoredTexts(own.pop("id_text"), own.pop("id_offsets"))
        passages = None
        if "text" in own:
            texts = StoredTexts(own.pop("text"), own.pop("text_offsets"))
            passages = Passages(own.pop("characters"), texts, own.pop("example_texts"))
        return Encoded(ids=ids, passages=passages, **own)
