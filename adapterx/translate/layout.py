"""The files that are written: items by language and split, and the YAML of the task that reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapterx import places
from adapterx.config.wording import findings
from adapterx.store.atomic import write_stream, write_text
from adapterx.tasks.spec import TaskSpec
from adapterx.translate.errors import TranslationError
from adapterx.translate.request import Request

TRANSLATED, ORIGINAL = "translated", "original"
"""The written task's sources; the second has the items that were translated there and back as they were."""
_HEAD = "# Written by `adapterx translate`; provenance.json beside it says how.\n"


def file_name(request: Request, split: str, language: str, original: bool = False) -> str:
    """Of the items of a split in a language; `{language}` may stand for the language."""
    suffix = "json" if request.spec.kind.passages else "jsonl"
    return f"{split}-{language}.{ORIGINAL}.{suffix}" if original else f"{split}-{language}.{suffix}"


def write_items(request: Request, path: Path, examples: Iterable[Any]) -> None:
    """Write items, whole or not at all: JSON lines, of questions about passages SQuAD's JSON."""
    rows = (request.spec.kind.row(one, request.spec.labels) for one in examples)
    write_lines(path, _squad(rows) if request.spec.kind.passages else map(_json, rows))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines one after another as they come, whole or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    write_stream(path, write)


def _json(row: object) -> str:
    return json.dumps(row, ensure_ascii=False)


def _squad(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Paragraphs with the questions that follow one another about a passage, in their order."""
    yield '{"version": "1.1", "data": [{"title": "translated", "paragraphs": ['
    before = ""
    for context, questions in groupby(rows, lambda row: row["context"]):
        asked = [{key: value for key, value in row.items() if key != "context"} for row in questions]
        yield before + _json({"context": context, "qas": asked})
        before = ","
    yield "]}]}"


def columns(request: Request, first: Any) -> dict[str, str]:
    """Where the fields of an item stand in a row. Raises TranslationError for a kind that lacks some in its rows.

    Args:
        first: an item.
    """
    kind = request.spec.kind
    if kind.passages:
        return {"id": "id"}
    row = kind.row(first, request.spec.labels)
    if lacking := [field for field in kind.required if field not in row]:
        raise TranslationError(
            f"the task '{request.spec.name}' is not translated: the kind of task {kind.name} does not say how its"
            f" field '{lacking[0]}' is written"
        )
    return {field: field for field in row}


def described(
    request: Request, columns: Mapping[str, str], languages: Iterable[str], engine: str, blank: bool
) -> dict[str, Any]:
    """What the YAML says. Raises TranslationError where no task can say it.

    Args:
        languages: that have items.
        engine: what translated, for the description.
        blank: whether some texts are blank.
    """
    spec = request.spec
    splits = tuple(request.splits)
    through = f" through {request.via}" if request.via else ""
    labels = {"label_file": spec.label_file} if spec.label_file else {"labels": list(spec.labels)}
    said: dict[str, Any] = {
        "adapterx": 1,
        "name": request.name,
        "description": f"{spec.name} ({request.source}), machine-translated from {request.language}{through} by"
        f" {engine}: {' and '.join(splits)} items.",
        "format": spec.format,
        **(labels if spec.kind.labelled else {}),
        "metrics": list(spec.metrics),
        "languages": list(languages),
        "parallel": True,
        "tokens": spec.tokens,
        **({"unanswerable": True} if spec.unanswerable else {}),
        # Whoever learns from a translation has learnt from the item, which is what tests are guarded against.
        "derived_from": {
            split: {spec.name: [split]} | {name: list(of) for name, of in spec.derived_from.get(split, {}).items()}
            for split in splits
        },
        "same_task": list(dict.fromkeys([spec.name, *spec.same_task])),
        "licence": spec.licence,
        **({"citation": spec.citation} if spec.citation else {}),
    }
    via = {"via": request.via} if request.back else {}
    said["translated"] = {TRANSLATED: {"from": request.language, "by": "machine", **via}}
    said["sources"] = {TRANSLATED: _source(request, columns, blank)}
    if request.back:
        said["sources"][ORIGINAL] = _source(request, columns, blank, original=True)
    try:
        TaskSpec.model_validate(said)
    except ValidationError as error:
        found = findings(error.errors(include_url=False), TaskSpec)
        why = "; ".join(f"{'.'.join(map(str, one.location))}: {one.message}" for one in found)
        raise TranslationError(f"the task '{spec.name}' is not translated, since no task says so: {why}") from None
    return said


def _source(request: Request, columns: Mapping[str, str], blank: bool, original: bool = False) -> dict[str, Any]:
    folder = _folder(request.out)
    of = {"languages": [request.language]} if original else {}
    return {
        "kind": "local",
        "reader": "squad" if request.spec.kind.passages else "jsonl",
        "columns": dict(columns),
        **({"missing": "keep"} if blank else {}),
        "splits": {
            split: {"paths": f"{folder}/{file_name(request, split, '{language}', original)}", **of}
            for split in request.splits
        },
    }


def _folder(out: Path) -> str:
    """The directory as a YAML names it: as seen from the data directory where it is below it, else in full."""
    whole, data = out.resolve(), places.data().resolve()
    return str(whole.relative_to(data)) if whole.is_relative_to(data) and whole != data else str(whole)


def write_task(request: Request, said: Mapping[str, Any]) -> Path:
    """Write the YAML beside the items; its path."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1 << 20  # no text is folded
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(dict(said), stream)
    path = request.out / f"{request.name}.yaml"
    write_text(path, _HEAD + stream.getvalue())
    return path
