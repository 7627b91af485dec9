"""Files of unknown origin, read within bounds. Depends on no other package but `errors` and `wording`.

A file that a stranger sent, or that a failing disk damaged, must not hang or fill the memory: what is no regular file
is refused before it is opened, what is too large before it is read, and JSON that is nested too deeply, is not finite
or holds half a character is refused where it stands.
"""

from __future__ import annotations

import codecs
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

MEGABYTE = 1_000_000
LARGEST_CONFIG = MEGABYTE
"""Bytes of a configuration: those of real models and adapters have a few thousand."""


class UnreadableFile(ValueError):
    """What is wrong with a file or its content, without its name; callers say which file, as an error of their own."""


def regular(path: Path, largest: int | None = None) -> int:
    """The size in bytes of a regular file (or of the one that a link leads to).

    Raises FileNotFoundError, or UnreadableFile for a directory, a pipe or a device, and for more than `largest` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "a pipe, socket or device"
        raise UnreadableFile(f"is {kind}, no file")
    if largest is not None and found.st_size > largest:
        raise UnreadableFile(f"has {found.st_size:,} bytes, more than the {largest:,} that are read of such a file")
    return found.st_size


def items_file(path: Path) -> BinaryIO:
    """A stream of a file that the user names, or of the descriptor of a pipe, as a shell's `<(…)` gives it.

    Raises UnreadableFile for all else: a pipe with a name may have nobody who writes to it, and is waited for forever.
    """
    descriptor = path.parts[:2] == ("/", "dev") and stat.S_ISFIFO(path.stat().st_mode)
    if not descriptor:
        regular(path)
    return path.open("rb")


def read_text(path: Path, largest: int | None = LARGEST_CONFIG) -> str:
    """The content of a UTF-8 file, without the byte order mark that some editors put in front."""
    regular(path, largest)
    return decoded(path.read_bytes())


def decoded(content: bytes) -> str:
    """UTF-8 bytes as text, without the byte order mark that some editors put in front."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(not_utf8(error)) from None


_OTHER_MARKS = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32"} | {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order marks of encodings that no file is read in; the longer ones first, as one begins with another."""


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is said of a file that is no UTF-8, with the encoding where its first bytes tell it.

    Args:
        error: of decoding the file from its beginning.
    """
    for mark, name in _OTHER_MARKS.items():
        if error.object.startswith(mark):
            return f"is {name}, not UTF-8 text: save it as UTF-8"
    return f"is not UTF-8 text (byte {error.object[error.start]:#04x} at offset {error.start})"


def read_json(path: Path, largest: int | None = LARGEST_CONFIG) -> Any:
    """The value of a JSON file; every number in it is finite."""
    return parse_json(read_text(path, largest))


def parse_json(text: str | bytes, *, finite: bool = True, decimal: Callable[[str], float] = float) -> Any:
    """The value of a JSON text.

    Args:
        finite: whether NaN and infinities are refused; data files let them pass, where they may mean a missing value.
        decimal: what a number with a point or an exponent becomes, of its text; where infinities pass.

    Raises UnreadableFile for what is no JSON, is nested too deeply, or holds half of a surrogate pair.
    """
    constant, number = (_refuse_constant, _finite) if finite else (None, decimal)
    try:
        value = json.loads(text, parse_constant=constant, parse_float=number)
        if (b"\\ud" if isinstance(text, bytes) else "\\ud") in text.lower():  # type: ignore[operator]
            json.dumps(value, ensure_ascii=False).encode()
    except UnreadableFile:
        raise
    except UnicodeEncodeError:
        raise UnreadableFile("holds half of a surrogate pair, which is no character") from None
    except RecursionError:
        raise UnreadableFile("is nested too deeply") from None
    except ValueError as error:
        raise UnreadableFile(f"is not JSON ({error})") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableFile(f"holds {name}, which is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise UnreadableFile("holds a number too large to be stored")
    return number
