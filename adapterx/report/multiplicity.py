"""Many comparisons at once: which of them hold together.

Claims of the answer and ranks hold all together with the stated probability (Holm 1979). Of maps with hundreds of
entries that would leave nothing; there, of the entries that are marked, at most the stated share is false in the mean
(Benjamini and Hochberg 1995; it holds for estimates that are positively dependent, as those of shared items and
trainings are).
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(doubts: Sequence[float], level: float, shares: Sequence[float] | None = None) -> list[bool]:
    """Which hypotheses fall, such that with probability 1 - `level` none of them is true.

    Args:
        doubts: p-values.
        shares: how much of the level each has at first, equal by default. One that falls leaves its own to the others.
    """
    weights = list(shares) if shares is not None else [1.0] * len(doubts)
    left, claimed = set(range(len(doubts))), [False] * len(doubts)
    for at in sorted(left, key=lambda at: doubts[at] / weights[at]):
        if doubts[at] > level * weights[at] / sum(weights[one] for one in left):
            break
        claimed[at] = True
        left.remove(at)
    return claimed


def benjamini_hochberg(doubts: Sequence[float], rate: float) -> list[bool]:
    """Which hypotheses fall, such that of those that do a share of `rate`, at most and in the mean, is true."""
    order = sorted(range(len(doubts)), key=lambda at: doubts[at])
    last = max((place for place, at in enumerate(order, 1) if doubts[at] <= rate * place / len(order)), default=0)
    fallen = set(order[:last])
    return [at in fallen for at in range(len(doubts))]
