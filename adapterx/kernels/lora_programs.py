"""What runs on a GPU for LoRA: the programs that `lora` launches.

Forward: a program has a tile of one cell's rows; it reads the inputs once for all modules, keeps their rank-r images,
and adds each module's delta to its columns of the outputs in place. Backward: one kernel reads the outputs' gradient,
leaves its rank-r images, and adds to the inputs' gradient in place; another makes the gradients of A and of B.
"""

from __future__ import annotations

import triton
import triton.language as tl

from adapterx.kernels.arithmetic import dot


@triton.jit
def _chosen(which: tl.constexpr, zero, one, two):
    """One of three."""
    if which == 0:
        return zero
    elif which == 1:
        return one
    else:
        return two


@triton.jit
def lora_forward(
    inputs,
    outputs,
    low,
    a0,
    a1,
    a2,
    b0,
    b1,
    b2,
    tiles,
    c0,
    c1,
    c2,
    scale,
    count_in,
    count_out,
    rank,
    input_stride,
    output_stride,
    low_stride,
    a_cell,
    b_cell,
    MODULES: tl.constexpr,
    RANK: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    which = tl.program_id(0)
    count = tl.load(tiles + 3 * which + 2)
    if count == 0:
        return
    cell = tl.load(tiles + 3 * which).to(tl.int64)
    first = tl.load(tiles + 3 * which + 1).to(tl.int64)
    row, r = tl.arange(0, ROWS), tl.arange(0, RANK)
    there = row < count
    z0 = tl.zeros((ROWS, RANK), tl.float32)
    z1 = tl.zeros((ROWS, RANK), tl.float32)
    z2 = tl.zeros((ROWS, RANK), tl.float32)
    for start in range(0, count_in, BLOCK_IN):
        i = start + tl.arange(0, BLOCK_IN)
        x = tl.load(
            inputs + (first + row)[:, None] * input_stride + i[None, :],
            mask=there[:, None] & (i < count_in)[None, :],
            other=0.0,
        )
        at = cell * a_cell + r[None, :] * count_in + i[:, None]
        inside = (i < count_in)[:, None] & (r < rank)[None, :]
        z0 += dot(x, tl.load(a0 + at, mask=inside, other=0.0))
        if MODULES > 1:
            z1 += dot(x, tl.load(a1 + at, mask=inside, other=0.0))
        if MODULES > 2:
            z2 += dot(x, tl.load(a2 + at, mask=inside, other=0.0))
    for module in tl.static_range(MODULES):
        z = _chosen(module, z0, z1, z2).to(outputs.dtype.element_ty)
        b = _chosen(module, b0, b1, b2)
        column = _chosen(module, c0, c1, c2)
        low_at = (first + row)[:, None] * low_stride + module * rank + r[None, :]
        tl.store(low + low_at, z, mask=there[:, None] & (r < rank)[None, :])
        for start in range(0, count_out, BLOCK_OUT):
            o = start + tl.arange(0, BLOCK_OUT)
            w = tl.load(
                b + cell * b_cell + o[None, :] * rank + r[:, None],
                mask=(o < count_out)[None, :] & (r < rank)[:, None],
                other=0.0,
            )
            out = outputs + (first + row)[:, None] * output_stride + column + o[None, :]
            inside = there[:, None] & (o < count_out)[None, :]
            total = tl.load(out, mask=inside, other=0.0).to(tl.float32) + scale * dot(z, w)
            tl.store(out, total.to(outputs.dtype.element_ty), mask=inside)


@triton.jit
def lora_backward(
    gradient,
    low_gradient,
    into,
    a0,
    a1,
    a2,
    b0,
    b1,
    b2,
    tiles,
    c0,
    c1,
    c2,
    scale,
    count_in,
    count_out,
    rank,
    gradient_stride,
    low_stride,
    into_stride,
    a_cell,
    b_cell,
    MODULES: tl.constexpr,
    ADDS: tl.constexpr,
    WRITES: tl.constexpr,
    RANK: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    which = tl.program_id(0)
    count = tl.load(tiles + 3 * which + 2)
    if count == 0:
        return
    cell = tl.load(tiles + 3 * which).to(tl.int64)
    first = tl.load(tiles + 3 * which + 1).to(tl.int64)
    row, r = tl.arange(0, ROWS), tl.arange(0, RANK)
    there = row < count
    z0 = tl.zeros((ROWS, RANK), tl.float32)
    z1 = tl.zeros((ROWS, RANK), tl.float32)
    z2 = tl.zeros((ROWS, RANK), tl.float32)
    for start in range(0, count_out, BLOCK_OUT):
        o = start + tl.arange(0, BLOCK_OUT)
        at = cell * b_cell + o[:, None] * rank + r[None, :]
        inside = (o < count_out)[:, None] & (r < rank)[None, :]
        mask = there[:, None] & (o < count_out)[None, :]
        g = gradient + (first + row)[:, None] * gradient_stride + o[None, :]
        z0 += dot(tl.load(g + c0, mask=mask, other=0.0), tl.load(b0 + at, mask=inside, other=0.0))
        if MODULES > 1:
            z1 += dot(tl.load(g + c1, mask=mask, other=0.0), tl.load(b1 + at, mask=inside, other=0.0))
        if MODULES > 2:
            z2 += dot(tl.load(g + c2, mask=mask, other=0.0), tl.load(b2 + at, mask=inside, other=0.0))
    z0 = (z0 * scale).to(gradient.dtype.element_ty)
    z1 = (z1 * scale).to(gradient.dtype.element_ty)
    z2 = (z2 * scale).to(gradient.dtype.element_ty)
    for module in tl.static_range(MODULES):
        low_at = (first + row)[:, None] * low_stride + module * rank + r[None, :]
        tl.store(low_gradient + low_at, _chosen(module, z0, z1, z2), mask=there[:, None] & (r < rank)[None, :])
    if WRITES:
        for start in range(0, count_in, BLOCK_IN):
            i = start + tl.arange(0, BLOCK_IN)
            at = cell * a_cell + r[:, None] * count_in + i[None, :]
            inside = (r < rank)[:, None] & (i < count_in)[None, :]
            out = into + (first + row)[:, None] * into_stride + i[None, :]
            mask = there[:, None] & (i < count_in)[None, :]
            total = dot(z0, tl.load(a0 + at, mask=inside, other=0.0))
            if MODULES > 1:
                total += dot(z1, tl.load(a1 + at, mask=inside, other=0.0))
            if MODULES > 2:
                total += dot(z2, tl.load(a2 + at, mask=inside, other=0.0))
            if ADDS:
                total += tl.load(out, mask=mask, other=0.0).to(tl.float32)
            tl.store(out, total.to(into.dtype.element_ty), mask=mask)


@triton.jit
def lora_gradients(
    gradient,
    inputs,
    low,
    low_gradient,
    a0,
    a1,
    a2,
    b0,
    b1,
    b2,
    starts,
    c0,
    c1,
    c2,
    scale,
    count_in,
    count_out,
    rank,
    gradient_stride,
    input_stride,
    low_stride,
    a_cell,
    b_cell,
    MODULES: tl.constexpr,
    RANK: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients of A (third index 0: inputs read once for all modules) and of B (1 and on: one module each)."""
    cell, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    first, last = tl.load(starts + cell).to(tl.int64), tl.load(starts + cell + 1).to(tl.int64)
    x = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    r = tl.arange(0, RANK)
    if part == 0:
        z0 = tl.zeros((RANK, BLOCK), tl.float32)
        z1 = tl.zeros((RANK, BLOCK), tl.float32)
        z2 = tl.zeros((RANK, BLOCK), tl.float32)
        for start in range(first, last, ROWS):
            row = start + tl.arange(0, ROWS)
            mask = (row < last)[:, None] & (x < count_in)[None, :]
            own = tl.load(inputs + row[:, None] * input_stride + x[None, :], mask=mask, other=0.0)
            g = low_gradient + row[None, :] * low_stride + r[:, None]
            inside = (row < last)[None, :] & (r < rank)[:, None]
            z0 += dot(tl.load(g, mask=inside, other=0.0), own)
            if MODULES > 1:
                z1 += dot(tl.load(g + rank, mask=inside, other=0.0), own)
            if MODULES > 2:
                z2 += dot(tl.load(g + 2 * rank, mask=inside, other=0.0), own)
        at = cell * a_cell + r[:, None] * count_in + x[None, :]
        inside = (r < rank)[:, None] & (x < count_in)[None, :]
        tl.store(a0 + at, z0, mask=inside)
        if MODULES > 1:
            tl.store(a1 + at, z1, mask=inside)
        if MODULES > 2:
            tl.store(a2 + at, z2, mask=inside)
    else:
        # Names of their own: a branch may not give a name of the other another shape.
        module = part - 1
        b = b0
        column = c0
        if MODULES > 1 and module == 1:
            b = b1
            column = c1
        if MODULES > 2 and module == 2:
            b = b2
            column = c2
        b_total = tl.zeros((BLOCK, RANK), tl.float32)
        for b_start in range(first, last, ROWS):
            b_row = b_start + tl.arange(0, ROWS)
            part_gradient = tl.load(
                gradient + b_row[None, :] * gradient_stride + column + x[:, None],
                mask=(b_row < last)[None, :] & (x < count_out)[:, None],
                other=0.0,
            )
            image = tl.load(
                low + b_row[:, None] * low_stride + module * rank + r[None, :],
                mask=(b_row < last)[:, None] & (r < rank)[None, :],
                other=0.0,
            )
            b_total += dot(part_gradient, image)
        b_at = cell * b_cell + x[:, None] * rank + r[None, :]
        tl.store(b + b_at, b_total * scale, mask=(x < count_out)[:, None] & (r < rank)[None, :])
