"""Student's t distribution: how many standard errors an interval reaches to each side."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

LARGE = 10_000
"""From so many degrees of freedom on, t is expanded around the normal quantile; the next term is below 1e-7."""
STEPS = 200
"""At most, of the search for a quantile; a handful is usual."""


@lru_cache(maxsize=16384)
def reach(level: float, freedom: float) -> float:
    """The t for which a variable with that many degrees of freedom lies in [-t, t] with probability `level`.

    Raises ValueError unless 0 < level < 1 and freedom > 0.
    """
    if not 0 < level < 1 or freedom <= 0:
        raise ValueError(f"no t quantile at level {level} with {freedom} degrees of freedom")
    if freedom >= LARGE:
        z = NormalDist().inv_cdf((1 + level) / 2)
        return z + (z**3 + z) / (4 * freedom)
    # P(|T| > t) = I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t²), which grows with x, so that what is looked
    # for stays between two bounds. Newton's steps start from the normal quantile; one that leaves the bounds is a half.
    outside = 1 - level
    front = math.lgamma(freedom / 2) + math.lgamma(0.5) - math.lgamma((freedom + 1) / 2)
    low, high = 0.0, 1.0
    x = freedom / (freedom + NormalDist().inv_cdf((1 + level) / 2) ** 2)
    for _ in range(STEPS):
        too_much = _beta(x, freedom / 2, 0.5) - outside
        low, high = (x, high) if too_much < 0 else (low, x)
        slope = front + math.log1p(-x) / 2 + (1 - freedom / 2) * math.log(x)
        step = too_much * math.exp(min(slope, 700.0))
        if abs(step) <= 1e-11 * min(x, 1 - x):
            break
        x = x - step if low < x - step < high else (low + high) / 2
    return math.sqrt(freedom * (1 - x) / x)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for 0 < x < 1."""
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b) without its front (Abramowitz and Stegun 1964, 26.5.8), by Lentz's method."""
    tiny = 1e-300
    above, below = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = below
    for step in range(1, 10 * LARGE):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            below = 1 / (1 + term * below or tiny)
            above = 1 + term / above or tiny
            value *= above * below
        if abs(above * below - 1) < 1e-15:
            break
    return value
