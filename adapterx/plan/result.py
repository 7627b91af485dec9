"""What a recipe comes to: a plan, and the stages of each of its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapterx.backbones.info import BackboneInfo
from adapterx.pace.calibration import BY_RULE, Pace
from adapterx.plan.arms import Arms
from adapterx.plan.cells import Cell
from adapterx.plan.stage import Stage, Training
from adapterx.recipe import Recipe


@dataclass(frozen=True)
class CellStages:
    """The stages of one cell, by id."""

    intermediate: str | None
    """None where there is none, or several."""
    target: str | None
    """None where nothing is trained for it."""
    evaluation: str
    members: tuple[str, ...] = ()
    """The intermediates of a fusion or merger; or adapters of other languages that are swapped in at evaluation."""


@dataclass(frozen=True)
class Plan:
    """What a recipe comes to."""

    recipe: Recipe
    cells: tuple[Cell, ...]
    stages: Mapping[str, Stage]
    """By id; every stage after its inputs, kind after kind."""
    cell_stages: Mapping[Cell, CellStages]
    refused: Mapping[Cell, str]
    """Cells that cannot be run, with the reason; they have no stages."""
    backbones: Mapping[str, BackboneInfo]
    target_training: frozenset[Cell] = frozenset()
    """Cells whose intermediate learns the target's own task: training for it, not transfer to it."""
    remarks: tuple[str, ...] = ()
    """What training and test data have in common, as far as it is let pass or not known."""
    left_out: tuple[str, ...] = ()
    """Languages and items that are left out although a task has a place for them."""
    unseen: bool = False
    """Whether training and test data were not compared because some of them are not downloaded yet."""
    single_labels: tuple[str, ...] = ()
    """Splits whose items all have one label."""
    choices: tuple[str, ...] = ()
    """What the machine decided where the recipe left it to it."""
    pace: Pace = BY_RULE
    """What the times of the stages come from."""
    embedded_tokens: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Of backbones with `vocabulary: used`, by content and number format: tokens whose embeddings are in memory, where
    that is known."""

    arms: Arms = field(default_factory=Arms)
    """The arms that the recipe compares."""

    @property
    def trainings(self) -> Counter[str]:
        """How many stages of each kind, "intermediate" and "target", are trained; adapters that are read are none."""
        return Counter(stage.kind for stage in self.stages.values() if isinstance(stage.work, Training))

    @property
    def naive_trainings(self) -> int:
        """Trainings that a loop over the cells would run."""
        return sum(
            isinstance(self.stages[id].work, Training)
            for stages in self.cell_stages.values()
            for id in (stages.target, stages.intermediate, *stages.members)
            if id is not None
        )
