"""Files that a failing disk, an interrupted download, an editor or a stranger left, and JSON with one value changed."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Break = Callable[[Path], None]
"""Puts something broken in the place of a good file."""


def _bytes(change: Callable[[bytes], bytes]) -> Break:
    def broken(path: Path) -> None:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(change(content))

    return broken


def _replaced(make: Callable[[Path], None]) -> Break:
    def broken(path: Path) -> None:
        path.unlink()
        make(path)

    return broken


def _flipped(content: bytes) -> bytes:
    """One bit of about every twentieth byte."""
    chance = random.Random(len(content))
    return bytes(one ^ (1 << chance.randrange(8)) if chance.random() < 0.05 else one for one in content)


NEVER: dict[str, Break] = {
    "missing": _replaced(lambda path: None),
    "a directory": _replaced(Path.mkdir),
    "a pipe": _replaced(os.mkfifo),
    "an endless device": _replaced(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": _replaced(lambda path: path.symlink_to(path)),
    "random bytes": _bytes(lambda content: random.Random(1).randbytes(4000)),
    "a byte that is no text": _bytes(
        lambda content: content[: len(content) // 2] + b"\xff\xfe" + content[len(content) // 2 :]
    ),
}
"""What no reader of text or weights can take."""

PERHAPS: dict[str, Break] = {
    "empty": _bytes(lambda content: b""),
    "an end of line": _bytes(lambda content: b"\n"),
    "half of it": _bytes(lambda content: content[: len(content) // 2]),
    "one byte less": _bytes(lambda content: content[:-1]),
    "one byte": _bytes(lambda content: content[:1]),
    "zeros": _bytes(lambda content: bytes(len(content))),
    "a block of zeros": _bytes(lambda content: content[:10] + bytes(len(content[10:-10])) + content[-10:]),
    "flipped bits": _bytes(_flipped),
    "twice": _bytes(lambda content: content + content),
    "an order mark": _bytes(lambda content: b"\xef\xbb\xbf" + content),
    "UTF-16": _bytes(lambda content: content.decode("utf-8", "replace").encode("utf-16")),
    "carriage returns": _bytes(lambda content: content.replace(b"\n", b"\r")),
    "Windows ends of lines": _bytes(lambda content: content.replace(b"\n", b"\r\n")),
    "a terminal's commands": _bytes(lambda content: content.replace(b"a", b"\x1b]0;x\x07\xe2\x80\xae", 3)),
    "a web page": _bytes(lambda content: b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n"),
    "a pointer of git LFS": _bytes(
        lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    ),
    "one long line": _bytes(lambda content: b"x" * 200_000),
    "deep brackets": _bytes(lambda content: b"[" * 100_000),
    "deep braces": _bytes(lambda content: b'{"a":' * 100_000),
}
"""What one reader refuses and another may take as it is."""

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 5,
    "minus one": -1,
    "a fraction": 0.5,
    "huge": 10**30,
    "tiny": 1e-320,
    "an empty text": "",
    "a text": "x",
    "a pattern that backtracks": "(([a-z.0-9]+)+)+!",
    "a path upwards": "../../etc/passwd",
    "a long text": "y" * 5000,
    "an escape sequence": "a\x1b[31mb\u202ec",
    "an empty list": [],
    "a list of null": [None],
    "a list of lists": [[]],
    "a list of texts": ["x"],
    "an empty mapping": {},
    "a mapping": {"x": 1},
}
"""Values of every type, in the place of another one."""
GONE = object()
"""In the place of a value: the key is left out."""


def mutations(content: Any, values: int | None = None) -> Iterator[tuple[str, Any]]:
    """Name and copy of a JSON value with one part replaced, for every part and each of VALUES, and each part left out.

    Args:
        values: only so many of them for each part, others for each.
    """
    for number, path in enumerate(_paths(content)):
        given = list(VALUES.items())
        if values is not None:
            given = random.Random(number).sample(given, values)
        for what, value in [*given, ("left out", GONE)]:
            if path or value is not GONE:
                yield f"{'.'.join(map(str, path)) or 'all'}: {what}", _with(content, path, value)


def _paths(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in list(parts)[:12]:  # of a vocabulary some entries
        yield from _paths(part, (*path, key))


def _with(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(content, dict):
        changed = {key: _with(part, tuple(rest), value) if key == first else part for key, part in content.items()}
        return {key: part for key, part in changed.items() if part is not GONE}
    found = [_with(part, tuple(rest), value) if at == first else part for at, part in enumerate(content)]
    return [part for part in found if part is not GONE]


def rewrite(path: Path, content: Any) -> None:
    """JSON in the place of a file, which may be read-only."""
    path.unlink()
    path.write_text(json.dumps(content), encoding="utf-8")


def _tensors(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Break:
    def broken(path: Path) -> None:
        tensors = change(load_file(path))
        path.unlink()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})

    return broken


def _header(change: Callable[[dict[str, Any]], bytes | None]) -> Break:
    """Another header before the same bytes: the one that is returned, or the given one as it was changed."""

    def broken(path: Path) -> None:
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        changed = change(header)
        text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
        path.unlink()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return broken


def _first(change: Callable[[Tensor], Tensor]) -> Break:
    """Another tensor in the place of the first."""
    return _tensors(lambda tensors: {**tensors, min(tensors): change(tensors[min(tensors)])})


def _with_one(value: float) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor.view(-1)[-1] = value
        return tensor

    return change


def _offsets(start: int, stop: int) -> Break:
    def change(header: dict[str, Any]) -> None:
        header[min(set(header) - {"__metadata__"})]["data_offsets"] = [start, stop]

    return _header(change)


WEIGHTS: dict[str, Break] = {
    "a header without end": _bytes(lambda content: struct.pack("<Q", 2**63) + content[8:]),
    "a header larger than the file": _bytes(lambda content: struct.pack("<Q", len(content)) + content[8:]),
    "a header that is no JSON": _header(lambda header: b"{" * 50),
    "a header that is a list": _header(lambda header: b"[]"),
    "a header nested deeply": _header(lambda header: b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "offsets beyond the file": _offsets(0, 10**15),
    "offsets backwards": _offsets(100, 4),
    "offsets that overlap": _offsets(4, 8),
    "no tensor": _tensors(lambda tensors: {}),
    "one tensor less": _tensors(lambda tensors: {name: tensors[name] for name in sorted(tensors)[1:]}),
    "other names": _tensors(lambda tensors: {f"x.{name}": tensor for name, tensor in tensors.items()}),
    "another shape": _first(lambda tensor: tensor.repeat(*[2] * tensor.dim())),
    "a scalar": _first(lambda tensor: torch.tensor(1.0)),
    "nothing of a shape": _first(lambda tensor: tensor[:0]),
    "whole numbers": _first(lambda tensor: tensor.to(torch.int64)),
    "booleans": _first(lambda tensor: tensor > 0),
    "not a number": _first(_with_one(float("nan"))),
    "infinite": _first(_with_one(float("-inf"))),
}
"""What no reader of weights can take, beside NEVER."""


def copied(source: Path, target: Path) -> Path:
    """A directory whose files may be broken."""
    shutil.copytree(source, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target
