"""Write docs/tasks.md, the page of all tasks, from the catalog: `python -m tools.tasks_page > docs/tasks.md`."""

from __future__ import annotations

from adapterx.tasks.catalog import find, names
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.spec import TaskSpec

_HEAD = """\
# The tasks

What ships with adapterx, one YAML file each in `adapterx/tasks/catalog/`. This page is made from them by
`python -m tools.tasks_page`. `adapterx tasks` lists the same with the sizes of what is here.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(find(name)) for name in names())])


def _section(spec: TaskSpec) -> str:
    splits = {split for source in spec.sources.values() for split in _splits(source)}
    facts = {
        "format": spec.format.replace("-", " "),
        "labels": f"those in `{spec.label_file}`, one a line" if spec.label_file else ", ".join(spec.labels),
        "metrics": ", ".join(spec.metrics),
        "languages": ", ".join(spec.languages) + (" (parallel)" if spec.parallel else ""),
        "splits": ", ".join(split for split in ("train", "dev", "test") if split in splits),
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
    print(page(), end="")
