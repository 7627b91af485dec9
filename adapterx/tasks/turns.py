"""Batches that take turns: of one language, of pairs of languages, of text; whose turn it is, seed and step say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.sampling import BLOCK, POOL, Sampler, uniform

_TURN = 3  # the purpose of the stream that decides whose turn it is; `sampling` has the others
_FINEST = 1_000_000  # the largest denominator of a share of the steps


@dataclass(frozen=True)
class Turns:
    """Which pools a step draws from, where no step draws from all of them."""

    groups: tuple[tuple[int, ...], ...]
    """The pools of each kind of step whose turn is drawn; a pool may be in several."""
    shares: tuple[float, ...]
    """How often each of them has its turn, in any unit."""
    counted: tuple[int, ...]
    """The pools that an epoch passes over."""
    text: tuple[int, ...] = ()
    """The pools of the steps that come at even distances."""
    text_share: float = 0.0
    """Their part of all steps."""

    def __post_init__(self) -> None:
        if not self.groups or not all(self.groups) or len(self.shares) != len(self.groups):
            raise ValueError("turns need groups of pools, with one share each")
        if min(self.shares) < 0 or not math.fsum(self.shares) > 0:
            raise ValueError(f"shares of turns are not negative and not all zero, unlike {list(self.shares)}")
        if bool(self.text) != (self.text_share > 0) or not 0 <= self.text_share < 1:
            raise ValueError("text has a share of the steps above 0 and below 1, and pools, or neither")


class TurnSampler(Sampler):
    """Batches of (pool, example index), each of the pools of one group.

    Text has the steps s in which ⌊(s + 1) · share⌋ rises above ⌊s · share⌋; the others are drawn, by the shares of the
    groups. Within a step every place draws a pool of the group, as `Sampler` draws one of all, and every pool is walked
    in shuffled epochs of its own.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        probabilities: Sequence[float] | NDArray[np.float64],
        batch_size: int,
        seed: int,
        turns: Turns,
    ) -> None:
        super().__init__(sizes, probabilities, batch_size, seed)
        self._turns = turns
        self._block_steps = max(1, BLOCK // batch_size)
        self._block = self._block_steps * batch_size
        share = Fraction(repr(float(turns.text_share))).limit_denominator(_FINEST)
        self._text_share = share.numerator, share.denominator
        self._turn_cumulative = np.cumsum(np.asarray(turns.shares, dtype=np.float64))
        self._turn_cumulative /= self._turn_cumulative[-1]
        weights = np.asarray(probabilities, dtype=np.float64)
        self._groups = [np.array(group, dtype=np.int64) for group in (*turns.groups, turns.text)]
        self._within = [np.cumsum(weights[group]) / weights[group].sum() for group in self._groups if len(group)]

    def steps(self, epochs: float) -> int:
        """Number of steps in which the counted pools are passed over so often, those of text on top; at least 1."""
        numerator, denominator = self._text_share
        seen = epochs * sum(self._sizes[pool] for pool in self._turns.counted) / self._batch_size
        return max(1, math.ceil(seen * denominator / (denominator - numerator) - 1e-9))

    def group(self, step: int) -> int:
        """Whose turn a step is: the place of the group, and the number of groups where it is text's."""
        block, within = divmod(step, self._block_steps)
        return int(self._taken(block)[within])

    def _taken(self, block: int) -> NDArray[np.int64]:
        """The group of every step of a block."""
        steps = np.arange(block * self._block_steps, (block + 1) * self._block_steps, dtype=np.int64)
        drawn = uniform(self._seed, (_TURN, block), self._block_steps)
        groups = np.searchsorted(self._turn_cumulative, drawn, side="right").astype(np.int64)
        numerator, denominator = self._text_share
        text = (steps + 1) * numerator // denominator > steps * numerator // denominator
        return np.where(text, len(self._turns.groups), groups)

    def _drawn(self, block: int) -> NDArray[np.int64]:
        taken = np.repeat(self._taken(block), self._batch_size)
        drawn = uniform(self._seed, (POOL, block), self._block)
        pools = np.zeros(self._block, dtype=np.int64)
        for group in np.unique(taken).tolist():
            places = taken == group
            pools[places] = self._groups[group][np.searchsorted(self._within[group], drawn[places], side="right")]
        return pools
