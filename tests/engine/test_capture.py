"""Recorded steps, on a stand-in for CUDA: what is recorded, what a replay reads, and what a recording leaves alone."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from adapterx.backbones.layout import SequenceSpans
from adapterx.engine.batches import Batch
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.capture import LIMIT, MORE, WARM_UP, CapturedSteps
from adapterx.engine.cell import Pool
from adapterx.engine.kept_bundle import KeptBundle
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from tests.cells import cell, encoded
from tests.engine.recordings import ALIGNED, Cuda, Stream, bundle, table, two
from tests.engine.trainings import CASES, alone, assert_same, like, packed, slot


@pytest.mark.parametrize(
    "case", [name for name, case in CASES.items() if case.method.drops == 0.0 and "drop" not in name]
)
def test_replayed_steps_are_the_steps_themselves(case: str, cuda: Cuda) -> None:
    enc, cells, expected = alone(case, "xlm-roberta")
    prefix = PrefixCache(enc, 10**9) if CASES[case].method.lowest_layer(3) else None
    with patch.object(CapturedSteps, "_worth_recording", lambda own, shape: True):
        found = train(enc, cells[:5], options=ALIGNED, prefix=prefix)
    assert sum(graph.replays for graph in cuda.graphs) == max(outcome.state.step for outcome in found)
    assert_same(found, expected[:5])


def test_only_shapes_seen_before_are_recorded_and_each_once(cuda: Cuda) -> None:
    own = bundle(*two())
    first, second = shaped(own, 64), shaped(own, 128)
    steps = own._captured
    assert steps is not None
    assert steps(first, table(own)) is None and steps(second, table(own)) is None
    for times in (1, 2, 3):
        assert steps(first, table(own)) is not None
        assert [graph.replays for graph in cuda.graphs] == [times]
    assert steps(second, table(own)) is not None
    assert [graph.replays for graph in cuda.graphs] == [3, 1]


def shaped(own: Bundle, longest: int) -> Batch:
    """The batch of the first step, as if its longest sequence were that long."""
    (batch,) = own._batches(0)
    spans = batch.packed.attention
    assert isinstance(spans, SequenceSpans)
    return replace(batch, packed=replace(batch.packed, attention=replace(spans, longest=(longest, longest))))


def test_recordings_are_limited(cuda: Cuda) -> None:
    own = bundle(*two())
    steps = own._captured
    assert steps is not None
    batches = [shaped(own, 64 * number) for number in range(1, LIMIT + 3)]
    for batch in batches * 2:
        taken = steps(batch, table(own))
    assert taken is None
    assert len(cuda.graphs) == LIMIT
    assert steps(batches[0], table(own)) is not None, "what is recorded goes on being replayed"


def test_recordings_are_kept_by_use(cuda: Cuda) -> None:
    """A shape that comes again and again takes the place of the rarest, and not before it has paid."""
    own = bundle(*two())
    steps = own._captured
    assert steps is not None
    batches = [shaped(own, 64 * number) for number in range(1, LIMIT + 2)]
    for batch in batches[:-1] * 2:
        steps(batch, table(own))
    for batch in batches[1:-1]:
        steps(batch, table(own))
    taken = [steps(batches[-1], table(own)) is not None for _ in range(2 + MORE)]
    assert taken == [False] * (1 + MORE) + [True]
    assert steps.recorded == LIMIT and len(cuda.graphs) == LIMIT + 1
    assert steps(batches[0], table(own)) is None, "it was the rarest"
    assert all(steps(batch, table(own)) is not None for batch in batches[1:])
    assert len(cuda.graphs) == LIMIT + 1


@pytest.mark.parametrize("format_", ["pair-classification", "tagging"])
def test_kernels_are_told_the_longest_of_all_texts(format_: str, cuda: Cuda) -> None:
    """So that batches of one size have one shape, however long their own longest is."""
    texts = encoded(format_, labels=4, longest=150)
    one = cell(Lora(rank=2), format_=format_, batch_size=2)
    (task,) = one.tasks
    one = replace(one, tasks=(replace(task, train=(Pool("en", texts),)),))
    own = bundle(one, like(one, "twin"))
    longest = int(np.diff(texts.sequence_offsets).max())
    told = set()
    for number in range(8):
        (batch,) = own._batches(number)
        for packed_batch in (batch.packed, batch.packed.shared):
            assert isinstance(packed_batch.attention, SequenceSpans)
            assert isinstance(packed_batch.read_attention, SequenceSpans)
            told.add((packed_batch.attention.longest, packed_batch.read_attention.longest))
    ((every, read),) = told
    assert every == (192, 192) and longest <= 192
    assert read == ((192, 192) if format_ == "tagging" else (64, 192))


def test_the_next_cells_of_a_structure_take_recordings_over(cuda: Cuda) -> None:
    enc, keeper = packed(), KeptBundle()
    cells = [cell(Lora(rank=2), seed=seed, steps=9, learning_rate=1e-2) for seed in (1, 2, 3, 4)]
    expected = [train(enc, [one])[0] for one in cells]
    with patch.object(CapturedSteps, "_worth_recording", lambda own, shape: True):
        first = train(enc, cells[:2], options=ALIGNED, keeper=keeper)
        made = len(cuda.graphs)
        second = train(enc, cells[2:], options=ALIGNED, keeper=keeper)
    assert_same([*first, *second], expected)
    replays = sum(graph.replays for graph in cuda.graphs)
    assert replays == 18 and sum(graph.replays for graph in cuda.graphs[:made]) > 9 and len(cuda.graphs) < 2 * made
    kept = keeper._kept
    assert kept is not None
    for other in (
        [cells[0]],
        [replace(one, method=Lora(rank=4)) for one in cells[:2]],
        [cell(Lora(rank=2), format_="tagging", seed=seed) for seed in (1, 2)],
    ):
        keeper._kept = kept
        own = keeper.bundle(enc, other, [CellState.start(one, shape_of(enc)) for one in other], ALIGNED, None, 1)
        assert own is not kept[1] and kept[1]._captured is None


def test_a_stacked_slot_comes_with_the_cells_that_take_over(cuda: Cuda) -> None:
    enc, keeper = packed(), KeptBundle()
    method = Lora(rank=2)
    lower = [(Slot(method, slot(method, seed, enc)),) for seed in (50, 60)]
    cells = [replace(cell(method, steps=4, learning_rate=1e-2), lower=own) for own in lower]
    expected = [train(enc, [one])[0] for one in cells]
    with patch.object(CapturedSteps, "_worth_recording", lambda own, shape: True):
        found = [train(enc, [one], options=ALIGNED, keeper=keeper)[0] for one in cells]
    assert_same(found, expected)
    keeper.clear()
    assert keeper._kept is None


def test_a_replay_reads_the_numbers_of_its_own_step(cuda: Cuda) -> None:
    own = bundle(*two())
    steps = own._captured
    assert steps is not None
    (batch,) = own._batches(0)
    steps(batch, table(own))
    steps(batch, table(own))
    (graph,) = cuda.graphs
    assert graph.call is not None
    _, static, static_table, _ = graph.call
    assert batch.aligned is not None
    relabelled = replace(batch, aligned=replace(batch.aligned, labels=batch.aligned.labels.flip(1) * 1))
    other = torch.arange(10, dtype=torch.float32).view(2, 5)
    before = own.trained.adapter.bank.values.clone()
    found = steps(relabelled, other)
    assert found is not None
    assert all(torch.equal(one, new) for one, new in zip(static.tensors(), relabelled.tensors(), strict=True))
    assert torch.equal(static_table, other)
    assert not any(one.data_ptr() == new.data_ptr() for one, new in zip(static.tensors(), batch.tensors(), strict=True))
    assert not torch.equal(own.trained.adapter.bank.values, before)
    kept = found.clone()
    steps(batch, table(own))
    assert torch.equal(found, kept), "losses are the caller's own"


def test_recording_moves_nothing(cuda: Cuda) -> None:
    own = bundle(*two())
    for _ in range(2):
        own.step()  # so that moments are not zero
    own.book()
    steps = own._captured
    assert steps is not None
    own.trained.alive[1] = False
    banks = [own.trained.adapter, *(group.optimiser for group in own.trained.heads)]
    before = [tensor.clone() for one in banks for tensor in (one.bank.values, one.first, one.second)]
    (batch,) = own._batches(0)
    cuda.log.clear()
    steps._record(batch, table(own))
    after = [tensor for one in banks for tensor in (one.bank.values, one.first, one.second)]
    assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
    assert own.trained.alive.tolist() == [True, False]
    assert cuda.log == ["side waits", *["compute"] * WARM_UP, "record", "compute", "back to main", "main waits"]


def test_nobody_is_alive_when_the_warm_up_starts(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """The side stream runs after what stood in the main stream when it was told to wait, and no more."""
    own = bundle(*two())
    steps = own._captured
    assert steps is not None
    alive: list[list[bool]] = []
    monkeypatch.setattr(Stream, "wait_stream", lambda stream, other: alive.append(own.trained.alive.tolist()))
    (batch,) = own._batches(0)
    steps._record(batch, table(own))
    assert alive[0] == [False, False]
