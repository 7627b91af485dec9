"""Kept hidden states on the device: the same, asked by no thread, and first to go where memory runs out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adapterx.engine.batches import Selection
from adapterx.engine.bundle import Bundle
from adapterx.engine.collate import collate
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from tests.cells import encoded
from tests.engine.test_prefix import PLENTY, batch, rows_of, trained
from tests.engine.trainings import packed


def test_states_on_the_device_are_the_same_and_asked_by_no_thread(passes: list[int]) -> None:
    """Of two pools, one has room there: the rows of a batch of both come together there."""
    data, other = encoded("tagging", examples=12), encoded("pair-classification", examples=12, seed=3)
    enc = packed()
    kept = PrefixCache(enc, PLENTY, on_device=len(data.tokens) * enc.hidden * 4)
    both = collate([[Selection(0, data, np.array([3, 7])), Selection(1, other, np.array([2, 5]))]])
    expected = torch.cat([rows_of(data, 3, 7), rows_of(other, 2, 5)])
    passes.clear()
    for _ in range(2):
        found = kept.hidden(both, 2)
        assert found is not None
        torch.testing.assert_close(found, expected)
    assert sum(passes) == len(both.packed.tokens), "computed once each"
    assert kept.is_on_device and kept.known(batch(data, 3), 2) is None, "threads do nothing on the device"
    assert kept.known(batch(other, 2), 2) is not None, "there was no room for it"
    assert kept.leave_device() and not kept.is_on_device and not kept.leave_device()
    known = kept.known(both, 2)
    assert known is not None and torch.equal(known, found)


def test_states_on_the_device_change_no_training_and_make_way_where_memory_runs_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    enc = packed()
    expected = trained(enc, PrefixCache(enc, PLENTY))
    kept = PrefixCache(enc, PLENTY, on_device=PLENTY)
    for found in (trained(enc, kept), trained(enc, kept, options=Options(workers=2))):
        assert all(
            torch.equal(a.state.adapter.values, b.state.adapter.values) for a, b in zip(found, expected, strict=True)
        )
    original, calls = Bundle._gradients, []

    def tight(own: Bundle, *step: Any) -> Tensor:
        calls.append(own.parts)
        if kept.is_on_device:
            raise torch.OutOfMemoryError("no room")
        return original(own, *step)

    monkeypatch.setattr(Bundle, "_gradients", tight)
    (outcome, *_) = trained(enc, kept)
    assert torch.equal(outcome.state.adapter.values, expected[0].state.adapter.values)
    assert set(calls) == {1} and not kept.is_on_device and "hidden states are kept in the host's" in caplog.text
