"""Finished stages on disk, addressed by content. Depends on no other package."""

from adapterx.store.atomic import write_bytes, write_json, write_stream, write_text
from adapterx.store.identity import JSON, canonical, fingerprint
from adapterx.store.record import Failure, FailureStatus, FileEntry, InvalidRecord, Record, Status
from adapterx.store.store import DamagedFile, Store

__all__ = [
    "JSON",
    "DamagedFile",
    "Failure",
    "FailureStatus",
    "FileEntry",
    "InvalidRecord",
    "Record",
    "Status",
    "Store",
    "canonical",
    "fingerprint",
    "write_bytes",
    "write_json",
    "write_stream",
    "write_text",
]
