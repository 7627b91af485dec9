"""Gaps between two intermediates, arm minus baseline, and how a gap differs between backbones.

A gap is paired by seed and by item: both sides are scored on the same resampled items, then subtracted seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapterx.report.collect import CellResult
from adapterx.report.scores import ByLanguage, Grid, Setting, Summary, summarise
from adapterx.report.statistics import Drawn, Missing, Quantity, average


@dataclass(frozen=True)
class Gap:
    """Arm minus baseline, on the target's main metric."""

    arm: Setting
    baseline: Setting
    seeds: int
    items: int
    """Test items per language (the fewest, where languages differ)."""
    summary: Summary


@dataclass(frozen=True)
class Change:
    """A gap with the smallest and with the largest backbone."""

    method: str
    transfer: str
    target: str
    small: Quantity
    large: Quantity
    change: Quantity
    """Large minus small."""


@dataclass(frozen=True)
class Overall:
    """The mean gap over methods, transfers and targets: the short answer."""

    contrasts: int
    """Gaps that enter the mean, per backbone."""
    gap: Quantity
    """Over all backbones."""
    change: Change | None
    """Between the smallest and the largest backbone, where two differ in size."""


def gaps(grid: Grid) -> tuple[Gap, ...]:
    """Every gap the recipe's `compare` asks for; none without it."""
    compare = grid.results.run.compare
    if compare is None:
        return ()
    arm_name, baseline_name, _ = compare
    found = []
    for arm in grid.settings:
        # An intermediate that trains nothing has transfer `none`, on whichever side it stands.
        for baseline in grid.settings:
            transfers = {arm.transfer, baseline.transfer} - {"none"}
            same = (arm.backbone, arm.method, arm.target) == (baseline.backbone, baseline.method, baseline.target)
            if same and (arm.intermediate, baseline.intermediate) == (arm_name, baseline_name) and len(transfers) <= 1:
                sides = _by_seed(grid, arm), _by_seed(grid, baseline)
                if set(sides[0]) & set(sides[1]):
                    found.append(_gap(grid, arm, baseline, sides))
    return tuple(found)


def transfer(gap: Gap) -> str:
    """The transfer a gap is about."""
    return gap.baseline.transfer if gap.arm.transfer == "none" else gap.arm.transfer


def ends(grid: Grid) -> tuple[str, str] | None:
    """The smallest and the largest backbone, None unless they differ in size."""
    sizes = sorted(grid.results.run.backbones.values(), key=lambda backbone: backbone.parameters)
    if not sizes or sizes[0].parameters == sizes[-1].parameters:
        return None
    return sizes[0].name, sizes[-1].name


def changes(found: Sequence[Gap], between: tuple[str, str] | None) -> tuple[Change, ...]:
    """One change per method, transfer and target that has a gap at both ends."""
    if between is None:
        return ()
    small, large = ({_contrast(gap): gap for gap in found if gap.arm.backbone == name} for name in between)
    return tuple(_change(*key, [small[key]], [large[key]]) for key in small if key in large)


def overall(found: Sequence[Gap], between: tuple[str, str] | None) -> Overall | None:
    """The mean over all contrasts; None where nothing is compared."""
    if not found:
        return None
    both = changes(found, between)
    if between is None or not both:
        return Overall(len({_contrast(gap) for gap in found}), _mean(found)[0], None)
    keys = {(change.method, change.transfer, change.target) for change in both}
    small, large = ([gap for gap in found if gap.arm.backbone == name and _contrast(gap) in keys] for name in between)
    return Overall(len(keys), _mean(found)[0], _change("", "", "", small, large))


def _contrast(gap: Gap) -> tuple[str, str, str]:
    return gap.arm.method, transfer(gap), gap.arm.target


def _by_seed(grid: Grid, setting: Setting) -> Mapping[int, CellResult]:
    return {result.cell.seed: result for result in grid.settings[setting]}


def _gap(grid: Grid, arm: Setting, baseline: Setting, sides: tuple[Mapping[int, CellResult], ...]) -> Gap:
    metric = grid.metrics(arm.target)[0]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    parts = [_subtract(*(grid.drawn(side[seed], metric) for side in sides)) for seed in seeds]
    facts = grid.results.targets.get(arm.target)
    summary = summarise(facts, parts, grid.weights(arm, len(seeds)))
    items = min((len(ids) for ids in facts.items.values()), default=0) if facts else 0
    return Gap(arm, baseline, len(seeds), items, summary)


def _subtract(arm: ByLanguage | None, baseline: ByLanguage | None) -> ByLanguage | None:
    if arm is None or baseline is None:
        return None
    return {language: arm[language] - baseline[language] for language in arm if language in baseline}


def _mean(found: Sequence[Gap]) -> tuple[Quantity, Drawn | None]:
    drawn = [gap.summary.drawn for gap in found if gap.summary.drawn is not None]
    if len(found) == 1 and not drawn:
        return found[0].summary.headline, None
    if len(drawn) < len(found):
        return Missing(len(drawn), len(found), "gap"), None
    mean = average(drawn)
    return mean.estimate(), mean


def _change(method: str, transfer: str, target: str, small: Sequence[Gap], large: Sequence[Gap]) -> Change:
    (small_mean, small_drawn), (large_mean, large_drawn) = _mean(small), _mean(large)
    if small_drawn is None or large_drawn is None:
        present = sum(gap.summary.drawn is not None for gap in [*small, *large])
        change: Quantity = Missing(present, len(small) + len(large), "gap")
    else:
        change = (large_drawn - small_drawn).estimate()
    return Change(method, transfer, target, small_mean, large_mean, change)
