"""Kinds of task by name, a module each.

Nothing else lists them: whoever handles a task asks `kind` for the object of its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from adapterx.errors import AdapterxError
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.kinds.extractive_qa import ExtractiveQA
from adapterx.tasks.kinds.masked_lm import MaskedLM
from adapterx.tasks.kinds.multiple_choice import MultipleChoice
from adapterx.tasks.kinds.pair_classification import PairClassification
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
)
"""Those that adapterx comes with, in the order in which messages list them."""


class UnknownKind(AdapterxError, LookupError):
    """A kind of task that is not known here."""


@cache
def kinds() -> Mapping[str, TaskKind[Any]]:
    """All kinds by name."""
    return {one.name: one for one in BUILT_IN}


def kind(name: str) -> TaskKind[Any]:
    """The kind of that name. Raises UnknownKind."""
    found = kinds().get(name)
    if found is None:
        raise UnknownKind(f"no kind of task is called {shown(name)}; known: {', '.join(kinds())}")
    return found


def portable() -> Mapping[str, TaskKind[Any]]:
    """The kinds whose heads travel with an adapter, by name."""
    return {name: one for name, one in kinds().items() if one.portable}
