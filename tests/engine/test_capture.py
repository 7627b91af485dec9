"""Recorded steps, on a stand-in for CUDA: what is recorded, what a replay reads, and what a recording leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adapterx.backbones import attention
from adapterx.backbones.layout import Blocks, Expansion, SequenceSpans
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.products import Modules
from adapterx.engine import bundle as bundle_module
from adapterx.engine import capture
from adapterx.engine.batches import AlignedRows, Batch, Selection, placed
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.capture import LIMIT, MORE, WARM_UP, CapturedSteps
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.engine.collate import collate
from adapterx.engine.kept_bundle import KeptBundle
from adapterx.engine.optimiser import Step
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.tasks.encoded import Encoded, offsets
from tests.cells import cell, encoded
from tests.engine.trainings import CASES, alone, assert_same, like, packed, slot

Compute = Callable[[Batch, Tensor], Tensor]


@dataclass
class Graph:
    """Records calls of what `Cuda.watch` watches, and repeats them on the tensors they had."""

    cuda: Cuda
    call: tuple[Compute, Batch, Tensor, Tensor] | None = None
    replays: int = 0

    def replay(self) -> None:
        assert self.call is not None
        compute, batch, table, losses = self.call
        losses.copy_(compute(batch, table))
        self.replays += 1

    def pool(self) -> str:
        return "pool"


class Stream:
    """Notes who waits for whom."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def wait_stream(self, other: Stream) -> None:
        self.cuda.log.append("side waits" if other is self.cuda.main else "main waits")


class Cuda:
    """As much of torch.cuda as recordings use. What runs while recording is noted, not done."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.graphs: list[Graph] = []
        self.computed: list[str] = []
        self.main = Stream(self)
        self.recording: Graph | None = None

    def watch(self, compute: Compute) -> Compute:
        def watched(batch: Batch, table: Tensor) -> Tensor:
            self.log.append("compute")
            if self.recording is None:
                return compute(batch, table)
            losses = torch.full((len(table),), torch.nan)
            self.recording.call = (compute, batch, table, losses)
            return losses

        return watched

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield

    @contextmanager
    def graph(self, graph: Graph, **_: Any) -> Iterator[None]:
        self.log.append("record")
        self.recording = graph
        try:
            yield
        finally:
            self.recording = None
        self.graphs.append(graph)


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


ALIGNED = Options(aligned=True, workers=0)


def bundle(*cells: TrainingCell, options: Options = ALIGNED) -> Bundle:
    enc = packed()
    return Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], options)


def two(**changes: Any) -> tuple[TrainingCell, TrainingCell]:
    """Cells that share their batches."""
    one = cell(Lora(rank=2), seed=1, learning_rate=1e-2, **changes)
    return one, like(one, "twin", learning_rate=3e-3)


def table(own: Bundle) -> Tensor:
    return own._next().table()


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


def test_what_cannot_be_recorded_is_launched(cuda: Cuda, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a machine's kernels refuse to have recorded, the cells train as without recordings."""
    cells = two(steps=5)
    own = bundle(*cells)
    assert own._captured is not None
    calls = 0

    def refusing(batch: Batch, rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        raise RuntimeError("operation not permitted when stream is capturing")

    own._captured._compute = refusing
    own._captured._seen.update({capture.signature(own._batches(0)[0]): 1})
    for _ in range(5):
        own.step()
    found = own.book()
    assert calls == 1 and own.trained.alive.all() and caplog.text.count("steps are not recorded") == 1
    expected = bundle(*cells, options=replace(ALIGNED, graphs=False))
    for _ in range(5):
        expected.step()
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected.book()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("fails_at", range(1, WARM_UP + 2))
def test_a_recording_that_fails_leaves_everybody_alive(fails_at: int, cuda: Cuda) -> None:
    """Memory that runs out in a recording costs the recordings, not the batch or the cells."""
    cells = two(steps=5)
    own = bundle(*cells)
    assert own._captured is not None
    calls = 0
    compute = own._captured._compute

    def tight(batch: Batch, rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise torch.OutOfMemoryError("no room")
        return compute(batch, rows)

    own._captured._compute = tight
    own._captured._seen.update({capture.signature(own._batches(0)[0]): 1})
    for _ in range(5):
        own.step()
    found = own.book()
    assert calls == fails_at
    assert own.parts == 1 and own._captured is None and own.trained.alive.all()
    expected = bundle(*cells, options=replace(ALIGNED, graphs=False))
    for _ in range(5):
        expected.step()
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected.book()), atol=1e-6, rtol=0)


def test_full_fine_tuning_is_not_recorded(cuda: Cuda) -> None:
    enc = packed()
    one = replace(cell(Full()), initial=enc.weights())
    assert Bundle(enc, [one], [CellState.start(one, shape_of(enc))], ALIGNED)._captured is None


def test_cut_batches_and_dropout_are_not_recorded(cuda: Cuda) -> None:
    enc = packed()
    one = cell(Lora(rank=2), steps=6)
    own = Bundle(enc, [one], [CellState.start(one, shape_of(enc))], ALIGNED, parts=2)
    for _ in range(4):
        own.step()
    assert not cuda.graphs
    assert bundle(cell(Lora(rank=2, dropout=0.1)))._captured is None
    assert bundle(one, options=Options(aligned=False, workers=0))._captured is None
    assert bundle(one, options=replace(ALIGNED, graphs=False))._captured is None


def expanded(batch: Batch) -> Expansion:
    assert batch.packed.expansion is not None
    return batch.packed.expansion


