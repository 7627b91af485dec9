"""Whether the GPU computes what the CPU does: fused and alone, padded and ragged, recorded and launched."""

from __future__ import annotations

import torch

from tools.gpu.check import Check
from tools.gpu.made import cells, encoder, kernels, losses


def correct(check: Check) -> None:
    """Largest differences of losses over the first steps of small cells."""
    steps = 4 if check.quick else 24
    for method in ("lora", "bottleneck"):
        own = cells("tiny", 4, method=method, batch=8, texts=64)
        wide, half = encoder("tiny", check.device, torch.float32), encoder("tiny", check.device)
        aligned, _ = losses(wide, own, steps, aligned=True, graphs=False)
        ragged, _ = losses(wide, own, steps, aligned=False, graphs=False)
        alone = torch.cat([losses(wide, [one], steps, aligned=True, graphs=False)[0] for one in own], dim=1)
        launched, _ = losses(half, own, steps, graphs=False)
        replayed, facts = losses(half, own, steps, graphs=True)
        with kernels("none"):
            library, _ = losses(half, own, steps, graphs=False)
        on_cpu, _ = losses(encoder("tiny", "cpu", torch.float32), own, steps, aligned=False, graphs=False)
        for what, one, other in (
            ("fp32: padded and ragged", aligned, ragged),
            ("fp32: together and alone", aligned, alone),
            ("fp32: here and on the CPU", aligned, on_cpu),
            ("bf16 and fp32", launched, aligned),
            ("bf16: own kernels and the library's", launched, library),
            ("bf16: recorded and launched", replayed, launched),
        ):
            check.note(f"{method}, {what}: largest difference of a loss", float((one - other).abs().max()))
        check.note(f"{method}: recordings", facts)
