"""The embeddings of some tokens of a vocabulary, in the place of those of all."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding


class TokenRows(nn.Module):
    """Looks embeddings up by the tokens' own ids, as the whole table would, and gives the same numbers.

    Args:
        tokens: (n,) ids, rising.
        rows: (n, d) their embeddings.
        vocabulary: tokens of the whole table.
    """

    places: Tensor

    def __init__(self, tokens: Tensor, rows: Tensor, vocabulary: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(rows, requires_grad=False)
        # One past the last row, which every device refuses to read: no token gets the row of another.
        places = torch.full((vocabulary,), len(rows), dtype=torch.int32, device=rows.device)
        places[tokens.to(rows.device)] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        self.register_buffer("places", places, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, d) embeddings of (N,) tokens.

        A token that has none is an IndexError naming it on a CPU, and a failed assertion of the kernel on a GPU, which
        cannot be asked about in every step.
        """
        places = self.places.index_select(0, tokens)
        if places.device.type == "cpu" and bool((absent := places == len(self.weight)).any()):
            token = int(tokens[absent][0])
            raise IndexError(f"token {token} is not among the {len(self.weight):,} whose embeddings were loaded")
        return embedding(places, self.weight)
