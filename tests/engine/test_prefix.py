"""Kept hidden states: computed once, the same as without, on disk for the next run, and never more than allowed."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import threading
import time
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import prefix as module
from adapterx.engine.batches import Batch, Selection
from adapterx.engine.bundle import Bundle
from adapterx.engine.cell import Pool, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.collate import collate
from adapterx.engine.options import Options
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import Outcome, Progress, train
from adapterx.methods.lora.spec import Lora
from adapterx.tasks.encoded import Encoded
from adapterx.train_settings import EarlyStopping
from tests.cells import cell, encoded
from tests.engine.trainings import assert_same, like, losses, mixed, packed
from tests.models import encoder
from tests.support.present import present

PLENTY = 10**9
TOP = Lora(rank=2, layers=(2,))


def batch(data: Encoded, *examples: int) -> Batch:
    return collate([[Selection(0, data, np.array(examples))]])


def rows_of(data: Encoded, *examples: int) -> Tensor:
    """Hidden states of examples after two layers, computed."""
    return packed().below(batch(data, *examples).packed, 2)


def test_every_example_is_computed_once(passes: list[int]) -> None:
    data = encoded("tagging", examples=12)
    kept = PrefixCache(packed(), PLENTY)
    assert kept.known(batch(data, 3, 7), 2) is None
    first = kept.hidden(batch(data, 3, 7, 3), 2)
    assert passes == [len(batch(data, 3, 7).packed.tokens)]
    second = kept.hidden(batch(data, 7, 1), 2)
    assert passes[1:] == [len(batch(data, 1).packed.tokens)]
    assert first is not None and second is not None
    torch.testing.assert_close(first, rows_of(data, 3, 7, 3))
    known = kept.known(batch(data, 1, 3), 2)
    assert known is not None
    torch.testing.assert_close(known, rows_of(data, 1, 3))
    kept.hidden(batch(data, 3), 1)
    assert len(passes) == 2 + 2 + 1, "another depth has other states"


def test_shared_rows_are_looked_up_once_for_all_its_cells(passes: list[int]) -> None:
    data, other = encoded("pair-classification", seed=1), encoded("tagging", seed=2)
    same = [Selection(0, data, np.array([4, 2]))]
    forked = collate([same, [Selection(0, other, np.array([0]))], same], align=True)
    kept = PrefixCache(packed(), PLENTY)
    hidden = kept.hidden(forked, 2)
    assert hidden is not None and len(hidden) == len(forked.packed.shared.tokens)
    assert sum(passes) == len(batch(data, 4, 2).packed.tokens) + len(batch(other, 0).packed.tokens)
    for source in forked.sources:
        found = hidden[source.start : source.start + len(source.tokens)]
        torch.testing.assert_close(found, rows_of(source.data, *source.examples))
    assert hidden.isfinite().all(), "rows that fill up are computed with"


def trained(
    enc: PackedEncoder, kept: PrefixCache | None, steps: int = 12, options: Options | None = None
) -> list[Outcome]:
    """Two cells of which one has several pools, and evaluates on others."""
    stopping = cell(TOP, steps=steps, seed=2, early_stopping=EarlyStopping(every=6, patience=9), data_seed=5)
    return train(enc, [mixed(TOP, steps=steps), stopping], prefix=kept, options=options)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_memory_and_disk_change_nothing_and_the_second_run_computes_nothing(
    architecture: str, tmp_path: Path, passes: list[int]
) -> None:
    enc = packed(architecture)
    expected = trained(enc, None)
    passes.clear()
    assert_same(trained(enc, PrefixCache(enc, PLENTY)), expected)
    assert passes
    assert_same(trained(enc, PrefixCache(enc, PLENTY, tmp_path)), expected)
    passes.clear()
    again = packed(architecture)  # as a second run has it: other objects, the same weights and texts
    products = [dict(layer) for layer in again.products]
    for layer in again.products[:2]:
        layer.clear()
    assert_same(trained(again, PrefixCache(again, PLENTY, tmp_path), options=Options(workers=3)), expected)
    assert not passes and products[0]


def test_a_run_that_ended_early_is_gone_on_with(tmp_path: Path, passes: list[int]) -> None:
    data = encoded("pair-classification", examples=10)
    first = PrefixCache(packed(), PLENTY, tmp_path)
    first.hidden(batch(data, 0, 1, 2), 2)
    first.flush()
    first.hidden(batch(data, 3), 2)  # after the last flush: its rows may not have reached the disk
    del first
    passes.clear()
    second = PrefixCache(packed(), PLENTY, tmp_path)
    found = second.hidden(batch(data, 0, 3, 9), 2)
    assert found is not None
    assert passes == [len(batch(data, 3, 9).packed.tokens)]
    torch.testing.assert_close(found, rows_of(data, 0, 3, 9))


@pytest.mark.parametrize("place", [0, 1, 40, -1])
@pytest.mark.parametrize("file", ["rows", "filled"])
def test_a_flipped_bit_is_seen_and_computed_again(
    file: str, place: int, tmp_path: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    data = encoded("pair-classification", examples=10)
    first = PrefixCache(packed(), PLENTY, tmp_path)
    whole = first.hidden(batch(data, *range(10)), 2)
    first.flush()
    del first
    (path,) = tmp_path.glob(f"*.{file}")
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(bytes(content))
    passes.clear()
    second = PrefixCache(packed(), PLENTY, tmp_path)
    assert second.known(batch(data, *range(10)), 2) is None
    found = second.hidden(batch(data, *range(10)), 2)
    assert found is not None and whole is not None and torch.equal(found, whole)
    assert len(passes) == 1
    if file == "rows":
        assert passes[0] < len(data.tokens), "only the example that was damaged"
        assert len([one for one in caplog.messages if "is damaged" in one]) == 1
    second.flush()
    del second
    passes.clear()
    third = PrefixCache(packed(), PLENTY, tmp_path).hidden(batch(data, *range(10)), 2)
    assert third is not None and torch.equal(third, whole) and not passes


@pytest.mark.parametrize("damage", ["note", "rows", "no note", "note of an earlier version"])
def test_damaged_files_are_filled_anew(damage: str, tmp_path: Path, passes: list[int]) -> None:
    data = encoded("pair-classification", examples=10)
    first = PrefixCache(packed(), PLENTY, tmp_path)
    first.hidden(batch(data, 0, 1), 2)
    first.flush()
    del first
    (rows,), (note,) = tmp_path.glob("*.rows"), tmp_path.glob("*.filled")
    if damage == "note":
        note.write_bytes(b"")
    elif damage == "rows":
        rows.write_bytes(rows.read_bytes()[:-4])
    elif damage == "note of an earlier version":
        note.write_bytes(np.packbits(np.ones(10, np.bool_)).tobytes())
    else:
        note.unlink()
    passes.clear()
    found = PrefixCache(packed(), PLENTY, tmp_path).hidden(batch(data, 0, 1), 2)
    assert found is not None and passes
    torch.testing.assert_close(found, rows_of(data, 0, 1))


def test_other_weights_texts_depths_and_formats_have_other_files(tmp_path: Path) -> None:
    data = encoded("pair-classification", examples=10)
    model = encoder("xlm-roberta")
    for enc, one, depth, dtype in (
        (PackedEncoder(model, "a"), data, 2, None),
        (PackedEncoder(model, "b"), data, 2, None),
        (PackedEncoder(model, "a"), encoded("pair-classification", examples=10, seed=1), 2, None),
        (PackedEncoder(model, "a"), data, 1, None),
        (PackedEncoder(model, "a"), data, 2, torch.float16),
    ):
        before = len(list(tmp_path.glob("*.rows")))
        PrefixCache(enc, PLENTY, tmp_path, dtype).hidden(batch(one, 0), depth)
        assert len(list(tmp_path.glob("*.rows"))) == before + 1
    relabelled = replace(data, labels=data.labels[::-1].copy(), ids=tuple("abcdefghij"))
    PrefixCache(PackedEncoder(model, "a"), PLENTY, tmp_path).hidden(batch(relabelled, 0), 2)
    assert len(list(tmp_path.glob("*.rows"))) == 5, "labels are no part of what is kept"


def test_what_does_not_fit_is_computed_each_time(passes: list[int], caplog: pytest.LogCaptureFixture) -> None:
    enc = packed()
    small, large = encoded("pair-classification", examples=10), encoded("pair-classification", seed=1)
    room = len(small.tokens) * enc.hidden * 4
    kept = PrefixCache(enc, room)
    assert kept.hidden(batch(large, 0), 2) is None
    assert kept.hidden(batch(small, 0), 2) is not None
    assert kept.hidden(batch(encoded("tagging", examples=2), 0), 2) is None
    assert "more than is left of the prefix cache's limit" in caplog.text
    assert len(passes) == 1
    cells = [cell(TOP, steps=4), replace(cell(TOP, steps=4, seed=3, data_seed=9), key="other")]
    assert_same(train(enc, cells, prefix=kept), train(enc, cells))


def test_what_the_directory_has_no_room_for_is_kept_in_memory(tmp_path: Path, passes: list[int]) -> None:
    enc = packed()
    data = encoded("pair-classification", examples=10)
    room = len(data.tokens) * enc.hidden * 4
    (tmp_path / "earlier.rows").write_bytes(b"x")
    kept = PrefixCache(enc, room, tmp_path)
    for _ in range(2):
        assert kept.hidden(batch(data, 0), 2) is not None
    assert len(passes) == 1
    assert [path.name for path in tmp_path.glob("*.rows")] == ["earlier.rows"]


def hold(directory: Path, name: str, ready: Event, done: Event) -> None:
    with FileLock(directory / f"{name}.lock"):
        ready.set()
        done.wait(60)


def test_a_file_that_another_process_holds_is_left_alone(tmp_path: Path, passes: list[int]) -> None:
    data = encoded("pair-classification", examples=10)
    kept = PrefixCache(packed(), PLENTY, tmp_path)
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, kept._name(data, 2), ready, done))
    other.start()
    try:
        assert ready.wait(30)
        found = kept.hidden(batch(data, 0, 1), 2)
    finally:
        done.set()
        other.join()
    assert found is not None and not list(tmp_path.glob("*.rows"))
    torch.testing.assert_close(found, rows_of(data, 0, 1))
    assert kept.known(batch(data, 1), 2) is not None, "in memory meanwhile"


def test_threads_that_ask_at_once_open_a_pool_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("pair-classification", examples=10)
    kept = PrefixCache(packed(), PLENTY, tmp_path)
    opened: list[int] = []
    open_pool = PrefixCache._open

    def slowly(own: PrefixCache, one: Encoded, depth: int) -> object:
        opened.append(depth)
        time.sleep(0.05)
        return open_pool(own, one, depth)

    monkeypatch.setattr(PrefixCache, "_open", slowly)
    threads = [threading.Thread(target=kept.known, args=(batch(data, 0), 2)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [2]
    assert present(kept._pools[id(data), 2][1]).file is not None


def test_a_lock_taken_by_a_thread_that_ended_is_let_go_of_with_the_cache(tmp_path: Path) -> None:
    data = encoded("pair-classification", examples=10)
    first = PrefixCache(packed(), PLENTY, tmp_path)
    thread = threading.Thread(target=first.known, args=(batch(data, 0), 2))
    thread.start()
    thread.join()
    second = PrefixCache(packed(), PLENTY, tmp_path)
    second.hidden(batch(data, 0), 2)
    assert present(second._pools[id(data), 2][1]).file is None, "the first one has it"
    del first
    gc.collect()
    third = PrefixCache(packed(), PLENTY, tmp_path)
    third.hidden(batch(data, 0), 2)
    assert present(third._pools[id(data), 2][1]).file is not None


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)], ids=["float16", "bfloat16"]
)
def test_rounded_states_train_nearly_alike(dtype: torch.dtype, tolerance: float, tmp_path: Path) -> None:
    enc = packed()
    exact = trained(enc, None)
    for directory in (None, tmp_path, tmp_path):
        rounded = trained(enc, PrefixCache(enc, PLENTY, directory, dtype))
        for one, other in zip(rounded, exact, strict=True):
            difference = np.abs(np.array(losses(one)) - losses(other)).max()
            assert 0 < difference < tolerance
            assert one.state.adapter.values.dtype == torch.float32
    sizes = [path.stat().st_size for path in tmp_path.glob("*.rows")]
    assert len(encoded("tagging", labels=4).tokens) * enc.hidden * 2 in sizes


def test_rounding_does_not_depend_on_what_there_is_room_for() -> None:
    enc = packed()
    cells = [mixed(TOP, steps=6), like(mixed(TOP, steps=6), "twin", learning_rate=3e-3)]
    exact, none, all_kept = (
        train(enc, cells, prefix=kept)
        for kept in (None, PrefixCache(enc, 0, dtype=torch.bfloat16), PrefixCache(enc, PLENTY, dtype=torch.bfloat16))
    )
    for one, other, unrounded in zip(none, all_kept, exact, strict=True):
        # In the mean: a state on the edge between two numbers may be rounded either way.
        rounding = np.abs(np.array(losses(one)) - losses(unrounded)).mean()
        assert np.abs(np.array(losses(one)) - losses(other)).mean() < rounding / 3


def test_a_killed_training_has_noted_what_its_checkpoint_saw(tmp_path: Path, passes: list[int]) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.cells[0][1] == 4:
            raise Killed

    enc, one = packed(), cell(TOP, steps=6)
    checkpoints = Checkpoints(tmp_path / "checkpoints", seconds=0.0)
    with pytest.raises(Killed):
        train(enc, [one], checkpoints, kill, prefix=PrefixCache(enc, PLENTY, tmp_path))
    gc.collect()
    computed = sum(passes)
    passes.clear()
    train(enc, [one], checkpoints, prefix=PrefixCache(enc, PLENTY, tmp_path))
    fresh = packed()
    assert 0 < sum(passes) < computed
    passes.clear()
    train(fresh, [one], prefix=PrefixCache(fresh, PLENTY, tmp_path))
    assert not passes


def test_files_are_made_where_blocks_cannot_be_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    data = encoded("pair-classification", examples=10)
    found = PrefixCache(packed(), PLENTY, tmp_path).hidden(batch(data, 0, 1), 2)
    assert found is not None and list(tmp_path.glob("*.rows"))
    torch.testing.assert_close(found, rows_of(data, 0, 1))


def test_large_pools_are_filled_in_passes_of_bounded_size(monkeypatch: pytest.MonkeyPatch, passes: list[int]) -> None:
    monkeypatch.setattr(module, "ROWS", {"cpu": 64})
    data = encoded("multiple-choice", examples=20)
    found = PrefixCache(packed(), PLENTY).hidden(batch(data, *range(20)), 2)
    assert found is not None and len(passes) > 5
    longest = int(np.diff(data.sequence_offsets[data.example_sequences]).max())
    assert max(passes) <= 64 + longest
    torch.testing.assert_close(found, rows_of(data, *range(20)))


def test_without_layers_below_nothing_is_kept() -> None:
    enc = packed()
    kept = PrefixCache(enc, PLENTY)
    cells: list[TrainingCell] = [cell(Lora(rank=2), steps=2), like(cell(Lora(rank=2), steps=2), "x")]
    cells = [replace(one, tasks=(replace(one.tasks[0], dev=(Pool("en", encoded("tagging")),)),)) for one in cells]
    train(enc, cells, prefix=kept)
    assert not kept._pools


def test_batches_prepared_ahead_bring_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    """Once all examples were seen, workers look rows up, and the step waits for nothing but its own layers."""
    caplog.set_level(logging.ERROR)
    enc = packed()
    one = cell(TOP, steps=20, batch_size=40)
    kept = PrefixCache(enc, PLENTY)
    (outcome,) = train(enc, [one], prefix=kept)
    bundle = Bundle(enc, [one], [outcome.state], Options(workers=0), kept)
    (found,) = bundle._batches(0)
    assert found.hidden is not None and len(found.hidden) == len(found.packed.tokens)
