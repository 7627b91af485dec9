"""One vector of a text: what a layer makes of its tokens, or of the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pooling:
    """Reads where a head would; it has no tensors."""

    reduces: ClassVar[bool] = True
    """Whether `units` makes less of `scores`, and is done before they are fetched from a device."""

    layer: int
    """How many layers the states have passed; 0 are the embeddings."""
    kind: Literal["mean", "cls"] = "mean"
    special_tokens: bool = True
    """Whether <s> and </s> count in a mean."""

    def scores(self, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """The (R, d) rows read, as they are."""
        return rows

    def units(self, scores: Tensor, reads: Tensor) -> Tensor:
        """(n, d): one vector of each of n texts.

        Args:
            scores: (R, d) states of all tokens of the texts, <s> and </s> at their ends.
            reads: (n,) tokens of each.
        """
        last = reads.cumsum(0) - 1
        first = last - reads + 1
        if self.kind == "cls":
            return scores.index_select(0, first)
        text = torch.repeat_interleave(reads, output_size=len(scores))
        total, count = scores.new_zeros(len(reads), scores.shape[1]).index_add(0, text, scores), reads
        if not self.special_tokens:
            # A text without a token of its own has nothing else to be known by.
            bare = (reads > 2)[:, None]
            total = torch.where(bare, total - scores.index_select(0, first) - scores.index_select(0, last), total)
            count = torch.where(reads > 2, reads - 2, reads)
        return total / count[:, None]
