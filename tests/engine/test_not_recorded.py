"""Steps that are launched and not recorded, and what makes a step another shape, on a stand-in for CUDA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adapterx.backbones import attention
from adapterx.backbones.layout import Blocks, Expansion, SequenceSpans
from adapterx.backbones.products import Modules
from adapterx.engine import capture
from adapterx.engine.batches import AlignedRows, Batch, Selection, placed
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.capture import WARM_UP
from adapterx.engine.collate import collate
from adapterx.engine.optimiser import Step
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.tasks.encoded import Encoded, offsets
from tests.cells import cell
from tests.engine.recordings import ALIGNED, Cuda, bundle, two
from tests.engine.trainings import CASES, alone, packed


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
