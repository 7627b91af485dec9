"""What a recipe's method comes to for the engine."""

from __future__ import annotations

import pytest

from adapterx.executors import plain
from adapterx.methods import config
from adapterx.methods.spec import Bottleneck, Head, Lora


def test_rslora_scales_by_the_root_of_the_rank() -> None:
    found = plain.method(Lora(rank=16, alpha=6.0, use_rslora=True), 3)
    assert isinstance(found, config.Lora)
    assert found.alpha / found.rank == pytest.approx(6.0 / 4.0)


def test_widths_and_layers() -> None:
    found = plain.method(Bottleneck(width=7, layers="top-2"), 6)
    assert isinstance(found, config.Bottleneck)
    assert (found.width, found.layers) == (7, (4, 5))


def test_a_probe_looks_at_the_top() -> None:
    assert plain.method(Head(), 6) == config.HeadOnly((5,))
