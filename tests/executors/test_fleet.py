"""Who is given which bundle, and what becomes of a device that ends: with processes that are not there."""

from __future__ import annotations

import io
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from adapterx.errors import AdapterxError
from adapterx.executors import device_process as said
from adapterx.executors.device import NoSuchDevice, choose
from adapterx.executors.fleet import _Fleet, _Member
from adapterx.executors.local import Tally
from adapterx.executors.progress import DeviceProgress, RunProgress
from adapterx.faults import UnusablePlace
from adapterx.machine.devices import Device
from adapterx.plan import Capacity, Plan
from adapterx.store import Store
from tests.plan.test_order import planned


class Process:
    """A process that did not come to be."""

    exitcode = -9
    pid = None

    def join(self) -> None:
        """It is over."""


def fleet(plan: Plan, store: Path, devices: int = 2) -> tuple[_Fleet, list[Any]]:
    """A fleet of ready devices, and the other ends of their lines."""
    progress = RunProgress(Console(file=io.StringIO()), list(plan.stages.values()))
    found = _Fleet(plan, Store(store), Tally(set()), progress)
    ends = []
    for number in range(devices):
        here, there = Pipe()
        process = cast(Any, Process())
        own = DeviceProgress(progress, f"cpu ({number + 1})")
        found.members.append(_Member(Device("cpu"), process, here, own, Capacity(cells=2)))
        ends.append(there)
    return found, ends


def given(end: Any) -> tuple[str, ...]:
    assert end.poll(5)
    ids, _, _ = end.recv()
    return cast(tuple[str, ...], ids)


def done(*ids: str) -> said.Did:
    return said.Did(Tally(set(ids), trained=len(ids)))


def test_idle_devices_are_given_what_has_its_inputs(tmp_path: Path) -> None:
    plan = planned()
    own, (one, other) = fleet(plan, tmp_path)
    own._hand_out()
    first, second = given(one), given(other)
    assert first and second and not set(first) & set(second)
    assert not any(plan.stages[id].inputs for id in (*first, *second))
    own._hand_out()
    assert not one.poll(), "who is at work is given nothing"
    seen = [*first, *second]
    one.send(done(*first))
    while any(member.bundle for member in own.members):
        own._hear()
        own._hand_out()
        for end in (one, other):
            while end.poll():
                ids = given(end)
                assert own.tally.stored.issuperset(id for one in ids for id in plan.stages[one].inputs)
                seen += ids
                end.send(done(*ids))
        if own.members[1].bundle == tuple(plan.stages[id] for id in second):
            other.send(done(*second))
    assert sorted(seen) == sorted(plan.stages) == sorted(own.tally.stored)
    assert own.tally.trained == len(plan.stages)


def test_a_device_that_ends_fails_its_bundle_and_no_other(tmp_path: Path) -> None:
    plan = planned()
    own, (one, other) = fleet(plan, tmp_path)
    own._hand_out()
    lost, kept = given(one), given(other)
    one.close()
    other.send(done(*kept))
    while own.members[0].bundle or own.members[1].bundle:
        own._hear()
    assert own.tally.failed.keys() == set(lost) and own.tally.stored == set(kept)
    assert own.tally.failed[lost[0]] == "failed: the process of device cpu (1) ended (by SIGKILL)"
    stage = plan.stages[lost[0]]
    assert own.store.failure(stage.kind, stage.label, stage.id) is not None
    own._hand_out()
    assert not own.members[0].bundle and not set(given(other)) & set(lost)


def test_one_that_was_asked_to_end_fails_nothing(tmp_path: Path) -> None:
    own, (one, other) = fleet(planned(), tmp_path)
    own._hand_out()
    one.send(said.HasStopped("saved at step 5 of 8"))
    other.send(said.HasStopped(""))
    one.close()
    other.close()
    assert own.leave() == "saved at step 5 of 8"
    assert not own.tally.failed


def test_what_one_lost_no_other_brings_back(tmp_path: Path) -> None:
    """A stored stage that is found damaged is made anew, whatever others were told before."""
    plan = planned()
    own, _ = fleet(plan, tmp_path)
    damaged = next(iter(plan.stages))
    own.tally.stored, own.tally.before = {damaged}, frozenset({damaged})
    own._heard(own.members[0], said.Did(Tally(set(), lost={damaged})))
    own._heard(own.members[1], done())
    assert damaged not in own.tally.stored
    assert damaged in {stage.id for bundle in own._order() for stage in bundle}


def test_what_ends_a_run_ends_it(tmp_path: Path) -> None:
    own, _ = fleet(planned(), tmp_path)
    with pytest.raises(UnusablePlace, match="read-only"):
        own._heard(own.members[0], said.Unusable("read-only", place=True))
    with pytest.raises(AdapterxError, match="no GPU"):
        own._heard(own.members[0], said.Unusable("no GPU", place=False))


def test_bundles_fit_the_smallest_device(tmp_path: Path) -> None:
    own, _ = fleet(planned(), tmp_path)
    own.members[0].capacity = Capacity(16, 4096, 8 << 30)
    own.members[1].capacity = Capacity(8, None, 6 << 30)
    assert own._capacity() == Capacity(8, 4096, 6 << 30)


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: False), version=SimpleNamespace(cuda=None, hip=None)
    )
    monkeypatch.setattr("adapterx.executors.device.torch", torch)
    with pytest.raises(NoSuchDevice, match="device cuda:7: torch is built without GPUs"):
        choose(wanted=Device("cuda", 7))
