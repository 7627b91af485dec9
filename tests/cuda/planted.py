"""Faults that a rehearsal must find, each planted in a bundle of LoRA cells that has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from adapterx.backbones import attention, packed
from adapterx.engine.batches import Batch
from adapterx.engine.bundle import Bundle
from adapterx.methods.lora import layers

Planted = Callable[[Bundle], AbstractContextManager[object]]


@contextmanager
def _held(bundle: Bundle) -> Iterator[None]:
    """Somebody keeps the nodes that gather gradients: they belong to the default stream."""
    nodes = [torch.autograd.graph.get_gradient_edge(view).node for view in bundle.trained.adapter.bank.views.values()]
    yield
    del nodes


def _judged(change: Callable[[Tensor], Tensor]) -> Planted:
    """Something done with the losses of every step, before who is alive is judged."""

    def plant(bundle: Bundle) -> AbstractContextManager[object]:
        judge = bundle.trained._judge
        return patch.object(bundle.trained, "_judge", lambda losses: judge(change(losses)))

    return plant


def _asked(losses: Tensor) -> Tensor:
    losses.sum().item()
    return losses


def _masked(losses: Tensor) -> Tensor:
    return losses + losses[losses.isfinite()].sum()


def _from_host(losses: Tensor) -> Tensor:
    return losses + torch.tensor([1.0] * len(losses)).to(losses.device)


def _listed(losses: Tensor) -> Tensor:
    return losses + torch.tensor([1.0] * len(losses), device=losses.device)


def _random(losses: Tensor) -> Tensor:
    return losses + torch.rand_like(losses).uniform_()


def _half(losses: Tensor) -> Tensor:
    return torch.where(losses.isfinite(), losses, losses.half()).float()


def _pageable(bundle: Bundle) -> AbstractContextManager[object]:
    """Batches are not pinned."""

    def batches(number: int) -> list[Batch]:
        with patch.object(Tensor, "pin_memory", lambda tensor: tensor):
            return unpinned(number)

    unpinned = bundle.loader._make
    return patch.object(bundle.loader, "_make", batches)


def _ragged(bundle: Bundle) -> AbstractContextManager[object]:
    """Products go cell by cell, as on a CPU: right numbers, and many times the launches."""
    return patch.object(layers, "alike", lambda rows: False)


def _host_index(bundle: Bundle) -> AbstractContextManager[object]:
    """Losses are looked up by places in host memory."""
    places = torch.arange(len(bundle.cells))
    return _judged(lambda losses: losses[places])(bundle)


def _wide(bundle: Bundle) -> AbstractContextManager[object]:
    """Queries, keys and values are float32 when they come to the attention kernel."""
    attend = attention.attend

    def wide(query: Tensor, key_value: Tensor, *layout: Any) -> Tensor:
        return attend(query.float(), key_value.float(), *layout).to(query.dtype)

    return patch.object(packed, "attend", wide)


def _left_behind(bundle: Bundle) -> AbstractContextManager[object]:
    """A step meets a tensor that was left in host memory."""
    here = torch.ones(len(bundle.cells))
    return _judged(lambda losses: losses + here)(bundle)


PLANTED: Mapping[str, Planted] = {
    "a node of the default stream is held": _held,
    "the host asks for a loss": _judged(_asked),
    "a mask picks rows": _judged(_masked),
    "numbers of the host in a step": _judged(_from_host),
    "a list becomes a tensor in a step": _judged(_listed),
    "random numbers in a step": _judged(_random),
    "two number formats meet": _judged(_half),
    "batches in pageable memory": _pageable,
    "products cell by cell": _ragged,
    "an index in host memory": _host_index,
    "attention in 32 bits": _wide,
    "operands on two devices": _left_behind,
}
