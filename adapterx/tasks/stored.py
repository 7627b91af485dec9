"""Encoded examples in one file, read back by memory map.

The file is a safetensors file: eight bytes with the length of a JSON header, the header, then the arrays end to end,
little-endian (huggingface/safetensors, README, "Format"). Wider numbers come first, so that each array lies aligned.
Example ids are one array of UTF-8 bytes and one of offsets. The header also holds the entry's key and a CRC-32 of all
that follows it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from adapterx.store import write_stream
from adapterx.tasks.encoded import Encoded, offsets

LAYOUT = 1
"""Raised whenever the same examples would be written as another file."""

_OFFSETS = ("sequence_offsets", "example_sequences", "read_tokens", "example_reads", "labels", "example_labels")
_TYPES: Mapping[str, np.dtype[Any]] = {
    **dict.fromkeys((*_OFFSETS, "id_offsets"), np.dtype("<i8")),
    "tokens": np.dtype("<i4"),
    "id_text": np.dtype("u1"),
}
"""Every array of a file, in order."""
_NAMES = {8: "I64", 4: "I32", 1: "U8"}
_BLOCK = 4096  # ids decoded at a time where all are wanted
_SURROGATES = "surrogatepass"  # JSON data can hold half a surrogate pair, which plain UTF-8 refuses


class DamagedEntry(ValueError):
    """A file that is not what its writer wrote."""


class StoredIds(Sequence[str]):
    """Example ids decoded when they are asked for. Not equal to a tuple of the same ids: compare `tuple(ids)`.

    Args:
        text: (bytes) the ids end to end, UTF-8.
        offsets: (n + 1) into text.
    """

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._text = text
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

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
        bounds = self._offsets[start : stop + 1].tolist()
        text = self._text[bounds[0] : bounds[-1]].tobytes()
        for first, last in pairwise(bounds):
            yield text[first - bounds[0] : last - bounds[0]].decode(errors=_SURROGATES)


def packed_ids(ids: Iterable[str]) -> StoredIds:
    """Ids as bytes end to end: many of them take a fraction of the memory of as many objects."""
    text: bytearray = bytearray()
    lengths: list[int] = []
    for id in ids:
        before = len(text)
        text += id.encode(errors=_SURROGATES)
        lengths.append(len(text) - before)
    return StoredIds(np.frombuffer(bytes(text), dtype=np.uint8), offsets(np.asarray(lengths, dtype=np.int64)))


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
        ids = StoredIds(arrays.pop("id_text"), arrays.pop("id_offsets"))
        return Encoded(ids=ids, **arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DamagedEntry(f"{path}: {error}") from error


def _arrays(encoded: Encoded) -> dict[str, NDArray[Any]]:
    ids = [id.encode(errors=_SURROGATES) for id in encoded.ids]
    own = {
        "id_offsets": offsets([len(id) for id in ids]),
        "id_text": np.frombuffer(b"".join(ids), dtype=np.uint8),
    }
    return {
        name: np.ascontiguousarray(own[name] if name in own else getattr(encoded, name), dtype=type_)
        for name, type_ in _TYPES.items()
    }


def _places(lengths: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Where each array begins and ends, in bytes after the header."""
    places, start = {}, 0
    for name, type_ in _TYPES.items():
        stop = start + lengths[name] * type_.itemsize
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
    lengths = {name: fields[name]["shape"][0] for name in _TYPES}
    if header != _header(lengths, key, check):
        raise ValueError("its header is not one of this entry")
    places = _places(lengths)
    _, size = places["id_text"]
    if len(body) != size:
        raise ValueError(f"it has {len(body)} bytes of arrays instead of {size}")
    if zlib.crc32(body.data) != check:
        raise ValueError("its arrays do not have their checksum")
    return {name: body[first:last].view(_TYPES[name]) for name, (first, last) in places.items()}
