"""The cells of a recipe: the product of its axes, minus `skip`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import get_args

from adapterx.config.problems import Finding, SettingError
from adapterx.plan.stage import Coordinates
from adapterx.recipe import Axis, Recipe, Skip

MOST_CELLS = 100_000
"""Cells of one recipe: far more than one run trains, few enough to plan in minutes."""


@dataclass(frozen=True)
class Cell:
    """One point of the grid, one row of results, by the names of the recipe."""

    backbone: str
    method: str
    intermediate: str
    transfer: str
    """`none` where the intermediate is null."""
    target: str
    seed: int

    @property
    def coordinates(self) -> Coordinates:
        """Where the cell's target and evaluation stages belong."""
        return Coordinates(self.backbone, self.method, self.intermediate, self.seed, self.transfer, self.target)

    @property
    def label(self) -> str:
        """The cell's readable name, which its target and evaluation stages share."""
        return self.coordinates.label


def expand(recipe: Recipe) -> list[Cell]:
    """Every cell, in the order of the axes as written; a null intermediate counts once, whatever the transfers.

    Raises SettingError for a grid of more than MOST_CELLS, what `skip` leaves out included.
    """
    _bounded(recipe)
    cells = []
    for backbone, method, (intermediate, learnt) in product(
        recipe.backbones, recipe.methods, recipe.intermediates.items()
    ):
        transfers = tuple(recipe.transfers) if learnt is not None else ("none",)
        for transfer, target, seed in product(transfers, recipe.targets, recipe.seeds):
            cell = Cell(backbone, method, intermediate, transfer, target, seed)
            if not any(_matches(cell, skip) for skip in recipe.skip):
                cells.append(cell)
    return cells


def _bounded(recipe: Recipe) -> None:
    axes = {name: len(getattr(recipe, name)) for name in get_args(Axis)}
    if (count := prod(axes.values())) > MOST_CELLS:
        longest = max(axes, key=lambda name: axes[name])
        message = f"make a grid of {count:,} cells, more than the {MOST_CELLS:,} of one recipe: divide it into several"
        raise SettingError([Finding((longest,), message, at_key=True)])


def _matches(cell: Cell, skip: Skip) -> bool:
    axes: tuple[tuple[object, tuple[object, ...] | None], ...] = (
        (cell.backbone, skip.backbones),
        (cell.method, skip.methods),
        (cell.intermediate, skip.intermediates),
        (cell.transfer, skip.transfers),
        (cell.target, skip.targets),
        (cell.seed, skip.seeds),
    )
    return all(allowed is None or value in allowed for value, allowed in axes)
