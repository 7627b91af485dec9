"""What the GPU gives at the shapes of XLM-R: copies, products in each format, and ways to compute attention."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from adapterx.backbones.attention import attend
from adapterx.backbones.layout import Sequences, pack
from adapterx.engine.batches import placed
from tools.bench.data import texts
from tools.gpu.check import Check
from tools.gpu.made import kernels

SHAPES = ((768, 768), (768, 2304), (768, 3072), (3072, 768), (1024, 4096), (2560, 10240))
"""(Inputs, outputs) of layers of base, large and XL."""
_EIGHT_BITS = 1024
"""Inputs from which on products in 8 bits are looked at."""


def machine(check: Check) -> None:
    """Versions, memory bandwidth, and products in 16 and 8 bits."""
    import transformers

    gpu = torch.cuda.get_device_name() if check.cuda else "none"
    versions = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
    check.note("versions", versions | {"gpu": gpu})
    source = torch.empty(1 << (30 if check.large else 20), dtype=torch.uint8, device=check.device)
    target = torch.empty_like(source)
    seconds = check.milliseconds(lambda: target.copy_(source)) / 1e3
    check.note("copy TB/s", round(2 * source.numel() / seconds / 1e12, 3))
    rows = 21504 if check.large else 64  # K = 16, batch 32, 35 tokens each, padded
    for inputs, outputs in SHAPES if check.large else SHAPES[:1]:
        _products(check, rows, inputs, outputs)


def _products(check: Check, rows: int, inputs: int, outputs: int) -> None:
    def rate(work: Callable[[], object]) -> float:
        return round(2 * rows * inputs * outputs / check.milliseconds(work) / 1e9, 1)

    shape, bf16 = f"{inputs} → {outputs}", torch.bfloat16
    x, w = (torch.randn(n, inputs, device=check.device, dtype=bf16) for n in (rows, outputs))
    bias = torch.randn(outputs, device=check.device, dtype=bf16)
    check.note(f"bf16 {shape} TFLOP/s", rate(lambda: torch.nn.functional.linear(x, w, bias)))
    wide, weight = x.float(), w.float()
    check.note(f"fp32 {shape} TFLOP/s", rate(lambda: torch.nn.functional.linear(wide, weight)))
    if not check.cuda or inputs < _EIGHT_BITS:
        return
    small = [one.clamp(-400, 400).to(torch.float8_e4m3fn) for one in (x, w)]
    scales = torch.ones(rows, 1, device=check.device), torch.ones(1, outputs, device=check.device)
    check.note(
        f"fp8 rows {shape} TFLOP/s",
        rate(lambda: torch._scaled_mm(small[0], small[1].T, *scales, out_dtype=bf16, use_fast_accum=True)),
    )
    codes = [torch.randint(-127, 127, (n, inputs), dtype=torch.int8, device=check.device) for n in (rows, outputs)]
    check.note(f"int8 {shape} TOP/s", rate(lambda: torch._int_mm(codes[0], codes[1].T)))


def attention(check: Check) -> None:
    """Attention within the sequences of a step, forward and both ways: the library's kernel for sequences of any
    length, the engine's own where the build has it, and rectangles.
    """
    heads, width = (12, 64) if check.large else (2, 16)
    lengths = np.array(texts(1, 512 if check.large else 8).lengths)
    rows, d = int(lengths.sum()), heads * width
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    sequences = Sequences(np.zeros(rows, np.int32), lengths, firsts, [len(lengths)], [len(lengths)])
    projected = torch.randn(rows, 3 * d, device=check.device, dtype=torch.bfloat16, requires_grad=True)
    gradient = torch.randn(rows, d, device=check.device, dtype=torch.bfloat16)
    check.note("attention: ms of its bytes at 3 TB/s", [round(n * rows * d * 2 / 3e9, 4) for n in (4, 7)])
    ways = {"the library's kernel": (True, "none"), "as chosen": (True, "")} if check.cuda else {}
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for way, (spans, said) in {**ways, "rectangles": (False, "none")}.items():
        layout = placed(pack(sequences, spans).attention, lambda one: one.to(check.device))

        def forward(layout: object = layout) -> Tensor:
            query, key_value = torch.split(projected, [d, 2 * d], dim=1)
            return attend(query, key_value, layout, heads)  # type: ignore[arg-type]

        def both(forward: Callable[[], Tensor] = forward) -> tuple[Tensor, ...]:
            return torch.autograd.grad(forward(), projected, gradient)

        with kernels(said):
            found[way] = (forward().detach(), both()[0])
            check.note(f"attention: {way}, forward ms", round(check.milliseconds(forward), 4))
            check.note(f"attention: {way}, both ways ms", round(check.milliseconds(both), 4))
    expected = found["rectangles"]
    for way, pair in found.items():
        apart = [
            float((one - other).float().norm() / other.float().norm())
            for one, other in zip(pair, expected, strict=True)
        ]
        check.note(f"attention: {way}, relative distance to rectangles, and of the gradient", apart)
