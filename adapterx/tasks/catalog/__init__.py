"""The tasks that ship with adapterx, one YAML each, and the user's own beside the recipe."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapterx.errors import AdapterxError
from adapterx.reading import UnreadableFile, read_text
from adapterx.recipe.document import DocumentError, Mapping, Node, Sequence, compose, plain
from adapterx.recipe.problems import Position, did_you_mean, dotted
from adapterx.tasks.sources import local
from adapterx.tasks.sources.errors import MissingData
from adapterx.tasks.sources.files import root
from adapterx.tasks.spec import TaskSpec, check_tags
from adapterx.tasks.tag_schemes import SchemeError

_HERE = Path(__file__).parent
_SUFFIXES = (".yaml", ".yml")


class TaskError(AdapterxError, ValueError):
    """A task's YAML that cannot be used, with the place of every mistake."""


class UnknownTask(AdapterxError, LookupError):
    """No task of that name."""


def names() -> tuple[str, ...]:
    """Every task that ships with adapterx, in alphabetical order."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))


def find(name: str, beside: Path | None = None) -> TaskSpec:
    """The task of that name: `name.yaml` in the directory `beside` if it is there, else the catalog's.

    Its labels are those of its `label_file`, none while that is missing. Raises UnknownTask (with the nearest names),
    TaskError for a file that is not a task, or DataError for a file that holds no labels.
    """
    for suffix in _SUFFIXES if beside is not None else ():
        own = Path(str(beside)) / f"{name}{suffix}"
        if own.is_file():
            return _labelled(_read(own, own.stat().st_mtime_ns))
    if name not in names():
        hint = did_you_mean(name, names())
        place = f" or as {name}.yaml beside the recipe" if beside is not None else ""
        raise UnknownTask(f"no task '{name}' in the catalog{place}" + (f" ({hint})" if hint else ""))
    return _labelled(_read(_HERE / f"{name}.yaml", 0))


def _labelled(spec: TaskSpec) -> TaskSpec:
    if spec.label_file is None:
        return spec
    try:
        found = local.labels(spec.label_file)
        if "span_f1" in spec.metrics:
            check_tags(found, spec.name)
        return spec.model_copy(update={"labels": found})
    except SchemeError as error:
        raise TaskError(f"{root() / spec.label_file}: {error}") from None
    except MissingData:  # the catalog can be listed without anybody's files; whoever reads examples is told
        return spec


@lru_cache(maxsize=256)
def _read(path: Path, _modified: int) -> TaskSpec:
    try:
        root, repeated = compose(read_text(path), Position(str(path), 1, 1))
    except DocumentError as error:
        raise TaskError(str(error.problem)) from None
    except UnreadableFile as error:
        raise TaskError(f"{path}: {error}") from None
    if repeated:
        raise TaskError("\n".join(str(problem) for problem in repeated))
    if not isinstance(root, Mapping):
        raise TaskError(f"{path}: a task is a mapping of settings ('adapterx: 1', 'name: …')")
    try:
        spec = TaskSpec.model_validate(plain(root))
    except ValidationError as error:
        raise TaskError("\n".join(_worded(root, detail) for detail in error.errors())) from None
    if spec.name != path.stem:
        raise TaskError(f"{path}: is named '{spec.name}', so its file should be {spec.name}.yaml")
    return spec


def _worded(root: Node, detail: Any) -> str:
    own = getattr(detail.get("ctx", {}).get("error"), "location", ())
    walked, position = _walk(root, (*detail["loc"], *own))
    message = {
        "missing": f"'{detail['loc'][-1]}' is missing" if detail["loc"] else "",
        "extra_forbidden": "unknown key",
    }
    text = message.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    path = dotted(walked)
    return f"{position.file}:{position.line}:{position.column}: {path + ': ' if path else ''}{text}"


def _walk(node: Node, location: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], Position]:
    """As far down as the location leads; names of the schema's own alternatives are stepped over."""
    walked: tuple[str | int, ...] = ()
    for step in location:
        if isinstance(node, Mapping) and step in node.entries:
            node = node.entries[str(step)].node
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            continue
        walked = (*walked, step)
    return walked, node.position
