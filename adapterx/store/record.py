"""What a finished stage says about itself, and what a failed one leaves behind."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from adapterx.reading import UnreadableFile, parse_json, regular
from adapterx.store.identity import JSON
from adapterx.wording import plain, shown

Status = Literal["done", "diverged"]
FailureStatus = Literal["failed", "out-of-memory", "out-of-disk"]
SCHEMA = 1
LARGEST = 64_000_000
"""Bytes of a record or failure that are read; the largest real ones, of tuned mergers, have a few million."""
DEEPEST = 64
"""Mappings and lists inside each other: settings have some six."""

T = TypeVar("T")


class InvalidRecord(ValueError):
    """A record or failure that cannot be what its writer wrote."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a stage."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """A stage that ran to its end. A diverged one counts: run again, it would diverge again."""

    id: str
    kind: str
    label: str
    status: Status
    settings: Mapping[str, JSON]
    inputs: tuple[str, ...]
    result: Mapping[str, JSON]
    files: Mapping[str, FileEntry]
    provenance: Mapping[str, JSON]

    def to_json(self) -> dict[str, JSON]:
        """Return the content of record.json."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "kind": self.kind,
            "slug": self.label,
            "status": self.status,
            "settings": self.settings,
            "inputs": list(self.inputs),
            "result": self.result,
            "files": {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in self.files.items()},
            "provenance": self.provenance,
        }

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """Validate the bytes of a record.json; InvalidRecord says what is wrong."""
        fields = _mapping(_parse(text), "record")
        if fields.get("schema") != SCHEMA:
            raise InvalidRecord(f"schema is {shown(fields.get('schema'))}, not {SCHEMA}")
        files = {name: _file(name, entry) for name, entry in _mapping(fields.get("files"), "files").items()}
        inputs = _is(fields, "inputs", list)
        if not all(isinstance(upstream, str) for upstream in inputs):
            raise InvalidRecord("inputs are not all strings")
        return cls(
            id=_is(fields, "id", str),
            kind=_is(fields, "kind", str),
            label=_is(fields, "slug", str),
            status=cast(Status, _one_of(fields, "status", get_args(Status))),
            settings=_mapping(fields.get("settings"), "settings"),
            inputs=tuple(inputs),
            result=_mapping(fields.get("result"), "result"),
            files=files,
            provenance=_mapping(fields.get("provenance"), "provenance"),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage has no record; the next run tries it again."""

    status: FailureStatus
    message: str
    when: str
    """ISO 8601, with its offset."""

    def to_json(self) -> dict[str, JSON]:
        """Return the content of failure.json."""
        return {"status": self.status, "message": self.message, "when": self.when}

    @classmethod
    def from_json(cls, text: bytes) -> Failure:
        """Validate the bytes of a failure.json; InvalidRecord says what is wrong."""
        fields = _mapping(_parse(text), "failure")
        status = cast(FailureStatus, _one_of(fields, "status", get_args(FailureStatus)))
        return cls(status, _is(fields, "message", str), _is(fields, "when", str))


def read_record(path: Path) -> Record | None:
    """Return the record in a file, None if there is no file; InvalidRecord if it is not one."""
    text = _content(path)
    return None if text is None else Record.from_json(text)


def read_failure(path: Path) -> Failure | None:
    """Return the failure in a file, None if there is no file; InvalidRecord if it is not one."""
    text = _content(path)
    return None if text is None else Failure.from_json(text)


def _content(path: Path) -> bytes | None:
    try:
        regular(path, LARGEST)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise InvalidRecord("it is no directory") from None
    except UnreadableFile as error:
        raise InvalidRecord(f"{path.name} {error}") from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise InvalidRecord(f"{path.name} cannot be read (input/output error)") from error


def _parse(text: bytes) -> object:
    try:
        value: object = parse_json(text)
    except UnreadableFile as error:
        raise InvalidRecord(f"it {error}") from error
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise InvalidRecord("it is nested too deeply")
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
    return value


def _inside(value: dict[str, object] | list[object]) -> Collection[object]:
    return value.values() if isinstance(value, dict) else value


def _mapping(value: object, what: str) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise InvalidRecord(f"{what} is not a mapping")
    return value


def _is(fields: Mapping[str, object], key: str, type_: type[T]) -> T:
    value = fields.get(key)
    if not isinstance(value, type_):
        raise InvalidRecord(f"{key} is {shown(value)}, not a {type_.__name__}")
    return value


def _one_of(fields: Mapping[str, object], key: str, known: tuple[str, ...]) -> str:
    value = _is(fields, key, str)
    if value not in known:
        raise InvalidRecord(f"{key} is {shown(value)}, not one of {', '.join(known)}")
    return value


def _file(name: str, entry: object) -> FileEntry:
    fields = _mapping(entry, f"file {plain(name)}")
    digest, size = fields.get("sha256"), fields.get("bytes")
    if not isinstance(digest, str) or len(digest) != 64 or type(size) is not int or size < 0:
        raise InvalidRecord(f"file {plain(name)} lacks its SHA-256 or size")
    return FileEntry(digest, size)
