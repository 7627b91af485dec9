"""The short answer: contrasts that bear on it, their mean, and what is claimed of each.

Only zero-shot transfer bears on it. A target that is evaluated in no language but those it was trained in, and one
whose task an arm learns as its intermediate, are left out and said to be. Targets scored with different metrics have no
mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adapterx.report.collect import CellResult
from adapterx.report.contrasts import Contrast, Verdict, contrasts, shown, told, trend, verdicts
from adapterx.report.gaps import Gap
from adapterx.report.levels import Level
from adapterx.report.scores import MEAN, Family, Grid, headline
from adapterx.report.statistics import Measured, Sample, Scored, combined, differences, measured, pooled
from adapterx.results.run_file import Run


@dataclass(frozen=True)
class Overall:
    """What the answer says."""

    contrasts: tuple[Contrast, ...]
    verdicts: tuple[Verdict, ...]
    """One per contrast."""
    means: tuple[Contrast, ...]
    """Over the contrasts of each metric; none over a single one, or where one is missing or has other seeds."""
    mean_verdicts: tuple[Verdict, ...]
    left_out: Mapping[str, str]
    """Targets that do not bear on the answer, and why."""

    @property
    def bears(self) -> bool:
        """Whether any contrast bears on the answer; if not, contrasts are those of the targets left out."""
        return any(one.target not in self.left_out for one in self.contrasts)


def overall(grid: Grid, found: Sequence[Gap], levels: Sequence[Level]) -> Overall | None:
    """The answer to what the recipe compares; None where nothing is compared."""
    if not found:
        return None
    singles, means, left_out = bearing(grid, found, levels)
    said, of_means = verdicts(singles, means)
    return Overall(singles, said, means, of_means, left_out)


def bearing(
    grid: Grid, found: Sequence[Gap], levels: Sequence[Level]
) -> tuple[tuple[Contrast, ...], tuple[Contrast, ...], dict[str, str]]:
    """The contrasts that bear on an answer, their means, and the targets that do not with the reason.

    Where no target bears on it, the contrasts are those of all.
    """
    left_out = _left_out(grid, found)
    kept = [gap for gap in found if gap.arm.target not in left_out] or list(found)
    delta = grid.results.run.delta
    singles = contrasts(kept, levels, delta)
    return singles, _means(grid, kept, singles, levels, delta), left_out


def learnt(run: Run, target: str, arms: Sequence[str] | None = None) -> list[str]:
    """The compared intermediates that learn the target's own task.

    Args:
        arms: those that are compared; the recipe's arm and baseline where None.
    """
    compared = (run.compare or ())[:2] if arms is None else arms
    return [side for side in compared if (side, target) in run.target_training]


def _left_out(grid: Grid, found: Sequence[Gap]) -> dict[str, str]:
    reasons = {}
    sides = list(dict.fromkeys(name for gap in found for name in (gap.arm.intermediate, gap.baseline.intermediate)))
    for target in dict.fromkeys(gap.arm.target for gap in found):
        facts, own = grid.results.targets.get(target), learnt(grid.results.run, target, sides)
        if own:
            reasons[target] = f"target training: {' and '.join(own)} learnt the task itself"
        elif facts is not None and not facts.others:
            reasons[target] = f"evaluated only in the training language{'s' * (len(facts.sources) > 1)}" + (
                f" {', '.join(facts.sources)}"
            )
    return reasons


def _means(
    grid: Grid, kept: Sequence[Gap], singles: Sequence[Contrast], levels: Sequence[Level], delta: float
) -> tuple[Contrast, ...]:
    """The mean over contrasts of each metric, where there are several and all are whole.

    They are computed from the mean of their differences with each seed, since contrasts may share trainings.
    """
    known = {name for level in levels for name in level.backbones}
    found = []
    for metric in dict.fromkeys(one.metric for one in singles):
        of = [one for one in singles if one.metric == metric]
        gaps = [gap for gap in kept if gap.metric == metric and gap.arm.backbone in known]
        sizes = {tuple(level.parameters for level, _ in one.at) for one in of}
        alike = len(sizes) == 1 and len({gap.seeds for gap in gaps}) == 1
        if len(of) > 1 and alike and not any(one.reason for one in of):
            found.append(_mean(of[0], _Differences(grid, gaps), levels, len(gaps[0].seeds), delta))
    return tuple(found)


def _mean(like: Contrast, differences: _Differences, levels: Sequence[Level], seeds: int, delta: float) -> Contrast:
    at = [(level, differences.gap(level.backbones)) for level in levels]
    known = [(level, gap) for level, gap in at if gap is not None]
    blank = replace(
        like,
        method="",
        transfer="",
        target="",
        backbone="",
        at=tuple((level, shown(gap)) for level, gap in known),
    )
    return told(blank, trend(known, 1), seeds, delta)


class _Differences:
    """Arms minus baselines of all contrasts, as means over transfers and targets with each seed.

    Settings of one backbone and method share the trainings of their intermediates, those of two do not.
    """

    def __init__(self, grid: Grid, kept: Sequence[Gap]) -> None:
        self._grid = grid
        self._families = {gap.arm.target: _family(grid, gap) for gap in kept}
        self._groups: dict[tuple[str, str], list[Gap]] = {}
        for gap in kept:
            self._groups.setdefault((gap.arm.backbone, gap.arm.method), []).append(gap)
        self._samples = {key: self._sample(of) for key, of in self._groups.items()}
        self._training = pooled(self._samples.values())

    def gap(self, backbones: Sequence[str]) -> Measured | None:
        """The mean gap with some of the backbones, every contrast weighing alike; None where they have none."""
        here = {key: of for key, of in self._groups.items() if key[0] in backbones}
        number = sum(map(len, here.values()))
        parts = [(len(of) / number, measured(self._samples[key], self._training)) for key, of in here.items()]
        return combined(parts) if parts else None

    def _sample(self, of: Sequence[Gap]) -> Sample:
        """The contrasts of a backbone and method."""
        pairs = [self._grid.pair(gap.arm, gap.baseline) for gap in of]
        arm, baseline = (
            [self._scored(of, [pair[side][at] for pair in pairs]) for at in range(len(of[0].seeds))] for side in (0, 1)
        )
        known = [
            self._families[gap.arm.target].differences(*pair)[self._name(gap)]
            for gap, pair in zip(of, pairs, strict=True)
        ]
        items = min(one.items for one in known)
        return differences(arm, baseline, items, untrained=all(one.untrained for one in known))

    def _scored(self, of: Sequence[Gap], cells: Sequence[CellResult]) -> Scored:
        """The mean of one seed's cells; influences of different targets' items are laid end to end."""
        parts = [
            (gap.arm.target, self._families[gap.arm.target].seeds([cell], self._name(gap))[0])
            for gap, cell in zip(of, cells, strict=True)
        ]
        influence = [
            sum((one.influence for target, one in parts if target == name), np.zeros(family.items(MEAN))) / len(parts)
            for name, family in self._families.items()
        ]
        return Scored(float(np.mean([one.value for _, one in parts])), np.concatenate(influence))

    def _name(self, gap: Gap) -> str:
        return headline(self._families[gap.arm.target].facts)


def _family(grid: Grid, gap: Gap) -> Family:
    family = grid.of(gap.arm.target, gap.metric)
    if family is None:
        raise ValueError(f"the target {gap.arm.target} has a gap and no scores")
    return family
