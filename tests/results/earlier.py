"""A small store as adapterx wrote it before reader and writer of each file stood side by side (commit b665c8d).

`runs/earlier/run.json`, the records, predictions and logs of its stages, whose adapters are left out for their size;
and `tagging.parquet`, `answers.parquet`, `rankings.parquet` and `adapter.safetensors`, written by themselves.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from adapterx.store import Record, Store

HERE = Path(__file__).with_name("earlier")
RUN = HERE / "runs" / "earlier"


def store(directory: Path) -> Store:
    """A copy of the store, with files of the size of the adapters in their places."""
    shutil.copytree(HERE, directory)
    for path in directory.glob("stages/*/*/record.json"):
        for name, entry in json.loads(path.read_text(encoding="utf-8"))["files"].items():
            if not (path.parent / name).exists():
                with (path.parent / name).open("wb") as file:
                    file.truncate(entry["bytes"])
    return Store(directory)


def record(kind: str, label: str) -> Record:
    """The record of the one stage of that kind and name."""
    (path,) = HERE.glob(f"stages/{kind}/{label}-*/record.json")
    return Record.from_json(path.read_bytes())
