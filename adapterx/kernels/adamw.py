"""AdamW of all cells of a bundle: one kernel for norms, one that judges them, one for each matrix of parameters.

The arithmetic is `engine.optimiser.RowAdamW.step_all`'s, with each cell's gradient scaled as it is read. A cell whose
loss or gradient is not finite is alive no longer, and its numbers stay.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from adapterx.kernels.launch import launch

_CHUNK = 4096
_STEP = 1024


@triton.jit
def square_sums(gradients, members, sums, width, sums_stride, offset, CHUNK: tl.constexpr):
    """The sum of squares of a chunk of one row."""
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = chunk * CHUNK + tl.arange(0, CHUNK)
    g = tl.load(gradients + row * width + column, mask=column < width, other=0.0)
    cell = tl.load(members + row)
    tl.store(sums + cell * sums_stride + offset + chunk, tl.sum(g * g, 0))


@triton.jit
def judge(sums, losses, alive, limits, scales, count, sums_stride, limit_stride, BLOCK: tl.constexpr):
    """Whether a cell is alive, and what its gradient is multiplied by to be no longer than its limit."""
    cell = tl.program_id(0).to(tl.int64)
    total = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, count, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(sums + cell * sums_stride + at, mask=at < count, other=0.0).to(tl.float64)
    norm = tl.sqrt(tl.sum(total, 0))
    loss = tl.load(losses + cell).to(tl.float64)
    # Of what is not finite, the difference to itself is not zero.
    finite = (norm - norm == 0.0) & (loss - loss == 0.0)
    limit = tl.load(limits + cell * limit_stride).to(tl.float64)
    tl.store(alive + cell, (tl.load(alive + cell) != 0) & finite)
    tl.store(scales + cell, tl.where(norm > limit, limit / (norm + 1e-6), 1.0).to(tl.float32))


@triton.jit
def adamw_rows(
    values,
    gradients,
    first,
    second,
    members,
    table,
    scales,
    alive,
    width,
    decaying,
    table_stride,
    epsilon,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A chunk of one row's step."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    cell = tl.load(members + row)
    if tl.load(alive + cell) == 0:
        return
    rate, shrink = tl.load(table + cell * table_stride), tl.load(table + cell * table_stride + 1)
    first_bias, second_bias = tl.load(table + cell * table_stride + 2), tl.load(table + cell * table_stride + 3)
    inside, at = column < width, row * width + column
    g = tl.load(gradients + at, mask=inside, other=0.0) * tl.load(scales + cell)
    p = tl.load(values + at, mask=inside, other=0.0)
    m = tl.load(first + at, mask=inside, other=0.0)
    v = tl.load(second + at, mask=inside, other=0.0)
    m = m + (1 - BETA1) * (g - m)
    v = v * BETA2 + (1 - BETA2) * (g * g)
    update = tl.div_rn(tl.div_rn(m, first_bias), tl.div_rn(tl.sqrt_rn(v), second_bias) + epsilon) * rate
    update += tl.where(column < decaying, p * shrink, 0.0)
    tl.store(first + at, m, mask=inside)
    tl.store(second + at, v, mask=inside)
    tl.store(values + at, p - update, mask=inside)


def clip_scales(banks: list[tuple[Tensor, Tensor]], losses: Tensor, alive: Tensor, limits: Tensor) -> Tensor:
    """(K,) factors that bring each cell's gradient within its limit; who is not finite is alive no longer.

    Args:
        banks: gradients (rows, P) and the cell of each row, (rows,).
        limits: (K,) of any stride.
    """
    chunks = [-(-gradients.shape[1] // _CHUNK) for gradients, _ in banks]
    # Of each cell the adapter's chunks, then its head's, in whichever bank that is.
    count = chunks[0] + max(chunks[1:], default=0)
    sums = torch.zeros(len(losses), count, device=losses.device)
    scales = torch.empty(len(losses), device=losses.device)
    for number, (gradients, members) in enumerate(banks):
        launch(
            "adamw",
            square_sums,
            (len(gradients), chunks[number]),
            *(gradients, members, sums, gradients.shape[1], count, chunks[0] if number else 0),
            CHUNK=_CHUNK,
        )
    launch(
        "adamw",
        judge,
        (len(losses),),
        *(sums, losses, alive, limits, scales, count, count, limits.stride(0)),
        BLOCK=1024,
    )
    return scales


def step(
    values: Tensor,
    gradients: Tensor,
    moments: tuple[Tensor, Tensor],
    members: Tensor,
    decaying: int,
    table: Tensor,
    scales: Tensor,
    alive: Tensor,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Update every row of a bank whose cell is alive.

    Args:
        members: (rows,) the cell of each row.
        table: (K, 5) `Step.table` of all cells.
        scales: (K,) what gradients are multiplied by.
    """
    width = values.shape[1]
    launch(
        "adamw",
        adamw_rows,
        (len(values), -(-width // _STEP)),
        *(values, gradients, *moments, members, table, scales, alive, width, decaying, table.stride(0), epsilon),
        BETA1=betas[0],
        BETA2=betas[1],
        BLOCK=_STEP,
    )
