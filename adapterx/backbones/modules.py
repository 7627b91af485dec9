"""The linear layers of an encoder layer, and where they stand in it; needs no torch."""

from __future__ import annotations

from typing import Literal

Module = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
"""A linear layer of an encoder layer, by the names Hugging Face gives them (the two `output`s told apart)."""
Place = Literal["attention", "output"]
"""A residual connection of an encoder layer: after attention, or after the feed-forward."""
MODULE_PATH: dict[Module, str] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
"""The name of each module in a layer of the encoder."""
BEHIND: dict[Module, float] = {
    "query": 3 / 4,
    "key": 3 / 4,
    "value": 3 / 4,
    "attention_output": 2 / 3,
    "intermediate": 1 / 3,
    "output": 0.0,
}
"""Share of a layer's weights that lie behind a module's output, where the feed-forward block is four times as wide as
the hidden states, as in XLM-R."""
