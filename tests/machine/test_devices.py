"""Devices as users name them, and what a process sees of them."""

from __future__ import annotations

import os

import pytest

from adapterx.machine.devices import VISIBLE, Device, parsed


def test_names() -> None:
    assert parsed("0,1") == (Device("cuda", 0), Device("cuda", 1)) == parsed("cuda:0, CUDA:1")
    assert parsed("cpu,cpu") == (Device("cpu"), Device("cpu"))
    assert parsed("cuda") == (Device("cuda"),) and str(*parsed("cuda:3")) == "cuda:3"


@pytest.mark.parametrize(
    ("before", "device", "after"),
    [
        (None, "cuda:1", "1"),
        (None, "cuda", "0"),
        ("4,6", "cuda:1", "6"),
        ("GPU-1,GPU-2", "0", "GPU-1"),
        ("4", "1", ""),
        ("4,6", "cpu", ""),
        (None, "cpu", ""),
    ],
)
def test_a_process_sees_its_own_gpu_alone(
    before: str | None, device: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VISIBLE, before)
    parsed(device)[0].take()
    assert os.environ[VISIBLE] == after
