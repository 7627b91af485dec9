"""What a gap is made of: gaps between further arms, told together.

Someone who trains on translations changes two things at once, the languages and the texts. Arms in which one of them
stays as it is (English that was translated there and back; texts that were written in each language) tell the two
apart: the gap of the translated arm over English is that of translation plus that of more languages. Such gaps share
their items and trainings, and what is claimed of any of them holds together (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapterx.report.contrasts import Contrast, Verdict, verdicts
from adapterx.report.gaps import Gap, gaps_between
from adapterx.report.levels import Level
from adapterx.report.overall import bearing
from adapterx.report.scores import Grid


@dataclass(frozen=True)
class GapPart:
    """A further gap of the recipe's: what it is called, and what was found."""

    name: str
    arm: str
    baseline: str
    gaps: tuple[Gap, ...]
    contrasts: tuple[Contrast, ...]
    """Those of zero-shot transfer; all where there is none."""
    verdicts: tuple[Verdict, ...]
    means: tuple[Contrast, ...]
    """Over the contrasts of each metric; none over a single one, or where one is missing."""
    mean_verdicts: tuple[Verdict, ...]
    left_out: Mapping[str, str]
    """Targets that show no zero-shot transfer, and why."""

    @property
    def whole(self) -> tuple[Contrast, ...]:
        """What stands for it: its means, or its only contrast."""
        return self.means or (self.contrasts if len(self.contrasts) == 1 else ())


@dataclass(frozen=True)
class Separation:
    """All further gaps."""

    parts: tuple[GapPart, ...]
    chain: tuple[str, ...]
    """Names of parts that lead from the baseline of the recipe's gap to its arm, and add up to it; empty where none
    do."""


def separation(grid: Grid, levels: Sequence[Level]) -> Separation | None:
    """The further gaps that the recipe asks for; None where it asks for none.

    Args:
        levels: sizes of the backbones.
    """
    run = grid.results.run
    if run.compare is None or not run.contrasts:
        return None
    found = {name: gaps_between(grid, *sides) for name, sides in run.contrasts.items()}
    told = {name: bearing(grid, gaps, levels) for name, gaps in found.items() if gaps}
    singles = [one for contrasts, _, _ in told.values() for one in contrasts]
    means = [one for _, of_means, _ in told.values() for one in of_means]
    said, of_means = map(list, verdicts(singles, means)) if singles else ([], [])
    parts = []
    for name, (contrasts, whole, left_out) in told.items():
        here, said = said[: len(contrasts)], said[len(contrasts) :]
        of_whole, of_means = of_means[: len(whole)], of_means[len(whole) :]
        sides = run.contrasts[name]
        parts.append(GapPart(name, *sides, found[name], contrasts, tuple(here), whole, tuple(of_whole), left_out))
    arm, baseline, _ = run.compare
    return Separation(tuple(parts), _chain({one.name: (one.arm, one.baseline) for one in parts}, arm, baseline))


def _chain(sides: Mapping[str, tuple[str, str]], arm: str, baseline: str) -> tuple[str, ...]:
    """The shortest way from the baseline to the arm, over parts taken once each, each from its baseline to its arm."""
    ways: list[tuple[str, tuple[str, ...]]] = [(baseline, ())]
    while ways:
        ways = [
            (end, (*way, name))
            for place, way in ways
            for name, (end, start) in sides.items()
            if start == place and name not in way
        ]
        for place, way in ways:
            if place == arm and len(way) > 1:
                return way
    return ()
