"""What a run that could not tell would have needed: seeds, items, or both."""

from __future__ import annotations

from dataclasses import dataclass

from adapterx.report.contrasts import Contrast
from adapterx.report.numbers import count
from adapterx.report.power import POWER, Spread, items_needed, seeds_needed, smallest

NEAR = 1.05
"""An effect that is found at this many times the margin is as good as found."""


@dataclass(frozen=True)
class Needed:
    """What would find an effect of a contrast's margin with a probability of `POWER`."""

    margin: float
    found: float
    """The smallest effect that the design at hand finds."""
    seeds: int
    items: int
    """At hand."""
    more_seeds: int | None
    """With the items at hand; None where no number does, or nothing is known of training."""
    more_items: float | None
    """Times the items at hand, with its seeds; None where no number does."""
    both: tuple[int, float] | None
    """Seeds and times the items, where neither alone does."""


def needed(one: Contrast) -> Needed | None:
    """What a contrast would need; None where something is missing, or its scores are no shares."""
    of = one.spread
    if of is None or not one.share or of.count < 2 or one.alike or not of.items + of.training:
        return None
    trained = of.seeds > 1 and of.freedom > 0 and of.training > 0
    more_seeds = seeds_needed(of, one.margin) if trained else None
    more_items = items_needed(of, one.margin)
    both = _both(of, one.margin) if trained and more_seeds is None and more_items is None else None
    return Needed(one.margin, smallest(of), of.seeds, of.count, more_seeds, more_items, both)


def _both(of: Spread, effect: float) -> tuple[int, float] | None:
    """The fewest seeds with which more items do, and how many times the items."""
    for seeds in (2 * of.seeds, 4 * of.seeds, 8 * of.seeds, 16 * of.seeds):
        times = items_needed(of.with_seeds(seeds), effect)
        if times is not None:
            return seeds, times
    return None


def advice(one: Contrast) -> str:
    """A sentence: what would tell an effect of the margin; empty where nothing is known of it."""
    found = needed(one)
    if found is None:
        return ""
    told = _effect(one)
    if found.found <= NEAR * found.margin:
        return f"{told} would have shown in {POWER:.0%} of such runs."
    ways = []
    if found.more_seeds is not None:
        ways.append(f"{count(found.more_seeds, 'seed')} instead of {found.seeds}")
    if found.more_items is not None:
        ways.append(f"{found.more_items:.1f} times the items")
    if found.both is not None:
        ways.append(f"{count(found.both[0], 'seed')} together with {found.both[1]:.1f} times the items")
    least = f"this design finds {100 * found.found:.1f} points, at least, with a probability of {POWER:.0%}"
    if not ways:
        return f"{told} cannot be told by more seeds or items of this kind; {least}."
    return f"{told} would take {' or '.join(ways)}; {least}." + (
        "" if one.trained else " That is about these trained models; two seeds, at least, tell of training."
    )


def _effect(one: Contrast) -> str:
    """A gap of 1 point; a change of 1 point per doubling of the parameters."""
    margin = 100 * one.margin / (one.doublings if one.sloped else 1)
    points = f"{margin:g} point" + ("" if margin == 1 else "s")
    if one.change is None:
        return f"A gap of {points}"
    if not one.sloped:
        return f"A change of {points}"
    total = f" ({100 * one.margin:.1f} from the smallest size to the largest)"
    return f"A change of {points} per doubling of the parameters{total}"
