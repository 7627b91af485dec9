"""What a bundle's batches are to have for the engine's own kernels, on the device and with the method at hand."""

from __future__ import annotations

import torch

from adapterx.backbones.layout import ForKernels
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import TrainingCell
from adapterx.kernels import choice
from adapterx.kernels.tiles import LARGEST_RANK
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora

LARGEST_HEAD = 128
"""Numbers of a head that the kernel for short sequences holds."""


def for_passes(encoder: PackedEncoder) -> ForKernels:
    """What to lay out for passes that train nothing."""
    return ForKernels(short=_short(encoder))


def for_kernels(encoder: PackedEncoder, cell: TrainingCell, aligned: bool) -> ForKernels:
    """What to lay out beside what the library needs.

    Args:
        cell: any of the bundle's: their methods are the same.
        aligned: whether cells are padded at all.
    """
    device = encoder.device
    tiles = aligned and any(choice.runs(name, device) for name in ("lora", "products", "dropout"))
    ragged = tiles and choice.runs("ragged", device) and _by_tiles(encoder, cell)
    return ForKernels(_short(encoder), tiles, ragged)


def _short(encoder: PackedEncoder) -> bool:
    fits = encoder.hidden // encoder.heads <= LARGEST_HEAD
    return encoder.spans and fits and choice.runs("attention", encoder.device)


def _by_tiles(encoder: PackedEncoder, cell: TrainingCell) -> bool:
    """Whether kernels compute all that adapters do to rows, so that a recorded step need not know cells' lengths."""
    methods = [slot.method for slot in cell.lower] + [cell.method]
    return all(_tiled(encoder, method) for method in methods)


def _tiled(encoder: PackedEncoder, method: MethodSpec) -> bool:
    device = encoder.device
    drops = method.dropped_layers > 0 or (method.drops > 0.0 and not counts_masks(method, device))
    if not method.layers_in or method.trains_backbone or drops:
        return False
    if isinstance(method, Lora):
        return choice.runs("lora", device) and method.rank <= LARGEST_RANK
    if isinstance(method, Bottleneck):
        inside = method.inside(encoder.hidden)
        return choice.runs("products", device) and method.invertible is None and inside <= choice.WIDEST
    return not method.adapts


def dropped(method: MethodSpec, depth: int) -> tuple[str, ...]:
    """Where a method's adapters in an encoder `depth` deep have dropout masks, as they name the places."""
    if method.drops == 0.0:
        return ()
    if isinstance(method, Lora):
        return tuple(f"{layer}.{module}" for layer in method.adapted(depth) for module in method.target_modules)
    if isinstance(method, Bottleneck):
        return tuple(f"{layer}.{place}" for layer in method.adapted(depth) for place in method.sites)
    return ()


def counts_masks(method: MethodSpec, device: torch.device) -> bool:
    """Whether a kernel counts all that is random in the method's adapters."""
    return choice.runs("dropout", device) and isinstance(method, Lora | Bottleneck) and method.dropped_layers == 0
