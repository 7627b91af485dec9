"""What a planned grid can tell before anything is trained: the smallest gap it finds, and the seeds of a wanted one.

It follows from two variances. Those that an earlier run found are the best; without one they are stated:

- how much the score of a training scatters from seed to seed, in points;
- of how many items one arm is right about and the other wrong, and how alike that is in two languages. An item of which
  this is so counts 1 or -1, so that the variance of a gap over items is that share over their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapterx.backbones.info import layer_parameters
from adapterx.plan import Plan
from adapterx.plan.cells import Cell
from adapterx.plan.stage import Evaluation
from adapterx.report.analysis import Analysis
from adapterx.report.contrasts import slope_weights
from adapterx.report.power import POWER, Spread, seeds_needed, smallest, spread
from adapterx.report.statistics import ALIKE
from adapterx.tasks.metrics import unit

DISAGREEMENT = 0.2
"""Share of the items that two arms answer differently, where nothing is known."""
ALIKENESS = 0.1
"""Correlation of such differences between two languages of the same items."""
SEED_SD = 1.0
"""Points between trainings, where nothing is known."""


@dataclass(frozen=True)
class Scatter:
    """How gaps scatter: what one item and one seed contribute to the variance of the mean over languages."""

    item: float
    training: float
    """Of one seed's difference, without what items and training do together."""
    source: str
    """Where it is known from, in words."""


@dataclass(frozen=True)
class TargetPower:
    """What a plan can tell of one target, in fractions."""

    target: str
    seeds: int
    languages: int
    """That its headline gap is a mean over."""
    items: int
    """Per language: the mean number."""
    gap: float
    """The smallest gap that is found with one backbone."""
    change: float | None
    """The smallest change from the smallest size to the largest; None where there is one size."""
    slope: float | None
    """The same per doubling of the parameters, of three sizes and more."""
    wanted: float | None
    """The gap that is asked about."""
    seeds_wanted: int | None
    """The seeds that it takes; None where no number does, or nothing is asked."""
    source: str

    @property
    def words(self) -> str:
        """3 seeds, 14 languages × 5,010 items: a gap of 0.9 points with one backbone."""
        of = f"{self.seeds} seed{'s' * (self.seeds != 1)}, {self.languages} language{'s' * (self.languages != 1)}"
        text = f"{self.target}: {of} × {self.items:,} items: {100 * self.gap:.1f} points with one backbone"
        if self.change is not None:
            text += f", a change of {100 * self.change:.1f} over all sizes"
        if self.slope is not None:
            text += f" ({100 * self.slope:.2f} per doubling of the parameters)"
        if self.wanted is not None:
            takes = "no number of seeds" if self.seeds_wanted is None else f"{self.seeds_wanted} seeds"
            text += f"; a gap of {100 * self.wanted:g} points takes {takes}"
        return text


HEAD = f"The smallest gap that is found with a probability of {POWER:.0%}"


def stated(seed_sd: float, languages: int, parallel: bool = True) -> Scatter:
    """Variances as they are supposed.

    Args:
        seed_sd: standard deviation of a training's score, in points.
        languages: that the gap is a mean over.
        parallel: whether they have the same items.
    """
    alike = ALIKENESS if parallel else 0.0
    item = DISAGREEMENT * (1 / languages + (1 - 1 / languages) * alike)
    words = f"supposing that trainings scatter by {seed_sd:g} points and arms differ on {DISAGREEMENT:.0%} of the items"
    return Scatter(item, 2 * (seed_sd / 100) ** 2, words)


def stored(analysis: Analysis) -> dict[str, Scatter]:
    """What a run found, by task: means over its gaps in scores that are shares. Training is 0 where it has one seed."""
    found: dict[str, list[tuple[Spread, float]]] = {}
    for gap in analysis.gaps:
        facts, measured = analysis.results.targets.get(gap.arm.target), gap.summary.measured
        if facts is not None and measured is not None and unit(gap.metric).factor == 100:
            of = spread(measured, len(gap.seeds))
            found.setdefault(facts.task or facts.name, []).append((of, max(of.training - of.interaction, 0.0)))
    return {
        task: Scatter(
            sum((of.items + of.interaction) * of.count for of, _ in known) / len(known),
            sum(pure * of.seeds for of, pure in known) / len(known),
            f"as the run “{analysis.results.run.name}” scattered",
        )
        for task, known in found.items()
    }


def design(
    plan: Plan, *, seed_sd: float = SEED_SD, known: Mapping[str, Scatter] | None = None, wanted: float | None = None
) -> tuple[TargetPower, ...]:
    """What a plan can tell of each target whose items are counted; nothing where the recipe compares nothing.

    Args:
        seed_sd: in points, for targets of which nothing is known.
        known: by task, as of `stored`.
        wanted: a gap, as a fraction.
    """
    compare = plan.recipe.compare
    if compare is None:
        return ()
    sides = [
        one for one in plan.cells if one.intermediate in (compare.arm, compare.baseline) and one in plan.cell_stages
    ]
    targets = list(dict.fromkeys(one.target for one in sides))
    found = [
        _target(plan, [one for one in sides if one.target == name], seed_sd, known or {}, wanted) for name in targets
    ]
    return tuple(one for one in found if one is not None)


def _target(
    plan: Plan, cells: Sequence[Cell], seed_sd: float, known: Mapping[str, Scatter], wanted: float | None
) -> TargetPower | None:
    target = plan.recipe.targets[cells[0].target]
    stage = plan.stages[plan.cell_stages[cells[0]].evaluation]
    assert isinstance(stage.work, Evaluation)
    languages = stage.work.task.languages
    headline = [one for one in languages if one not in target.train_languages] or list(languages)
    seeds = len({one.seed for one in cells})
    items = round((stage.cost.items or 0) / len(languages))
    if items < 2:  # of a single item nobody can tell how much items differ
        return None
    assumed = stated(seed_sd, len(headline))
    found = known.get(stage.work.task.task, assumed)
    training = found.training or assumed.training
    settings = {(one.backbone, one.method, one.transfer) for one in cells if one.intermediate != "none"}
    freedom = max(seeds - 1, ALIKE * (seeds - 1) * len(settings))
    of = Spread(found.item / items, training / seeds if seeds > 1 else 0.0, 0.0, freedom, items, seeds)
    sizes = sorted({_parameters(plan, one.backbone) for one in cells})
    change, doublings = _over_sizes(of, sizes)
    fewest = Spread(found.item / items, training / 2, 0.0, max(1, ALIKE * len(settings)), items, 2)
    enough = None if wanted is None else seeds_needed(fewest, wanted)
    slope = change / doublings if change is not None and len(sizes) > 2 else None
    source = found.source + ("" if seeds > 1 else "; of these trained models, as one seed tells nothing of others")
    return TargetPower(
        cells[0].target, seeds, len(headline), items, smallest(of), change, slope, wanted, enough, source
    )


def _over_sizes(of: Spread, sizes: Sequence[int]) -> tuple[float | None, float]:
    """The smallest change over sizes that is found, and how many doublings it goes over."""
    if len(sizes) < 2:
        return None, 0.0
    times = sum(weight**2 for weight in slope_weights(sizes))
    return smallest(replace(of, items=of.items * times, training=of.training * times)), math.log2(sizes[-1] / sizes[0])


def _parameters(plan: Plan, backbone: str) -> int:
    info = plan.backbones[backbone]
    return layer_parameters(info.layers, info.hidden, info.intermediate)
