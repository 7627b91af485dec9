"""Several bottleneck adapters made into one.

The mean of parameters (Wortsman et al. 2022, 2203.05482), and task arithmetic (Ilharco et al. 2023, 2212.04089).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.bottleneck.layers import parameters
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.merging import Merging, weighted
from adapterx.methods.parameters import initial


def merge(
    method: Bottleneck,
    members: Sequence[Mapping[str, Tensor]],
    weights: Sequence[float],
    merging: Merging,
    shape: Shape,
    seed: int,
) -> dict[str, Tensor]:
    """Σ w θᵢ, or for task arithmetic θ₀ + Σ w (θᵢ - θ₀), where the members started from θ₀.

    `adapterx.methods.merging.MergingOf` says what is given.
    """
    start = initial(parameters(method, shape), seed) if merging.arithmetic == "task_arithmetic" else None
    found = {}
    for name in members[0]:
        values = [tensors[name].float() for tensors in members]
        if start is None:
            found[name] = weighted(values, weights)
        else:
            found[name] = start[name] + weighted([value - start[name] for value in values], weights)
    return found
