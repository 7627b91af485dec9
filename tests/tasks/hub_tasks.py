"""Datasets in the Hub's layouts, tasks that read them, and what a fresh process says of both."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tests.support.command import ROOT
from tests.support.hub import Hub

CONVERSION = "refs/convert/parquet"
PROGRAM = """
import dataclasses, json, sys
from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.spec import TaskSpec
def answer(task, call, *args):
    spec = TaskSpec.model_validate(task)
    args = [Limit(**one) if isinstance(one, dict) and "items" in one else one for one in args]
    try:
        found = getattr(data, call)(spec, *args)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if call == "counted":
        return dataclasses.asdict(found)
    return [dataclasses.asdict(example) for example in found] if call in ("load", "stream") else found
for line in sys.stdin:
    task, *question = json.loads(line)
    print(json.dumps(answer(task, *question)), flush=True)
"""


def parquet(rows: Sequence[Mapping[str, Any]], group: int | None = None) -> bytes:
    """A parquet file of rows, in row groups of this many."""
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), stream, row_group_size=group)
    return stream.getvalue()


def task(source: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A task of pairs in two languages, read from the Hub."""
    return {
        "adapterx": 1,
        "name": "mine",
        "description": "…",
        "format": "pair-classification",
        "labels": ["no", "yes"],
        "metrics": "accuracy",
        "languages": ["en", "de"],
        "licence": "CC0-1.0",
        "sources": {"hub": {"kind": "hub", **source}},
        **settings,
    }


def ask(hub: Hub, *questions: Sequence[Any], token: str | None = None, told: str = "") -> list[Any]:
    """The answers of a fresh process that knows no hub but this one, and says nothing but `told` on stderr."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= hub.environment(hub.root.parent / "home", token)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        input="".join(json.dumps(question) + "\n" for question in questions),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stderr and len(done.stderr.splitlines()) == bool(told), done.stderr
    assert token is None or token not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def cache(hub: Hub) -> Path:
    """Where the processes of `ask` keep what they fetch."""
    return hub.root.parent / "home" / "hub"
