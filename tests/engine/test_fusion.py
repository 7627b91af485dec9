"""Training a fusion moves the fusion and the head, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import torch

from adapterx.engine.train import train
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.fusion.spec import Fusion
from tests.cells import cell
from tests.engine.trainings import fused, packed


def test_members_and_backbone_stay_as_they_are() -> None:
    enc = packed()
    method = Fusion(members=(Bottleneck(reduction_factor=4.0), Bottleneck(reduction_factor=8.0)))
    members = fused(method, 1, enc)
    before = [{name: tensor.clone() for name, tensor in slot.tensors.items()} for slot in members]
    backbone = {name: tensor.clone() for name, tensor in enc.model.state_dict().items()}
    start = replace(cell(method, seed=1, steps=5, learning_rate=1e-2), lower=members)
    (outcome,) = train(enc, [start])
    *below, fusion = outcome.trained.slots
    parts = ("query.weight", "query.bias", "key.weight", "key.bias", "value.weight")
    assert set(fusion.tensors) == {
        f"encoder.layer.{layer}.output.fusion.{part}" for layer in range(3) for part in parts
    }
    assert all(name.startswith("head.") for name in outcome.trained.heads)
    for slot, member in zip(below, before, strict=True):
        assert all(torch.equal(slot.tensors[name], tensor) for name, tensor in member.items())
    assert all(torch.equal(tensor, backbone[name]) for name, tensor in enc.model.state_dict().items())
    moved = {name for name, tensor in fusion.tensors.items() if not torch.equal(tensor, torch.zeros_like(tensor))}
    assert len(moved) == 12  # all but the keys' biases, which change no score
