"""Which tokens of a vocabulary occur in texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # tokens that are looked at together, so that arrays mapped from files stay there


class TokenSet:
    """Ids of tokens, a byte for each token of the vocabulary.

    Args:
        vocabulary: how many tokens there are.
    """

    def __init__(self, vocabulary: int) -> None:
        self._occurs = np.zeros(vocabulary, dtype=np.bool_)

    def add(self, tokens: NDArray[np.int32] | Sequence[int]) -> None:
        """Add the tokens of an array, or a few; IndexError for ids beyond the vocabulary."""
        for start in range(0, len(tokens), _BLOCK):
            self._occurs[np.asarray(tokens[start : start + _BLOCK])] = True

    def __len__(self) -> int:
        return int(np.count_nonzero(self._occurs))

    def ids(self) -> NDArray[np.int64]:
        """All of them, rising."""
        return np.flatnonzero(self._occurs)
