"""Write the page of all tasks from the catalog: `python -m tools.tasks_page > docs/reference/tasks.md`."""

from __future__ import annotations

from adapterx.tasks.catalog import find, names
from adapterx.tasks.spec import Embedded, Hub, Local, Search, Sentences, Source, TaskSpec

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
        "sources": ", ".join(f"{name} ({_place(source)})" for name, source in spec.sources.items()),
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


def _splits(source: Source) -> list[str]:
    if isinstance(source, Sentences):
        return _splits(find(source.task).sources[source.source])
    return list(source.sizes if isinstance(source, Embedded) else source.splits)


def _place(source: Source) -> str:
    if isinstance(source, Hub):
        return f"`{source.dataset}` on the Hub"
    if isinstance(source, Sentences):
        return f"sentences of the passages of `{source.task}`"
    return "files" if isinstance(source, Local | Search) else "made from CLDR data"


if __name__ == "__main__":
    print(page(), end="")
