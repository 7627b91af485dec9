"""Write the pages of all tasks, an overview and one page per kind, from the catalog: `python -m tools.tasks_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapterx.tasks.catalog import find, names
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.spec import TaskSpec

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"

_OVERVIEW = """\
# The tasks

The tasks that ship with adapterx, a YAML file each in `adapterx/tasks/catalog/`. A name leads to the task's labels,
splits, licence and citation. `adapterx tasks` lists the same with the sizes of what is here, `adapterx tasks show NAME`
prints examples. `local` stands for files under `$ADAPTERX_DATA`, in the places that the task's YAML names; `hub` for a
dataset on the Hub (`source: hub` in a recipe where it is not the first); `embedded` for data that are
[made on the spot](embedded-tasks.md).

This page and those of the kinds are written by `python -m tools.tasks_page`.
"""
_PAGE = """\
# Tasks: {kind}

Tasks of the format `{format}`. [All tasks](../tasks.md) · [the YAML of a task](../task-files.md)
"""


def pages() -> dict[Path, str]:
    """The text of each page, by its path below docs/reference."""
    kinds: dict[str, list[TaskSpec]] = {}
    for spec in map(find, names()):
        kinds.setdefault(spec.format, []).append(spec)
    found = {Path("tasks.md"): "\n".join([_OVERVIEW, *(_table(kind, specs) for kind, specs in sorted(kinds.items()))])}
    for kind, specs in kinds.items():
        head = _PAGE.format(kind=kind.replace("-", " "), format=kind)
        found[Path("tasks") / f"{kind}.md"] = "\n".join([head, *map(_section, specs)])
    return found


def _table(kind: str, specs: list[TaskSpec]) -> str:
    rows = [
        f"| [`{spec.name}`](tasks/{kind}.md#{spec.name}) | {_languages(spec)} | {', '.join(_in_order(spec))} |"
        f" {', '.join(spec.sources)} |"
        for spec in specs
    ]
    table = ["| task | languages | splits | sources |", "|---|---|---|---|", *rows]
    return f"## {kind.replace('-', ' ').capitalize()}\n\n" + "\n".join(table) + "\n"


def _languages(spec: TaskSpec) -> str:
    """Up to three by their codes, else their number."""
    return ", ".join(spec.languages) if len(spec.languages) < 4 else str(len(spec.languages))


def _in_order(spec: TaskSpec) -> Iterator[str]:
    there = {split for source in spec.sources.values() for split in _splits(source)}
    return (split for split in ("train", "dev", "test") if split in there)


def _section(spec: TaskSpec) -> str:
    facts = {
        "labels": f"those in `{spec.label_file}`, one a line" if spec.label_file else ", ".join(spec.labels),
        "metrics": ", ".join(spec.metrics),
        "languages": ", ".join(spec.languages) + (" (parallel)" if spec.parallel else ""),
        "splits": ", ".join(_in_order(spec)),
        "sources": ", ".join(f"{name} ({source.in_words})" for name, source in spec.sources.items()),
        "same task as": ", ".join(spec.same_task),
        "items of": "; ".join(
            f"{split} from {', '.join(f'{task} {one}' for task, parts in origins.items() for one in parts)}"
            for split, origins in spec.derived_from.items()
        ),
        "licence": spec.licence,
        "citation": spec.citation,
    }
    lines = [f"- {name}: {value}" for name, value in facts.items() if value]
    return f"## `{spec.name}`\n\n{spec.description}\n\n" + "\n".join(lines) + "\n"


def _splits(source: SourceSpec) -> tuple[str, ...]:
    if source.made_of is not None:
        task, name = source.made_of
        return _splits(find(task).sources[name])
    return source.split_names or ()


if __name__ == "__main__":
    for path, text in pages().items():
        (REFERENCE / path).parent.mkdir(exist_ok=True)
        (REFERENCE / path).write_text(text, encoding="utf-8")
