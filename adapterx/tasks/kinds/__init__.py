"""Kinds of task by name, a module each.

Nothing else lists them: whoever handles a task asks `kind` for the object of its format. A kind of another package is
an entry point of the group `adapterx.tasks`, which names an object of a subclass of `TaskKind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from adapterx.errors import AdapterxError
from adapterx.plugins import Plugin, PluginError, plugins
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.kinds.contrastive import Contrastive
from adapterx.tasks.kinds.extractive_qa import ExtractiveQA
from adapterx.tasks.kinds.masked_lm import MaskedLM
from adapterx.tasks.kinds.multiple_choice import MultipleChoice
from adapterx.tasks.kinds.pair_classification import PairClassification
from adapterx.tasks.kinds.regression import Regression
from adapterx.tasks.kinds.retrieval import Retrieval
from adapterx.tasks.kinds.tagging import Tagging
from adapterx.wording import shown

BUILT_IN: tuple[TaskKind[Any], ...] = (
    PairClassification(),
    Tagging(),
    MultipleChoice(),
    ExtractiveQA(),
    Retrieval(),
    MaskedLM(),
    Regression(),
    Contrastive(),
)
"""Those that adapterx comes with, in the order in which messages list them."""


class UnknownKind(AdapterxError, LookupError):
    """A kind of task that is not known here."""


@cache
def _added() -> tuple[Plugin, ...]:
    """What installed packages add; loaded when kinds are first asked for, since their modules import these."""
    return plugins("adapterx.tasks", [one.name for one in BUILT_IN])


def _checked(plugin: Plugin) -> TaskKind[Any]:
    """The kind of an entry point; PluginError for anything else."""
    found = plugin.loaded
    if not isinstance(found, TaskKind) or found.name != plugin.name:
        raise PluginError(
            f"{plugin.package} adds the kind of task '{plugin.name}', which is no object of a subclass of"
            f' adapterx.tasks.kinds.base.TaskKind with `name = "{plugin.name}"`: upgrade or uninstall the package'
        )
    return found


@cache
def kinds() -> Mapping[str, TaskKind[Any]]:
    """All kinds by name, those of installed packages last. Raises PluginError for one that cannot be used."""
    return {one.name: one for one in (*BUILT_IN, *map(_checked, _added()))}


@cache
def packages() -> Mapping[str, str]:
    """Name and version of the package, of the kinds that another package adds: part of the identity of their tasks."""
    return {one.name: one.package for one in _added()}


def kind(name: str) -> TaskKind[Any]:
    """The kind of that name. Raises UnknownKind."""
    found = kinds().get(name)
    if found is None:
        raise UnknownKind(f"no kind of task is called {shown(name)}; known: {', '.join(kinds())}")
    return found


def portable() -> Mapping[str, TaskKind[Any]]:
    """The kinds whose heads travel with an adapter, by name."""
    return {name: one for name, one in kinds().items() if one.portable}