def spans(batch: Batch, longest: tuple[int, int]) -> SequenceSpans:
    assert isinstance(batch.packed.attention, SequenceSpans)
    return replace(batch.packed.attention, longest=longest)


def choices(batch: Batch, *counts: int) -> AlignedRows:
    assert batch.aligned is not None
    return replace(batch.aligned, choices=counts)


CHANGES: dict[str, Callable[[Batch], Batch]] = {
    "rows": lambda b: replace(b, packed=replace(b.packed, rows=(1, sum(b.packed.rows) - 1))),
    "read rows": lambda b: replace(b, packed=replace(b.packed, read_rows=(1, sum(b.packed.read_rows) - 1))),
    "longest query": lambda b: replace(b, packed=replace(b.packed, attention=spans(b, (640, 64)))),
    "longest key": lambda b: replace(b, packed=replace(b.packed, attention=spans(b, (64, 640)))),
    "longest read": lambda b: replace(b, packed=replace(b.packed, read_attention=spans(b, (640, 64)))),
    "choices": lambda b: replace(b, aligned=choices(b, 3, 3)),
    "not expanded": lambda b: replace(b, packed=replace(b.packed, expansion=None)),
    "shared rows": lambda b: replace(
        b, packed=replace(b.packed, expansion=replace(expanded(b), shared=replace(expanded(b).shared, rows=(1, 2))))
    ),
    "hidden": lambda b: replace(b, hidden=torch.zeros(3, 4)),
    "labels": lambda b: replace(b, aligned=replace(choices(b, 1, 1), labels=torch.zeros(2, 3))),
    "number format": lambda b: replace(b, packed=replace(b.packed, tokens=b.packed.tokens.int())),
    "not aligned": lambda b: replace(b, aligned=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_layout_is_another_shape(change: str, cuda: Cuda) -> None:
    (batch,) = bundle(*two())._batches(0)
    same = placed(batch, torch.zeros_like)
    assert capture.signature(same) == capture.signature(batch)
    assert capture.signature(CHANGES[change](batch)) != capture.signature(batch)
    assert isinstance(hash(capture.signature(batch)), int)


def test_other_rectangles_are_another_shape() -> None:
    """Equal tensors, cut into rectangles otherwise: a replay would compute the attention of other sequences."""
    batches = []
    for lengths in ([40, *[6] * 4], [40, *[4] * 6]):
        data = texts_of(lengths)
        batches.append(collate([[Selection(0, data, np.arange(len(data)))]], spans=False, align=True))
    one, other = batches
    assert [tuple(a.shape) for a in one.tensors()] != [] and isinstance(one.packed.attention, Blocks)
    first, second = one.packed.attention, other.packed.attention
    assert isinstance(second, Blocks)
    cut = replace(one, packed=replace(one.packed, attention=replace(first, blocks=second.blocks)))
    assert capture.signature(cut) != capture.signature(one) and capture.signature(other) != capture.signature(one)
    halves = tuple(replace(block, sequences=block.keys, queries=1, keys=block.sequences) for block in first.blocks)
    turned = replace(one, packed=replace(one.packed, attention=replace(first, blocks=halves)))
    assert [a.shape for a in turned.tensors()] == [a.shape for a in one.tensors()]
    assert capture.signature(turned) != capture.signature(one)


def texts_of(lengths: list[int]) -> Encoded:
    """Texts of these many tokens, each read at its first."""
    starts, ones = offsets(lengths), offsets([1] * len(lengths))
    return Encoded(
        ids=tuple(map(str, range(len(lengths)))),
        tokens=(5 + np.arange(sum(lengths)) % 100).astype(np.int32),
        sequence_offsets=starts,
        example_sequences=ones,
        read_tokens=starts[:-1].copy(),
        example_reads=ones,
        labels=np.zeros(len(lengths), np.int64),
        example_labels=ones,
    )


def test_layers_of_libraries_are_not_recorded(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLM.int8() asks the host about outliers at each product."""
    enc = packed()
    assert enc.recordable
    assert bundle(cell(Lora(rank=2)))._captured is not None
    linear = enc.layers[1].intermediate.dense
    enc.products[1]["intermediate",] = Modules([linear])
    assert not enc.recordable
    one = cell(Lora(rank=2))
    assert Bundle(enc, [one], [CellState.start(one, shape_of(enc))], ALIGNED)._captured is None


class NoQuestions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what would wait for a GPU, or bring numbers of the host there."""

    REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "is_nonzero", "unique", "equal")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").split(".")[0]
        assert name not in self.REFUSED, f"{func} asks the host"
        assert func.name() != "aten::repeat_interleave.Tensor", "its size is a question to the device"
        if name in ("index", "index_put", "index_put_"):
            assert not any(one is not None and one.dtype == torch.bool for one in args[1]), (
                "a mask has as many as it has"
            )
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "case", [name for name, case in CASES.items() if case.method.drops == 0.0 and "drop" not in name]
)
def test_a_recorded_step_asks_the_host_for_nothing(case: str, cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for what stands in for the attention kernel."""
    enc, cells, _ = alone(case, "xlm-roberta")
    cells = cells[:5]
    own = Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], ALIGNED)
    monkeypatch.setattr(attention, "_one_by_one", lambda q, k, v, layout: q * 1.0)
    (batch,) = own._batches(0)
    assert batch.aligned is not None
    rows: Step = own._next()
    table = rows.table()
    with NoQuestions():
        found = own._compute(batch, table)
    assert found.shape == (5,)
    with pytest.raises(AssertionError, match="asks the host"), NoQuestions():
        own.trained.update_one_by_one(found, rows)
