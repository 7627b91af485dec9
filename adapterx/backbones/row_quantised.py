"""Frozen linear layers whose weights take 8 bits, with one scale per output feature.

A weight row w is stored as codes c and a scale s = max |w| / largest code, so that w ≈ s c. Absolute maxima, no
calibration: the same checkpoint gives the same codes everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LARGEST_INT8 = 127.0
"""-128 stays unused, so that codes are symmetric."""
_ROWS = 64


def scaled_rows(rows: Tensor, largest: float) -> tuple[Tensor, Tensor]:
    """Rows (N, i) over their scales (N,) in float32, both, so that the largest of each is `largest`; zeros stay so."""
    rows = rows.float()
    low, high = torch.aminmax(rows, dim=1)
    scales = torch.maximum(high, -low).clamp_min(torch.finfo(torch.float32).tiny) / largest
    return rows / scales[:, None], scales


class RowQuantised(nn.Module):
    """A frozen linear layer from i to o features.

    Args:
        codes: (o, i) in int8 or float8.
        scales: (o,) float32.
        bias: (o,) in the format of hidden states.
    """

    codes: Tensor
    scales: Tensor
    bias: Tensor

    def __init__(self, codes: Tensor, scales: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.out_features, self.in_features = codes.shape
        for name, tensor in (("codes", codes), ("scales", scales), ("bias", bias)):
            self.register_buffer(name, tensor)

    def dense(self, number: torch.dtype) -> Tensor:
        """(o, i) the weights that the codes stand for."""
        return (self.codes.float() * self.scales[:, None]).to(number)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.dense(inputs.dtype), self.bias.to(inputs.dtype))


def int8_rows(weight: Tensor, bias: Tensor) -> RowQuantised:
    """A layer of 8-bit integers from a weight (o, i)."""
    return _stored(weight, bias, torch.int8, LARGEST_INT8)


def fp8_rows(weight: Tensor, bias: Tensor) -> RowQuantised:
    """A layer of float8 e4m3 (1 sign, 4 exponent, 3 mantissa bits) from a weight (o, i)."""
    return _stored(weight, bias, torch.float8_e4m3fn, torch.finfo(torch.float8_e4m3fn).max)


def _stored(weight: Tensor, bias: Tensor, number: torch.dtype, largest: float) -> RowQuantised:
    """Some rows at a time, as they are computed in float32."""
    codes = torch.empty(weight.shape, dtype=number, device=weight.device)
    scales = torch.empty(len(weight), device=weight.device)
    for start in range(0, len(weight), _ROWS):
        rows = slice(start, start + _ROWS)
        shares, scales[rows] = scaled_rows(weight[rows], largest)
        codes[rows] = shares.round_() if number == torch.int8 else shares
    return RowQuantised(codes, scales, bias)


def beside(layers: Sequence[RowQuantised]) -> RowQuantised:
    """One layer of all their outputs (N, Σ o). They keep their numbers, now views of the joint ones."""
    if len(layers) == 1:
        return layers[0]
    joint = RowQuantised(
        *(torch.cat([getattr(layer, name) for layer in layers]) for name in ("codes", "scales", "bias"))
    )
    start = 0
    for layer in layers:
        rows = slice(start, start + layer.out_features)
        layer.codes, layer.scales, layer.bias = joint.codes[rows], joint.scales[rows], joint.bias[rows]
        start = rows.stop
    return joint
