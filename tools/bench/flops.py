"""The work that a variant cannot do without: products with frozen weights, counted per real token.

2 FLOP per weight and token forward, and 2 more for the gradient of the inputs. No gradient of frozen weights; none of
inputs below the lowest adapter; in the last layer query, output projection and feed-forward only for the token that
the head reads. Attention scores, adapters and heads are left out: a few percent.
"""

from __future__ import annotations

from tools.bench.shapes import SHAPES
from tools.bench.variants import Contender, Variant


def necessary(variant: Variant, contender: Contender, tokens: float) -> float:
    """FLOP per example of `tokens` real tokens, as few as this contender's cells need together.

    A kept prefix is not computed; cells that see the same texts need it once.
    """
    shape = SHAPES[variant.shape]
    lowest = 0 if variant.layers is None else shape.layers - variant.layers
    forward = [sum(_layer(variant, layer, tokens)) for layer in range(shape.layers)]
    prefix = 0.0 if contender.prefix else sum(forward[:lowest])
    if variant.shared or variant.work == "evaluate":
        prefix /= contender.cells
    total = prefix + sum(forward[lowest:])
    if variant.work == "train":
        total += sum(forward[lowest + 1 :]) + _lowest_backward(variant, lowest, tokens)
    return total


def _layer(variant: Variant, layer: int, tokens: float) -> tuple[float, float]:
    """FLOP of one pass through a layer: the query, key and value projections, and what follows them."""
    shape = SHAPES[variant.shape]
    square, wide = 2.0 * shape.hidden**2, 2.0 * shape.hidden * shape.intermediate
    read = 1.0 if layer == shape.layers - 1 else tokens
    return square * (read + 2 * tokens), (square + 2 * wide) * read


def _lowest_backward(variant: Variant, layer: int, tokens: float) -> float:
    """In the lowest adapted layer the gradient ends at the adapters: LoRA's projections, or seq_bn at the end."""
    return _layer(variant, layer, tokens)[1] if variant.method == "lora" else 0.0
