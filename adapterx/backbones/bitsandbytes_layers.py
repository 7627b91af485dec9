"""Frozen linear layers that bitsandbytes stores and multiplies: what `BitsAndBytesConfig` makes of a checkpoint's own.

Recordable in no CUDA graph: LLM.int8() asks the host about outliers at each product.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from adapterx.backbones.compute import hidden_format
from adapterx.backbones.precisions.int8 import OUTLIERS
from adapterx.errors import AdapterxError


def int8(weight: Tensor, bias: Tensor) -> nn.Module:
    """`Linear8bitLt` from a weight (o, i), quantised on the weight's device."""
    library = bitsandbytes("load: int8")
    layer = library.nn.Linear8bitLt(
        weight.shape[1], weight.shape[0], bias=True, has_fp16_weights=False, threshold=OUTLIERS, device="meta"
    )
    stored = library.nn.Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
    layer.weight = stored.to(weight.device)  # moving it is what quantises it
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer  # type: ignore[no-any-return]


def nf4(weight: Tensor, bias: Tensor) -> nn.Module:
    """`Linear4bit` from a weight (o, i), quantised on the weight's device; it computes in hidden states' format."""
    library = bitsandbytes("load: nf4")
    layer = library.nn.Linear4bit(
        weight.shape[1],
        weight.shape[0],
        bias=True,
        compute_dtype=hidden_format(bias.dtype, weight.device),
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    # Else it packs weights at the first pass without a gradient, and no later pass has one, without a word.
    layer.support_avx512bf16_for_cpu = False
    stored = library.nn.Params4bit(
        weight.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4", module=layer
    )
    layer.weight = stored.to(weight.device)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer  # type: ignore[no-any-return]


def bitsandbytes(purpose: str) -> Any:
    """The library, imported in silence; AdapterxError, which begins with the purpose, where it is missing."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of a kernel that nothing here uses
    try:
        return import_module("bitsandbytes")
    except ImportError as error:
        raise AdapterxError(f"{purpose} needs bitsandbytes ({error}): pip install 'adapterx[bitsandbytes]'") from error
