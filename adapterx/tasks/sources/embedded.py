"""The tasks made from CLDR data: which generator serves which task, and what identifies its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import cast

from adapterx.tasks.examples import Example, Split
from adapterx.tasks.spec import Embedded, TaskSpec

Generator = Callable[[str, Split, int, int], list[Example]]

FAMILY_VERSION = 1
"""Raised whenever the shared items, their splits or their names would come out differently."""

_MODULES: Mapping[str, str] = {
    "time-order": "adapterx.tasks.cldr.time_order",
    "time-latest": "adapterx.tasks.cldr.time_latest",
    "time-mentions": "adapterx.tasks.cldr.time_mentions",
    "place-match": "adapterx.tasks.cldr.place_match",
    "place-choice": "adapterx.tasks.cldr.place_choice",
    "cldr-text": "adapterx.tasks.cldr.text",
}


def load(spec: TaskSpec, source: Embedded, language: str, split: Split) -> list[Example]:
    """All examples of a split in a language."""
    if language not in spec.languages:
        raise ValueError(f"the task '{spec.name}' has no language '{language}'")
    generate = cast(Generator, import_module(_module(spec)).examples)
    return generate(language, split, source.sizes.get(split, 0), source.seed)


def digest(spec: TaskSpec, source: Embedded) -> dict[str, str | int]:
    """What decides the examples: the generator and its version, Babel's, and the seed."""
    return {
        "babel": version("Babel"),
        "family": FAMILY_VERSION,
        "generator": spec.name,
        "version": import_module(_module(spec)).VERSION,
        "seed": source.seed,
    }


def _module(spec: TaskSpec) -> str:
    if spec.name not in _MODULES:
        raise ValueError(f"no generator makes the task '{spec.name}'; embedded are {', '.join(_MODULES)}")
    return _MODULES[spec.name]
