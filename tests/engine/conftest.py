"""Fixtures of engine tests: the stand-in for CUDA, and passes through lower layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adapterx.backbones.layout import PackedBatch
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import bundle as bundle_module
from adapterx.engine import capture
from adapterx.engine.capture import CapturedSteps
from tests.engine.recordings import Cuda, Graph, Stream


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    fake = Cuda()
    capture._side_stream.cache_clear()
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(fake))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: fake.main)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: fake.log.append("back to main"))
    monkeypatch.setattr(torch.cuda, "stream", fake.stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(fake))
    monkeypatch.setattr(torch.cuda, "graph", fake.graph)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(PackedEncoder, "spans", property(lambda encoder: True))
    monkeypatch.setattr(
        bundle_module, "CapturedSteps", lambda compute, alive: CapturedSteps(fake.watch(compute), alive)
    )
    return fake


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Token rows of every pass through lower layers."""
    found: list[int] = []
    below = PackedEncoder.below

    def counted(own: PackedEncoder, packed_batch: PackedBatch, depth: int) -> Tensor:
        hidden = below(own, packed_batch, depth)
        found.append(len(hidden))
        return hidden

    monkeypatch.setattr(PackedEncoder, "below", counted)
    return found
