"""adapter.safetensors, written and read."""

from __future__ import annotations

from pathlib import Path

import torch

from adapterx.results import adapter_file
from adapterx.results.adapter_file import TrainedTensors
from tests.results.earlier import HERE

TENSORS = TrainedTensors(
    {"layer.1.b": torch.arange(6.0).reshape(2, 3), "layer.0.a": torch.ones(1, 2, dtype=torch.float16)},
    {"head.t.output.weight": torch.zeros(2, 2)},
)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    adapter_file.write(tmp_path / "a", TENSORS)
    found = adapter_file.read(tmp_path / "a")
    for ours, theirs in ((TENSORS.adapter, found.adapter), (TENSORS.heads, found.heads)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)


def test_a_file_of_an_earlier_version_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    earlier = HERE / adapter_file.NAME
    found = adapter_file.read(earlier)
    assert list(found.heads) == ["head.t.output.weight"] and torch.equal(
        found.adapter["layer.1.b"], TENSORS.adapter["layer.1.b"]
    )
    adapter_file.write(tmp_path / "a", TENSORS)
    assert (tmp_path / "a").read_bytes() == earlier.read_bytes()


def test_a_head_is_that_of_its_task_alone() -> None:
    heads = {"head.t.w": torch.zeros(1), "head.t2.w": torch.ones(1), "head.t.output.bias": torch.ones(2)}
    assert {*TrainedTensors({}, heads).head("t")} == {"w", "output.bias"}
