"""How a gap's change over backbone sizes is put into words: as a slope of three sizes and more, with its strength."""

from __future__ import annotations

from adapterx.report.contrasts import Contrast
from adapterx.report.numbers import gap, unit_of_gaps

PER_DOUBLING = "per doubling of the parameters"
STRENGTHS = ((0.001, "very strong"), (0.01, "strong"), (0.05, "moderate"))
"""What evidence is called whose p-value lies below each bound."""


def noun(one: Contrast) -> str:
    """What the effect of a contrast over sizes is called."""
    return "slope" if one.sloped else "change"


def moved(one: Contrast, *, units: bool = True) -> str:
    """−5.0 [−7.0, −3.0] points; of a slope, −1.2 [−1.9, −0.5] points per doubling of the parameters along the line."""
    if not one.sloped or one.slope is None:
        return gap(one.effect, one.metric) + (f" {unit_of_gaps(one.metric)}" if units else "")
    slope = f"{gap(one.slope, one.metric)} {unit_of_gaps(one.metric)} {PER_DOUBLING}"
    return f"{slope} along the line fitted to all sizes"


def small(one: Contrast) -> str:
    """What an effect that hardly is one is less than: a point, 2 points, a point per doubling of the parameters."""
    margin = 100 * one.margin / (one.doublings if one.sloped else 1)
    points = "a point" if abs(margin - 1) < 1e-9 else f"{margin:g} points"
    return f"{points} {PER_DOUBLING}" if one.sloped else points


def strength(doubt: float) -> str:
    """How strong the evidence of a claim is."""
    name, bound = next(((name, bound) for bound, name in STRENGTHS if doubt < bound), ("weak", 0.0))
    return f"The evidence is {name} (p < {bound:g})." if bound else f"The evidence is {name} (p = {doubt:.2g})."
