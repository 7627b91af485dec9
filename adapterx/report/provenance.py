"""Where the numbers come from: software, machine, cost, data, backbones, and the recipe itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO

from adapterx.report.analysis import Analysis
from adapterx.report.numbers import millions
from adapterx.report.table import DASH, Table, TableColumn, TableEntry
from adapterx.results import training
from adapterx.results.provenance import MeasuredCost, surroundings
from adapterx.results.run_file import Run, StageRef
from adapterx.store import JSON, Record

KINDS = ("intermediate", "target", "evaluation")
SHOWN = 3
"""Different values of one fact that are spelt out; more are counted."""

_HASH = re.compile(r"([0-9a-f]{12})[0-9a-f]{20,}")
"""A hash, of which twelve digits are enough for the eye; run.json has it whole."""


def tables(analysis: Analysis) -> list[Table]:
    """Environment, cost, backbones, data and stages."""
    results = analysis.results
    records = list(results.stages.values())
    found = [_environment(records), _cost(results.stages), _backbones(results.run), _data(records)]
    return [table for table in [*found, _stages(results.stages)] if table.rows]


def recipe(run: Run) -> str:
    """The recipe as it was run, overrides applied, as YAML."""
    from ruamel.yaml import YAML

    yaml, text = YAML(typ="rt", pure=True), StringIO()
    yaml.width = 100
    yaml.default_flow_style = None
    yaml.dump(_plain(run.recipe), text)
    return text.getvalue()


def seconds(records: Iterable[Record]) -> float:
    """Time that the stages took, added up."""
    return sum(MeasuredCost.of(record).seconds or 0 for record in records)


def _plain(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _environment(records: Iterable[Record]) -> Table:
    values: dict[str, dict[str, None]] = {}
    for record in records:
        for path, value in _flat(surroundings(record)):
            values.setdefault(path, {})[value] = None
    rows = [
        (path, "; ".join(found) if len(found) <= SHOWN else f"{len(found)} different values")
        for path, found in sorted(values.items())
    ]
    return _table("environment", "Software and machine.", ["fact", "value"], rows, labels=2)


def _cost(stages: Mapping[StageRef, Record]) -> Table:
    rows = []
    for kind in sorted({ref.kind for ref in stages}, key=KINDS.index):
        of_kind = [record for ref, record in stages.items() if ref.kind == kind]
        peak = max((MeasuredCost.of(record).peak_memory_bytes or 0 for record in of_kind), default=0)
        rows.append((kind, f"{len(of_kind):,}", f"{seconds(of_kind):,.1f}", _gigabytes(peak or None)))
    titles = ["stage", "number", "seconds", "peak memory, GB"]
    return _table(
        "cost",
        "Cost. Stages trained in one pass share its time by their tokens; memory is that of the process.",
        titles,
        rows,
    )


def _backbones(run: Run) -> Table:
    rows = [
        (
            one.name,
            one.model,
            one.revision or DASH,
            _HASH.sub(r"\1…", one.key),
            str(one.layers),
            str(one.hidden),
            millions(one.parameters),
        )
        for one in run.backbones.values()
    ]
    titles = ["backbone", "model", "revision", "content", "layers", "hidden", "parameters"]
    caption = "Backbones. Parameters are those of the encoder layers, without embeddings."
    return _table("backbones", caption, titles, rows, labels=4)


def _data(records: Iterable[Record]) -> Table:
    """Fingerprints of the data, which stages carry in their settings."""
    found: dict[tuple[str, ...], None] = {}
    for record in records:
        settings = record.settings
        tasks = settings.get("tasks")
        parts = dict(tasks) if isinstance(tasks, Mapping) else {str(settings.get("task")): settings}
        for task, part in parts.items():
            if isinstance(part, Mapping) and "data" in part:
                codes = part.get("languages")
                languages = ", ".join(map(str, codes)) if isinstance(codes, list) else DASH
                use = "test" if record.kind == "evaluation" else "training"
                found[str(task), use, languages, str(part["data"])[:16]] = None
    return _table("data", "Data.", ["task", "use", "languages", "fingerprint"], sorted(found), labels=4)


def _stages(stages: Mapping[StageRef, Record]) -> Table:
    rows = []
    for ref, record in stages.items():
        cost = MeasuredCost.of(record)
        counts = (cost.trained_parameters, training.number(record.result.get("steps")), cost.trained_together)
        time = cost.seconds
        rows.append(
            (
                *(ref.kind, ref.label, ref.id[:12], record.status),
                *(DASH if count is None else f"{count:,.0f}" for count in counts),
                DASH if time is None else f"{time:,.1f}",
                _gigabytes(cost.peak_memory_bytes),
            )
        )
    titles = [
        "stage",
        "name",
        "id",
        "status",
        "trained parameters",
        "steps",
        "in one pass",
        "seconds",
        "peak memory, GB",
    ]
    return _table("stages", "Stages.", titles, rows, labels=4)


def _gigabytes(size: float | None) -> str:
    return DASH if size is None else f"{size / 1e9:.2f}"


def _flat(value: JSON, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    elif value is not None:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(name: str, caption: str, titles: list[str], rows: Iterable[Iterable[str]], labels: int = 1) -> Table:
    columns = tuple(TableColumn(title, label=index < labels) for index, title in enumerate(titles))
    return Table(name, caption, columns, tuple(tuple(TableEntry(text) for text in row) for row in rows))
