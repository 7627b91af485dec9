"""The non-linearities of bottlenecks, by the names a recipe gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from adapterx.methods.bottleneck.spec import Activation

ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "swish": nn.functional.silu,
    "gelu_new": partial(nn.functional.gelu, approximate="tanh"),
    "tanh": torch.tanh,
    "leakyrelu": nn.functional.leaky_relu,
}
