"""Files of `torch.save`, looked at without torch: which tensors they hold, and whether their numbers are all there.

Since torch 1.6 such a file is a ZIP archive: `NAME/data.pkl` is the pickle, `NAME/data/KEY` the numbers of a storage,
never compressed, so that they can be mapped into memory. Before, it was five pickles (a magic number, a version, the
machine, the objects, the keys of storages) and the numbers behind them, which can only be read whole.
"""

from __future__ import annotations

import errno
import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapterx.backbones.errors import BackboneError
from adapterx.backbones.pickle_opcodes import LARGEST_PICKLE, PickleOutline, StorageOutline, TensorOutline, tensors
from adapterx.reading import MEGABYTE, UnreadableFile, regular
from adapterx.wording import plain, shown

_ZIP = b"PK\3\4"
_OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number of torch before 1.6, pickled."""
_OLD_VERSION = 1001
_SIZE_BYTES = 8  # before the numbers of each storage of an old file
_END, _END64 = 22, 56 + 20
"""Bytes of the records at the end of a ZIP: where its directory is, and the same in 64 bits with its locator."""
_LARGEST_DIRECTORY = 16 * MEGABYTE
_CUT = "is not whole: fetch it again"


@dataclass(frozen=True)
class PickledFile:
    """A file of `torch.save` that holds a dictionary of tensors and nothing else."""

    path: Path
    tensors: Mapping[str, TensorOutline]
    mapped: bool
    """Whether it can be mapped into memory; one of torch before 1.6 has to be read whole."""


def outlined(path: Path, model: str) -> PickledFile:
    """What a pickled weight file of a backbone holds, as `opened` says it.

    Raises BackboneError for anything but tensors, and for a file that is damaged or not whole.

    Args:
        model: whose it is, for messages.
    """
    try:
        return opened(path)
    except FileNotFoundError:
        raise BackboneError(f"{plain(model, None)} lacks {path.name}; fetch or save the checkpoint again") from None
    except UnreadableFile as error:
        raise BackboneError(f"the weights of {plain(model, None)} cannot be read: {path.name} {error}") from None


def opened(path: Path) -> PickledFile:
    """What a pickled file holds; no code of it runs, and no more of it is read than its opcodes.

    Raises FileNotFoundError, and UnreadableFile for anything but tensors and for a file that is damaged or not whole.
    """
    size = regular(path)
    with path.open("rb") as stream:
        mapped = stream.read(len(_ZIP)) == _ZIP
        stream.seek(0)
        found = _zipped(stream, size) if mapped else _old(stream, size)
    return PickledFile(path, found, mapped)


def _zipped(stream: BinaryIO, size: int) -> dict[str, TensorOutline]:
    if _directory_bytes(stream, size) > _LARGEST_DIRECTORY:
        raise UnreadableFile("is a ZIP archive of too many files")
    try:
        with zipfile.ZipFile(stream) as archive:
            records = {record.filename: record for record in archive.infolist()}
            _check_records(archive, size)
            top = next(iter(records), "").partition("/")[0]
            if f"{top}/constants.pkl" in records:
                raise UnreadableFile("is a TorchScript program, and no dictionary of tensors: save its state_dict()")
            program = records.get(f"{top}/data.pkl")
            if program is None:
                raise UnreadableFile("is a ZIP archive, and none of torch.save")
            if program.file_size > LARGEST_PICKLE:
                raise UnreadableFile(_too_much(program.file_size))
            content = archive.read(program)
    except UnreadableFile:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise UnreadableFile(_CUT) from None
    except (zipfile.BadZipFile, ValueError, LookupError, OverflowError, EOFError, RuntimeError, struct.error):
        raise UnreadableFile(_CUT) from None
    outline = PickleOutline(io.BytesIO(content))
    for storage in outline.storages.values():
        record = records.get(f"{top}/data/{storage.key}")
        if record is None or record.file_size != storage.bytes:
            raise UnreadableFile(f"lacks some of the numbers {shown(storage.key)} that it describes: fetch it again")
    return tensors(outline.result)


def _directory_bytes(stream: BinaryIO, size: int) -> int:
    """Bytes of a ZIP's directory, by the records at its end (PKWARE's APPNOTE, 4.3.14 to 4.3.16)."""
    stream.seek(max(0, size - _END64 - _END))
    tail = stream.read()
    end, before = tail[-_END:], tail[:-_END]
    if len(end) < _END or not end.startswith(b"PK\5\6"):
        raise UnreadableFile(_CUT)
    length: int = struct.unpack_from("<I", end, 12)[0]
    if len(before) == _END64 and before.startswith(b"PK\6\6"):
        wide: int = struct.unpack_from("<Q", before, 40)[0]
        length = wide if length == 0xFFFFFFFF else max(length, wide)
    return length


def _check_records(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive whose parts are compressed, enciphered, of one name or larger than the file."""
    records = archive.infolist()
    if len({record.filename for record in records}) < len(records):
        raise UnreadableFile("has two parts of one name")
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
            raise UnreadableFile("has compressed parts, which torch.save never writes")
    if sum(record.file_size for record in records) > size:
        raise UnreadableFile("describes more than it holds")


def _old(stream: BinaryIO, size: int) -> dict[str, TensorOutline]:
    start = stream.read(LARGEST_PICKLE)
    if not start.startswith(_OLD):
        raise UnreadableFile("is no file of torch.save, or not whole: fetch it again")
    pickles = io.BytesIO(start)
    try:
        _magic, version, _machine = (PickleOutline(pickles).result for _ in range(3))
        outline = PickleOutline(pickles)
        keys = PickleOutline(pickles).result
    except UnreadableFile:
        if size > LARGEST_PICKLE and pickles.tell() >= LARGEST_PICKLE:
            raise UnreadableFile(_too_much(size)) from None
        raise
    if version != _OLD_VERSION:
        raise UnreadableFile("is of a version of torch.save that nobody knows")
    found = tensors(outline.result)
    _check_numbers(outline.storages, keys, size - pickles.tell())
    return found


def _check_numbers(storages: Mapping[str, StorageOutline], keys: object, room: int) -> None:
    """Refuse an old file without the numbers of every storage."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UnreadableFile(_CUT)
    if sorted(keys) != sorted(storages):
        raise UnreadableFile("lacks some of the numbers that it describes: fetch it again")
    if sum(_SIZE_BYTES + storage.bytes for storage in storages.values()) > room:
        raise UnreadableFile(_CUT)


def _too_much(bytes: int) -> str:
    return f"has {bytes:,} bytes of objects, more than the {LARGEST_PICKLE:,} that tensors are described in"
