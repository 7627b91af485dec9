"""Intermediates that are adapters one already has (`init`): what they are, asked once for each backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.plan.facts import Facts, Refusal
from adapterx.recipe import Lane, Recipe
from adapterx.recipe.schema import Rounding
from adapterx.wording import shown


@dataclass(frozen=True)
class Adopted:
    """What a plan knows of an adapter that was trained elsewhere."""

    method: MethodSpec
    digest: str
    """SHA-256 of its configuration and weights."""
    commit: str | None = None
    """Of one from the Hub."""
    task: str = ""
    """What its head was trained on, where its files say so."""


@dataclass(frozen=True)
class Adoption:
    """The work of a stage that reads an adapter instead of training one."""

    init: str
    """Where it is: a directory, or its name on the Hub."""
    adapter: Adopted
    lane: Lane = "fused"
    prefix: Rounding = "exact"


Adopt: TypeAlias = Callable[[str, Backbone, BackboneInfo], Adopted]
"""Looks at an adapter for a backbone. Raises ValueError, worded for the user, where it does not fit."""


def unadopted(init: str, backbone: Backbone, info: BackboneInfo) -> Adopted:
    """For plans that nobody gave a way to read adapters."""
    raise ValueError(f"the adapter {init} cannot be read, as this plan was not given a way to")


class Adoptions:
    """The adapters that a recipe's intermediates name, on its backbones."""

    def __init__(self, recipe: Recipe, facts: Facts[Any], adopt: Adopt) -> None:
        self._recipe, self._facts, self._adopt = recipe, facts, adopt

    def of(self, backbone: str, name: str) -> Adopted:
        """The adapter of an intermediate on a backbone; Refusal where it does not fit."""
        learnt = self._recipe.intermediates[name]
        assert learnt is not None and learnt.init is not None
        init, spec = learnt.init, self._recipe.backbones[backbone]
        info = self._facts.backbone(spec)
        return self._facts.once(("adapter of", init, spec), lambda: self._adopt(init, spec, info))

    def check(self, backbone: str, names: Iterator[str], method: MethodSpec, called: str, info: BackboneInfo) -> None:
        """Refuse adapters that are not what the method of a cell would train, which goes on from them.

        Args:
            names: of intermediates, of which some are adopted.
            called: what the recipe calls the method.
        """
        for name in names:
            learnt = self._recipe.intermediates[name]
            if learnt is None or learnt.init is None:
                continue
            found, wanted = self.of(backbone, name).method.computed(info), method.computed(info)
            if differing := [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]:
                key = "kind" if "kind" in differing else differing[0]
                raise Refusal(
                    f"the adapter of '{name}' has {key} {shown(found.get(key))} and the method '{called}' "
                    f"{shown(wanted.get(key))}: give the method the adapter's settings, or stack upon it"
                )

    def resolved(self) -> Recipe:
        """The recipe with the method of each adopted adapter, so that what lies upon it can be checked."""
        found: dict[str, Any] = dict(self._recipe.intermediates)
        for name, learnt in self._recipe.intermediates.items():
            if learnt is not None and learnt.init is not None:
                method = next(self._methods(name), None)
                found[name] = learnt if method is None else learnt.model_copy(update={"method": method})
        return self._recipe.model_copy(update={"intermediates": found})

    def _methods(self, name: str) -> Iterator[MethodSpec]:
        """On each backbone that it fits; the cells of others are refused."""
        for backbone in self._recipe.backbones:
            try:
                yield self.of(backbone, name).method
            except Refusal:
                continue
