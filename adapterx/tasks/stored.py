"""Encoded examples in one file, read back by memory map.

The file is a safetensors file: eight bytes with the length of a JSON header, the header, then the arrays end to end,
little-endian (huggingface/safetensors, README, "Format"). Wider numbers come first, so that each array lies aligned.
Example ids, and the texts of extractive QA, are one array of UTF-8 bytes and one of offsets. The header also holds the
entry's key and a CRC-32 of all that follows it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from adapterx.store import write_stream
from adapterx.tasks.encoded import Encoded, Passages, offsets

LAYOUT = 1
"""Raised whenever the same examples would be written as another file."""

_OFFSETS = ("sequence_offsets", "example_sequences", "read_tokens", "example_reads", "labels", "example_labels")
_OF_PASSAGES = ("text_offsets", "example_texts", "characters", "text")
_TYPES: Mapping[str, np.dtype[Any]] = {
    **dict.fromkeys((*_OFFSETS, "id_offsets", "text_offsets", "example_texts"), np.dtype("<i8")),
    **dict.fromkeys(("tokens", "characters"), np.dtype("<i4")),
    **dict.fromkeys(("id_text", "text"), np.dtype("u1")),
}
"""Every array of a file, in order; those of passages only where there are some."""
_NAMES = {8: "I64", 4: "I32", 1: "U8"}
_BLOCK = 4096  # ids decoded at a time where all are wanted
_SURROGATES = "surrogatepass"  # JSON data can hold half a surrogate pair, which plain UTF-8 refuses


class DamagedEntry(ValueError):
    """A file that is not what its writer wrote."""


class StoredTexts(Sequence[str]):
    """Ids or texts decoded when they are asked for. Not equal to a tuple of the same ones: compare `tuple(ids)`.

    Args:
        text: (bytes) all of them end to end, UTF-8.
        offsets: (n + 1) into text.
    """

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.text = text
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(len(self))[place])
        number = range(len(self))[place]
        return next(self._decoded(number, number + 1))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self._decoded(start, min(start + _BLOCK, len(self)))

    def _decoded(self, start: int, stop: int) -> Iterator[str]:
        bounds = self.offsets[start : stop + 1].tolist()
        text = self.text[bounds[0] : bounds[-1]].tobytes()
        for first, last in pairwise(bounds):
            yield text[first - bounds[0] : last - bounds[0]].decode(errors=_SURROGATES)


def as_bytes(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Offsets of texts, and the texts as UTF-8 bytes end to end: a fraction of the memory of as many objects."""
    if isinstance(texts, StoredTexts):
        return texts.offsets, texts.text
    parts = [text.encode(errors=_SURROGATES) for text in texts]
    return offsets([len(part) for part in parts]), np.frombuffer(b"".join(parts), dtype=np.uint8)


def write(path: Path, encoded: Encoded, key: str) -> None:
    """Write examples, whole or not at all. Whoever else writes the same key at the same time writes the same bytes."""
    arrays = _arrays(encoded)
    check = 0
    for array in arrays.values():
        check = zlib.crc32(array.data, check)
    header = _header({name: len(array) for name, array in arrays.items()}, key, check)

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(header)
            for array in arrays.values():
                file.write(array.data)

    write_stream(path, fill)


def read(path: Path, key: str) -> Encoded:
    """The examples that were written under that key: read-only views of the mapped file, and lazy ids.

    Raises FileNotFoundError where there is no file, DamagedEntry, naming it, for one that was not written so.
    """
    try:
        # Plain arrays over the map: numpy's own memmap type makes every small slice many times slower.
        content: NDArray[np.uint8] = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        arrays = _checked(content, key)
        ids = StoredTexts(arrays.pop("id_text"), arrays.pop("id_offsets"))
        return Encoded(ids=ids, passages=_passages(arrays), **arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DamagedEntry(f"{path}: {error}") from error


def _passages(arrays: dict[str, Any]) -> Passages | None:
    """Takes what belongs to passages out of a file's arrays."""
    if "text" not in arrays:
        return None
    bounds, examples, characters, text = (arrays.pop(name) for name in _OF_PASSAGES)
    return Passages(characters, StoredTexts(text, bounds), examples)


def _arrays(encoded: Encoded) -> dict[str, NDArray[Any]]:
    own = {name: getattr(encoded, name) for name in (*_OFFSETS, "tokens")}
    own["id_offsets"], own["id_text"] = as_bytes(encoded.ids)
    if encoded.passages is not None:
        own["text_offsets"], own["text"] = as_bytes(encoded.passages.texts)
        own |= {name: getattr(encoded.passages, name) for name in ("example_texts", "characters")}
    return {name: np.ascontiguousarray(own[name], dtype=type_) for name, type_ in _TYPES.items() if name in own}


def _places(lengths: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Where each array begins and ends, in bytes after the header."""
    places, start = {}, 0
    for name, length in lengths.items():
        stop = start + length * _TYPES[name].itemsize
        places[name] = start, stop
        start = stop
    return places


def _header(lengths: Mapping[str, int], key: str, check: int) -> bytes:
    fields: dict[str, Any] = {"__metadata__": {"key": key, "crc32": str(check)}}
    for name, place in _places(lengths).items():
        dtype = _NAMES[_TYPES[name].itemsize]
        fields[name] = {"dtype": dtype, "shape": [lengths[name]], "data_offsets": list(place)}
    text = json.dumps(fields).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _checked(content: NDArray[np.uint8], key: str) -> dict[str, Any]:
    """Every array of a file, after comparing its header with the one that `write` would give it, and its checksum."""
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header, body = content[:start].tobytes(), content[start:]
    fields = json.loads(header[8:])
    check = int(fields["__metadata__"]["crc32"])
    written = [name for name in _TYPES if "text" in fields or name not in _OF_PASSAGES]
    lengths = {name: fields[name]["shape"][0] for name in written}
    if header != _header(lengths, key, check):
        raise ValueError("its header is not one of this entry")
    places = _places(lengths)
    size = max(stop for _, stop in places.values())
    if len(body) != size:
        raise ValueError(f"it has {len(body)} bytes of arrays instead of {size}")
    if zlib.crc32(body.data) != check:
        raise ValueError("its arrays do not have their checksum")
    return {name: body[first:last].view(_TYPES[name]) for name, (first, last) in places.items()}
