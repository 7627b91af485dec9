"""How numbers are written."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.report.statistics import Estimate, Missing, Quantity
from adapterx.tasks.metrics import unit

MINUS = "\N{MINUS SIGN}"
FINEST = 6
"""More decimals than this are never written."""


def score(value: float) -> str:
    """A score in [0, 1] as a percentage: 71.3."""
    return f"{100 * value:.1f}"


def score_interval(estimate: Estimate) -> str:
    """[70.1, 72.4]."""
    return f"[{score(estimate.low)}, {score(estimate.high)}]"


def value(value: float, metric: str) -> str:
    """A value of a metric in its unit: 71.3 of accuracy, 286.6 of ranks."""
    return f"{unit(metric).factor * value:,.1f}"


def value_interval(estimate: Estimate, metric: str) -> str:
    """The same in a metric's unit."""
    return f"[{value(estimate.low, metric)}, {value(estimate.high, metric)}]"


def points(value: float, metric: str = "", decimals: int = 1) -> str:
    """A difference of scores in the metric's unit, percentage points mostly, signed: +2.3, −0.4, 0.0."""
    text = f"{_factor(metric) * value:+,.{decimals}f}"
    return text.lstrip("+-") if not any(digit in text for digit in "123456789") else text.replace("-", MINUS)


def points_interval(estimate: Estimate, metric: str = "") -> str:
    """[−0.2, +1.5]; as many decimals as show on which side of zero a bound lies."""
    decimals = _decimals((estimate.low, estimate.high), metric)
    return f"[{points(estimate.low, metric, decimals)}, {points(estimate.high, metric, decimals)}]"


def gap(quantity: Quantity, metric: str = "") -> str:
    """A gap with its interval, or what is missing."""
    if isinstance(quantity, Missing):
        return f"missing ({quantity})"
    decimals = _decimals((quantity.low, quantity.high), metric)
    return f"{points(quantity.value, metric, decimals)} {points_interval(quantity, metric)}"


def unit_of_gaps(metric: str) -> str:
    """What gaps are counted in: points, ranks."""
    return "points" if _factor(metric) == 100 else "ranks"


def count(number: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def span(numbers: set[int]) -> str:
    """2; 2–14."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def listed(texts: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def millions(parameters: int) -> str:
    """10.6 M, 302 M."""
    return f"{parameters / 1e6:,.1f} M" if parameters < 1e8 else f"{parameters / 1e6:,.0f} M"


def duration(seconds: float) -> str:
    """12 s, 4 min, 3.2 h of work."""
    if seconds < 120:
        return f"{seconds:.0f} s of work"
    return f"{seconds / 60:.0f} min of work" if seconds < 7200 else f"{seconds / 3600:.1f} h of work"


def metric_name(metric: str) -> str:
    """A metric in prose: accuracy, span F1, SQuAD EM, mAP@20."""
    words = {"f1": "F1", "em": "EM", "mean": "mean of F1 and EM", "squad": "SQuAD", "mlqa": "MLQA"}
    for long, short in (("mean_average_precision", "mAP"), ("mAP_20", "mAP@20"), ("_at_", "@"), ("ndcg", "nDCG")):
        metric = metric.replace(long, short)
    return " ".join(words.get(word, word) for word in metric.split("_"))


def _factor(metric: str) -> int:
    return unit(metric).factor


def _decimals(bounds: Sequence[float], metric: str) -> int:
    """The fewest decimals with which no bound that differs from zero is written as zero."""
    for decimals in range(1, FINEST):
        if all(bound == 0 or round(abs(_factor(metric) * bound), decimals) > 0 for bound in bounds):
            return decimals
    return FINEST
