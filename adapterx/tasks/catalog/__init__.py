"""The tasks that ship with adapterx, one YAML each, and the user's own beside the recipe."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from adapterx.config.document import DocumentError, Mapping, compose, plain
from adapterx.config.places import placed
from adapterx.config.problems import MOST_TOLD, Finding, Position, did_you_mean
from adapterx.config.wording import findings
from adapterx.errors import AdapterxError
from adapterx.reading import UnreadableFile, read_text
from adapterx.tasks.sources.errors import MissingData
from adapterx.tasks.sources.files import root as data_directory
from adapterx.tasks.sources.labels import labels
from adapterx.tasks.spec import TaskSpec, check_tags
from adapterx.tasks.tag_schemes import SchemeError
from adapterx.wording import plain as printable

_HERE = Path(__file__).parent
_SUFFIXES = (".yaml", ".yml")


class TaskError(AdapterxError, ValueError):
    """A task's YAML that cannot be used, with the place of every mistake."""


class UnknownTask(AdapterxError, LookupError):
    """No task of that name."""


def names() -> tuple[str, ...]:
    """Every task that ships with adapterx, in alphabetical order."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))


def own(directory: Path) -> tuple[str, ...]:
    """The tasks that YAML files in a directory describe, in alphabetical order; recipes beside them are none.

    A file counts as a task's if a line of it begins with `format:` or `sources:`, whether or not it can be used.
    """
    found = set()
    for path in sorted(directory.glob("*.y*ml")):
        try:
            text = read_text(path) if path.suffix in _SUFFIXES else ""
        except (OSError, UnreadableFile):
            continue
        if _OF_A_TASK.search(text):
            found.add(path.stem)
    return tuple(sorted(found))


_OF_A_TASK = re.compile(r"^(format|sources)[ \t]*:", re.MULTILINE)
_OF_A_RECIPE = re.compile(r"^(backbones|targets)[ \t]*:", re.MULTILINE)


def find(name: str, beside: Path | None = None) -> TaskSpec:
    """The task of that name: `name.yaml` in the directory `beside` if it is there and no recipe, else the catalog's.

    Its labels are those of its `label_file`, none while that is missing. Raises UnknownTask (with the nearest names),
    TaskError for a file that is not a task, or DataError for a file that holds no labels.
    """
    for suffix in _SUFFIXES if beside is not None else ():
        own = Path(str(beside)) / f"{name}{suffix}"
        if own.is_file() and not _is_recipe(own):
            return _labelled(_read(own, own.stat().st_mtime_ns))
    if name not in names():
        hint = did_you_mean(name, names())
        place = f" or as {printable(name)}.yaml beside the recipe" if beside is not None else ""
        raise UnknownTask(f"no task '{printable(name)}' in the catalog{place}" + (f" ({hint})" if hint else ""))
    return _labelled(_read(_HERE / f"{name}.yaml", 0))


def _is_recipe(path: Path) -> bool:
    """Whether a YAML file describes a grid: one may bear the name of a task that it uses."""
    try:
        return _OF_A_RECIPE.search(read_text(path)) is not None
    except (OSError, UnreadableFile):
        return False


def _labelled(spec: TaskSpec) -> TaskSpec:
    if spec.label_file is None:
        return spec
    try:
        found = labels(spec.label_file)
        if "span_f1" in spec.metrics:
            check_tags(found, spec.name)
        return spec.model_copy(update={"labels": found})
    except SchemeError as error:
        raise TaskError(f"{data_directory() / spec.label_file}: {error}") from None
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
        found = findings(error.errors(include_url=False), TaskSpec)
        raise TaskError("\n".join(dict.fromkeys(_worded(root, one) for one in found[:MOST_TOLD]))) from None
    if spec.name != path.stem:
        raise TaskError(f"{path}: is named '{spec.name}', so its file should be {spec.name}.yaml")
    return spec


def _worded(root: Mapping, one: Finding) -> str:
    """A finding with its place; what is missing is named in the message, since it has none of its own."""
    if one.message == "is missing" and one.location:
        one = replace(one, location=one.location[:-1], message=f"'{one.location[-1]}' is missing")
    return str(placed(root, one))
