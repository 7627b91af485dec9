"""Residual connections with their layer norms: by a kernel of the engine's own where one is chosen, else the library's.

A hidden state goes two ways, into the next products and past them. Where the kernel made it, each way has a tensor of
its own over the same numbers, so that the kernel's backward gets both gradients and need not wait for their sum.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed

_PAST = "_past_the_products"
WIDEST = 8192
"""Numbers of a row that the kernel holds."""


def add_norm(update: Tensor, residual: Tensor, norm: nn.Module) -> Tensor:
    """norm(update + residual) of (N, d) rows."""
    if _by_kernel(norm, update) and residual.is_contiguous():
        from adapterx.kernels.norm import AddNorm

        with suppress(KernelFailed):
            out, past = AddNorm.apply(update, residual, norm.weight, norm.bias, norm.eps)  # type: ignore[no-untyped-call]
            setattr(out, _PAST, past)
            return cast(Tensor, out)
    return cast(Tensor, norm(update + residual))


def fork(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """A hidden state for the next products, and the same for the residual past them."""
    return hidden, getattr(hidden, _PAST, hidden)


def fork_normed(hidden: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """norm(hidden) for the next products, and hidden for the residual past them."""
    if _by_kernel(norm, hidden):
        from adapterx.kernels.norm import ForkedNorm

        with suppress(KernelFailed):
            out, past = ForkedNorm.apply(hidden, norm.weight, norm.bias, norm.eps)  # type: ignore[no-untyped-call]
            return cast(Tensor, out), cast(Tensor, past)
    return cast(Tensor, norm(hidden)), hidden


def _by_kernel(norm: nn.Module, rows: Tensor) -> TypeGuard[nn.LayerNorm]:
    """Whether the kernel computes this norm: a frozen one over rows of its own format."""
    return (
        choice.runs("norm", rows.device)
        and type(norm) is nn.LayerNorm
        and norm.bias is not None
        and not norm.weight.requires_grad
        and norm.weight.dtype == rows.dtype
        and rows.is_contiguous()
        and rows.shape[1] <= WIDEST
        and not torch.is_autocast_enabled(rows.device.type)
    )
