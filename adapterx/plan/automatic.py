"""Settings that the machine decides, settled before anything is identified."""

from __future__ import annotations

from typing import Any

from adapterx.backbones.precisions.automatic import AUTO, choose
from adapterx.machine.gpu import Gpu
from adapterx.plan.facts import Facts, Refusal
from adapterx.recipe import Recipe


def settled(recipe: Recipe, facts: Facts[Any], supposed: Gpu | None = None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with a number format for every backbone, and what was chosen and why.

    Args:
        supposed: a GPU in place of this machine's device.
    """
    backbones, choices = dict(recipe.backbones), []
    for name, backbone in recipe.backbones.items():
        if backbone.load != AUTO:
            continue
        try:
            choice = choose(facts.backbone(backbone), supposed)
        except Refusal:
            continue  # its cells are refused for the same reason
        backbones[name] = backbone.model_copy(update={"load": choice.precision.name})
        choices.append(f"{name} is loaded in {choice.precision.name}: {choice.reason}")
    return recipe.model_copy(update={"backbones": backbones}), tuple(choices)
