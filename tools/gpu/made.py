"""Encoders, cells and bundles of the benchmark's shapes, and how fast bundles step."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from tools.bench import ours, shapes
from tools.bench.session import Job
from tools.bench.variants import Variant, fused
from tools.gpu.check import Check

KERNELS = "ADAPTERX_KERNELS"
"""The variable that switches the engine's own kernels; without a build that has them it says nothing."""


@contextmanager
def kernels(said: str) -> Iterator[None]:
    """The engine's own kernels as this value of the variable has them."""
    before = os.environ.get(KERNELS)
    os.environ[KERNELS] = said
    try:
        yield
    finally:
        if before is None:
            del os.environ[KERNELS]
        else:
            os.environ[KERNELS] = before


def encoder(shape: str, device: str, dtype: torch.dtype = torch.bfloat16, load: str = "") -> PackedEncoder:
    """An encoder with random weights; `load` names a precision that its layers are stored in."""
    model = shapes.encoder(shapes.SHAPES[shape], device, dtype)
    return PackedEncoder(shapes.stored(model, load) if load else model)


def variant(shape: str, cells: int, **fields: Any) -> Variant:
    """A training of the benchmark."""
    given = {"batch": 32, "texts": 1024} | fields
    return Variant("check", "train", shape, tuple(fused(cells)), **given)


def cells(shape: str, count: int, **fields: Any) -> list[TrainingCell]:
    """Cells of a training."""
    one = variant(shape, count, **fields)
    return ours._cells(Job(one, one.contenders[0], "cpu"))


def bundle(
    enc: PackedEncoder, own: Sequence[TrainingCell], prefix: PrefixCache | None = None, **options: Any
) -> Bundle:
    """A bundle of cells at their start."""
    states = [CellState.start(cell, shape_of(enc)) for cell in own]
    return Bundle(enc, own, states, Options(**options), prefix)


def losses(
    enc: PackedEncoder, own: Sequence[TrainingCell], steps: int, **options: Any
) -> tuple[Tensor, dict[str, Any]]:
    """(steps, K) losses, and what was recorded."""
    made = bundle(enc, own, **options)
    try:
        for _ in range(steps):
            made.step()
        return torch.tensor(made.book()), recorded(made)
    finally:
        made.close()


def recorded(made: Bundle) -> dict[str, Any]:
    """What a bundle says of its recordings; nothing where it records none."""
    steps = made._captured
    if steps is None:
        return {}
    replayed = sum(count for shape, count in steps._seen.items() if shape in steps._recordings)
    return {
        "recordings": len(steps._recordings),
        "shapes": len(steps._seen),
        "share of steps of recorded shapes": round(replayed / max(1, sum(steps._seen.values())), 3),
        "refused": steps._refused,
    }


def pace(
    check: Check,
    name: str,
    enc: PackedEncoder,
    own: Sequence[TrainingCell],
    steps: int = 48,
    warm_up: int = 100,
    **options: Any,
) -> None:
    """Note how long a step of a bundle takes, on the wall and of the host's processor, and how much memory."""
    steps, warm_up = (2, 2) if check.quick else (steps, warm_up)
    made = bundle(enc, own, **options)
    try:
        begun = time.perf_counter()
        _take(made, warm_up)
        check.settle()
        warmed, tokens = time.perf_counter() - begun, sum(state.tokens for state in made.states)
        if check.cuda:
            torch.cuda.reset_peak_memory_stats()
        wall, host = time.perf_counter(), time.process_time()
        _take(made, steps)
        check.settle()
        wall, host = time.perf_counter() - wall, time.process_time() - host
        tokens = sum(state.tokens for state in made.states) - tokens
        facts: dict[str, Any] = {
            "ms per step": round(wall / steps * 1e3, 3),
            "ms per cell and step": round(wall / steps / len(own) * 1e3, 4),
            "host ms per step": round(host / steps * 1e3, 2),
            "tokens per second": round(tokens / wall),
            "warm-up seconds": round(warmed, 2),
            **recorded(made),
        }
        if check.cuda:
            facts["peak GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
            facts["reserved GB"] = round(torch.cuda.memory_reserved() / 1e9, 2)
        check.note(name, facts)
    finally:
        made.close()


def _take(made: Bundle, steps: int) -> None:
    for _ in range(steps):
        made.step()
        if made.ahead >= made.lag:
            made.book()
    made.book()
