"""What follows from a method's settings."""

from __future__ import annotations

import pytest

from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe


def test_rslora_scales_by_the_root_of_the_rank() -> None:
    assert Lora(rank=16, alpha=6.0, use_rslora=True).scaling == pytest.approx(6.0 / 4.0)
    assert Lora(rank=16, alpha=6.0).scaling == pytest.approx(6.0 / 16.0)


def test_widths_and_layers() -> None:
    assert Bottleneck(width=7, layers="top-2").adapted(6) == (4, 5)
    assert Bottleneck(reduction_factor=4).inside(34) == 8
    assert Bottleneck(layers=(3, 1)).adapted(6) == (1, 3)
    with pytest.raises(ValueError, match=r"wants adapters in layer 6 \(counted from 0\) of an encoder with 6 layers"):
        Lora(layers=(2, 6)).adapted(6)


def test_the_lowest_layer_that_changes() -> None:
    assert Lora(layers="top-2").lowest_layer(6) == 4
    assert Bottleneck(layers="top-2", invertible="nice").lowest_layer(6) == 0


def test_a_probe_looks_at_the_top() -> None:
    assert Probe().adapted(6) == (5,)
