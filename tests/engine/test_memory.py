"""Out of memory: batches are cut finer to the same effect, and nothing is done twice or left half done."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from adapterx.engine.batches import Batch, Selection
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.collate import collate
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.engine.trained_rows import TrainedRows
from adapterx.faults import is_out_of_memory
from adapterx.methods.lora.spec import Lora
from tests.cells import cell
from tests.engine.trainings import CASES, alone, assert_same, mixed, packed
from tests.support.marks import everyday


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let memory run out in every pass of more than so many token rows; the list has the rows of all passes."""

    def limited(rows: int) -> list[int]:
        passes: list[int] = []
        differentiate = Bundle._differentiate

        def pass_of(own: Bundle, batch: Batch, add: bool, **told: Any) -> Tensor:
            passes.append(sum(batch.tokens))
            losses = differentiate(own, batch, add, **told)  # the error comes late, with gradients already in the banks
            if passes[-1] > rows:
                raise torch.OutOfMemoryError("no room")
            return losses

        monkeypatch.setattr(Bundle, "_differentiate", pass_of)
        return passes

    return limited


@pytest.mark.parametrize("options", [Options(), Options(aligned=True, lag=4, workers=0)], ids=["plain", "aligned"])
@pytest.mark.parametrize("case", everyday(CASES, ["lora", "sequential-dropout"]))
def test_cut_batches_have_the_losses_of_whole_ones(
    case: str, options: Options, room: Callable[[int], list[int]]
) -> None:
    """Batches of 3, 5 and 8 examples: some of their parts are empty."""
    enc, cells, expected = alone(case, "xlm-roberta")
    passes = room(180)
    assert_same(train(enc, cells, options=options), expected)
    assert max(passes) > 180, "memory was to run out"
    assert max(passes[-10:]) <= 180, "and to suffice from then on"


def bundle(*cells: TrainingCell, options: Options | None = None) -> Bundle:
    enc = packed()
    return Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], options or Options(workers=0))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_at_one_example_a_part_the_error_is_raised(size: int, room: Callable[[int], list[int]]) -> None:
    passes = room(0)
    own = bundle(cell(Lora(rank=2), batch_size=size), cell(Lora(rank=2), seed=2, batch_size=1))
    before = own.trained.adapter.bank.values.clone()
    with pytest.raises(torch.OutOfMemoryError):
        own.step()
    assert own.parts == {1: 1, 3: 4, 8: 8}[size]
    assert len(passes) == {1: 1, 3: 3, 8: 4}[size], "each size is tried once"
    assert own.ahead == 0 and torch.equal(own.trained.adapter.bank.values, before)
    assert own.trained.alive.all() and not own.trained.adapter.first.any()


def test_parts_stay_for_the_bundles_to_come(room: Callable[[int], list[int]]) -> None:
    passes = room(130)
    enc = packed()
    cells = [replace(cell(Lora(rank=2), seed=seed, steps=2 * seed), key=str(seed)) for seed in (1, 2)]
    train(enc, cells)
    too_large = [place for place, rows in enumerate(passes) if rows > 130]
    assert too_large and max(too_large) < len(passes) // 2


def test_an_update_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it may be done: of two cells, one would take the step twice."""
    own = bundle(cell(Lora(rank=2)), cell(Lora(rank=2), seed=2))
    updates = []

    def update(trained: TrainedRows, losses: Tensor, step: object) -> None:
        updates.append(own.parts)
        raise MemoryError

    monkeypatch.setattr(TrainedRows, "update_one_by_one", update)
    with pytest.raises(MemoryError):
        own.step()
    assert updates == [1]


def test_batches_that_do_not_fit_the_host_are_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from adapterx.engine import bundle as module

    enc, cells, expected = alone("lora", "xlm-roberta")

    def tight(part: Sequence[Sequence[Selection]], *more: Any) -> Batch:
        batch = collate(part, *more)
        if sum(batch.tokens) > 180:
            raise MemoryError
        return batch

    monkeypatch.setattr(module, "collate", tight)
    assert_same(train(enc, cells, options=Options(workers=2)), expected)


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_what_a_training_had_in_memory_is_free_when_it_ends(fails: bool, room: Callable[[int], list[int]]) -> None:
    """At once, without the garbage collector: the next bundle, or the next backbone, needs the room."""
    enc = packed()
    kept = PrefixCache(enc, 10**9)
    cells = [mixed(Lora(rank=2, layers=(2,)), steps=3), cell(Lora(rank=2, layers=(2,)), steps=4)]
    if fails:
        room(0)
    gc.disable()
    try:
        try:
            train(enc, cells, prefix=kept)
        except torch.OutOfMemoryError:
            assert fails
        gone = weakref.ref(enc), weakref.ref(kept)
        del enc, kept
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_other_errors_are_raised_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    own = bundle(cell(Lora(rank=2)))

    def broken(*_: object, **__: object) -> Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Bundle, "_differentiate", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        own.step()
    assert own.parts == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator"), False),
        (OSError("No space left on device"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected
