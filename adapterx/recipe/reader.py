"""YAML file + overrides → Recipe, or one RecipeError that holds every problem with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from adapterx.config.document import DocumentError, Mapping, Scalar, compose, plain
from adapterx.config.document import Sequence as Items
from adapterx.config.places import placed, walk
from adapterx.config.problems import Finding, Location, Position, Problem, RecipeError
from adapterx.config.wording import findings
from adapterx.reading import UnreadableFile, read_text
from adapterx.recipe import overrides as override
from adapterx.recipe.references import unknown_names
from adapterx.recipe.schema import Recipe
from adapterx.wording import shown

MOST_ERRORS = 500
"""Errors of one recipe that are put into words: a page of them is shown."""


def read(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, with dotted overrides laid over it.

    Raises RecipeError with all problems found: those of syntax first, as nothing can be said about the rest of such
    a file; otherwise duplicate keys, mistyped values and undefined names together, in the order of the file.
    """
    root, problems = _document(Path(path), overrides)
    recipe, found = _validate(root, overrides)
    problems += [placed(root, one) for one in found]
    if recipe is None or problems:
        raise RecipeError(_ordered(problems, overrides))
    return recipe


def locate(path: Path | str, overrides: Sequence[str], found: Iterable[Finding]) -> RecipeError:
    """Findings of a later package about settings of this recipe, with their places in the file or the overrides."""
    root, _ = _document(Path(path), overrides)
    return RecipeError(_ordered([placed(root, one) for one in found], overrides))


def _document(path: Path, overrides: Sequence[str]) -> tuple[Mapping, list[Problem]]:
    try:
        root, problems = compose(_text(path), Position(str(path), 1, 1))
    except DocumentError as error:
        raise RecipeError([error.problem]) from None
    if root is None:
        raise RecipeError([Problem(str(path), "", "is empty", "a recipe begins with 'adapterx: 1'")])
    if not isinstance(root, Mapping):
        written = "a list" if isinstance(root, Items) else shown(root.text, 42)
        message = f"a recipe is a mapping of settings ('adapterx: 1', 'name: …'), not {written}"
        raise RecipeError([Problem(str(path), "", message, position=root.position)])
    root, refused = override.apply(root, overrides)
    return root, problems + refused


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        raise RecipeError([Problem(str(path), "", "no such file", _near(path))]) from None
    except UnreadableFile as error:
        message = "is a directory, not a recipe file" if path.is_dir() else str(error)
        raise RecipeError([Problem(str(path), "", message)]) from None
    except OSError as error:
        raise RecipeError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from None


def _near(path: Path) -> str:
    """A recipe of almost this name in the same directory; `.yml` and `.yaml` are easily confused."""
    if not path.parent.is_dir():
        return f"there is no directory '{path.parent}'"
    names = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml"))
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"did you mean '{path.parent / near[0]}'?" if near else ""


def _validate(root: Mapping, overrides: Sequence[str]) -> tuple[Recipe | None, list[Finding]]:
    data = plain(root)
    found = unknown_names(data)
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        typed = _as_typed(root, overrides, [one["loc"] for one in errors if one["type"] == "string_type"])
        if typed is not root:
            return _validate(typed, overrides)
        return None, [*found, *findings(errors[:MOST_ERRORS], Recipe)]
    return recipe, found


def _as_typed(root: Mapping, overrides: Sequence[str], wants_text: list[Location]) -> Mapping:
    """Where the schema wants text and an override's bare value reads as a number, take the characters as typed.

    A shell has eaten the quotes that would say so in a file (`backbones.base.revision=1234567`).
    """
    for location in wants_text:
        node, path = walk(root, location)
        if isinstance(node, Scalar) and node.bare and node.value is not None and node.position.file in overrides:
            text = Scalar(node.position, node.text, node.text, bare=False)
            root = override.replaced(root, [str(part) for part in path], text)
    return root


def _ordered(problems: list[Problem], overrides: Sequence[str]) -> list[Problem]:
    """File first, then overrides as given; by line and column; each problem once."""
    start = Position("", 0, 0)

    def key(problem: Problem) -> tuple[int, int, int]:
        at = problem.position or start
        return (1 + overrides.index(at.file) if at.file in overrides else 0, at.line, at.column)

    return sorted(dict.fromkeys(problems), key=key)
