"""Examples made from CLDR data, without any file: which generator serves which task, and what identifies its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import PositiveInt

from adapterx.store.identity import JSON
from adapterx.tasks.examples import Example, Split
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.sources.entry import Entry

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec

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


class EmbeddedSource(SourceSpec):
    """Examples made from CLDR data, without any file."""

    generated: ClassVar[bool] = True

    kind: Literal["embedded"]
    sizes: dict[Split, PositiveInt]
    """Examples per split, in every language the same items."""
    seed: int = 1
    """Another seed makes other examples of the same items; which items are for testing never changes."""

    @property
    def in_words(self) -> str:
        """What they are made from."""
        return "made from CLDR data"

    @property
    def split_names(self) -> tuple[Split, ...]:
        """The splits that have a size."""
        return tuple(self.sizes)

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """All examples of a split in a language."""
        if language not in task.languages:
            raise ValueError(f"the task '{task.name}' has no language '{language}'")
        generate = cast(Generator, import_module(_module(task)).examples)
        return iter(generate(language, split, self.sizes.get(split, 0), self.seed))

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """The generator and its version, Babel's version, the seed, and the sizes."""
        return {
            "embedded": {
                "babel": version("Babel"),
                "family": FAMILY_VERSION,
                "generator": task.name,
                "version": import_module(_module(task)).VERSION,
                "seed": self.seed,
            },
            "splits": {split: [sorted(languages), self.sizes.get(split, 0)] for split, languages in splits.items()},
        }

    def size(self, task: TaskSpec, language: str, split: Split) -> int:
        """The size that the settings give."""
        return self.sizes.get(split, 0)

    def read_ahead(self, language: str, split: Split) -> bool:
        """Never: what is made cannot be wrong."""
        return False


def _module(task: TaskSpec) -> str:
    if task.name not in _MODULES:
        raise ValueError(
            f"no generator makes the task '{task.name}'; embedded are {', '.join(_MODULES)}. Data of your own have a"
            " source of kind local or hub"
        )
    return _MODULES[task.name]
