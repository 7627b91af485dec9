"""Where the scatter of a target's scores and gaps comes from: seeds, items, what both do together, and languages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapterx.report.gaps import Gap
from adapterx.report.scores import Family, Grid, headline
from adapterx.report.statistics import Measured, Sample, pooled


@dataclass(frozen=True)
class ScatterParts:
    """Standard deviations, as fractions: of one training's headline mean, but for `language`."""

    target: str
    metric: str
    what: str
    """score, or gap."""
    seed: float | None
    """Between trainings, beyond what items do together with them; None with one seed."""
    item: float
    """By the choice of items, for all trainings alike."""
    both: float | None
    """Of items and trainings together: which items a training happens to get right."""
    language: float | None
    """Between the true values of languages; None where there is one."""
    settings: int
    """Behind these numbers."""


def parts(grid: Grid, gaps: Sequence[Gap]) -> tuple[ScatterParts, ...]:
    """The parts of every target's scores on its main metric, and of its gaps."""
    found = []
    for name, facts in grid.results.targets.items():
        family = grid.of(name, facts.metrics[0])
        if family is None:
            continue
        settings = [cells for of, cells in grid.settings.items() if of.target == name]
        scores = [family.samples(cells) for cells in settings]
        measured = [family.measured(cells) for cells in settings]
        found += _parts(family, "score", scores, measured)
        pairs = [grid.pair(gap.arm, gap.baseline) for gap in gaps if gap.arm.target == name]
        differences = [family.differences(*pair) for pair in pairs]
        found += _parts(family, "gap", differences, [family.contrast(*pair) for pair in pairs])
    return tuple(found)


def _parts(
    family: Family, what: str, samples: Sequence[Mapping[str, Sample]], measured: Sequence[Mapping[str, Measured]]
) -> list[ScatterParts]:
    name = headline(family.facts)
    of = [one[name] for one in samples if name in one]
    if not of:
        return []
    training = pooled(of)
    known = training.freedom > 0
    squares = [float(np.sum(np.square(one.influence, dtype=np.float64))) for one in of]
    shared = [max(square - one.interaction / len(one.values), 0.0) for square, one in zip(squares, of, strict=True)]
    return [
        ScatterParts(
            family.facts.name,
            family.metric,
            what,
            math.sqrt(max(training.variance - training.interaction, 0.0)) if known else None,
            math.sqrt(sum(shared) / len(shared)),
            math.sqrt(training.interaction) if known else None,
            _languages(family, measured),
            len(of),
        )
    ]


def _languages(family: Family, measured: Sequence[Mapping[str, Measured]]) -> float | None:
    """Between languages: the variance of their values less that of their errors, mean over settings."""
    names = family.facts.others or family.facts.languages
    whole = [one for one in measured if all(name in one for name in names)]
    if len(names) < 2 or not whole:
        return None
    found = []
    for one in whole:
        errors = [_error(one[name]) for name in names]
        found.append(float(np.var([one[name].value for name in names], ddof=1)) - sum(errors) / len(errors))
    return math.sqrt(max(sum(found) / len(found), 0.0))


def _error(one: Measured) -> float:
    """Variance of a value by items; what trainings add moves languages together for the most part."""
    return float(np.sum(np.square(one.influence, dtype=np.float64)))
