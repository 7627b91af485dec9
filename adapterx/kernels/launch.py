"""The one place that starts kernels: guarded, on the right device, and seen by who counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from adapterx.kernels.choice import Name, guarded

Observer = Callable[[str, tuple[Any, ...], dict[str, Any]], None]
"""Told the kernel's name, its arguments and its constants."""
_observers: list[Observer] = []
_dry = False


def launch(name: Name, kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Start a kernel over a grid. Raises KernelFailed where it cannot be, having changed nothing.

    Args:
        name: the switch that it belongs to.
        kernel: a function of Triton's; its first argument is a tensor, on whose device it runs.
        constants: its compile-time constants, `num_warps` and `num_stages`.
    """
    for observer in _observers:
        observer(kernel.__name__, arguments, constants)
    if _dry or 0 in grid:
        return
    with guarded(name):
        device = next(one for one in arguments if isinstance(one, Tensor)).device
        if device.type == "cuda":
            with torch.cuda.device(device):
                run(kernel, grid, arguments, constants)
        else:
            run(kernel, grid, arguments, constants)


def run(kernel: Any, grid: tuple[int, ...], arguments: tuple[Any, ...], constants: dict[str, Any]) -> None:
    """Start it, whatever happens."""
    kernel[grid](*arguments, **constants)


@contextmanager
def observed(observer: Observer, dry: bool = False) -> Iterator[None]:
    """Tell an observer of each launch.

    Args:
        dry: launch nothing, as tensors have no numbers.
    """
    global _dry  # noqa: PLW0603
    before = _dry
    _observers.append(observer)
    _dry = dry or _dry
    try:
        yield
    finally:
        _observers.remove(observer)
        _dry = before
