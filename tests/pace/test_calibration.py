"""A calibration is found again on its own machine, and on no other."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapterx.pace import calibration
from adapterx.pace.calibration import BY_RULE, Calibration, MeasuredOn, MeasuredPoint, Pace, find, path_of, write
from adapterx.pace.workload import FLOPS, RULE, Rates, Workload

MACHINE = MeasuredOn(device="cpu", processor="Some", instructions=("avx2",), threads=2, torch="2.13.0")
RATES = Rates(calls=1e-4, products=1e-11)
STORED = Calibration(
    measured_on=MACHINE,
    measured=date(2026, 11, 29),
    rates={"float32": RATES},
    points=(MeasuredPoint(name="one", precision="float32", seconds=2.0, fitted=1.5),),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_written_is_found() -> None:
    path = write(STORED)
    assert path == path_of(MACHINE) and find(MACHINE) == calibration.FoundCalibration(STORED)
    assert find(MACHINE).pace.told(["float32"]) == "by the calibration of 2026-11-29"
    assert STORED.largest_error == 0.25


def test_none_is_nothing_to_speak_of() -> None:
    found = find(MACHINE)
    assert found.calibration is None and found.note == "" and found.pace == BY_RULE


@pytest.mark.parametrize(
    "change",
    [{"device": "NVIDIA H200"}, {"processor": "Other"}, {"instructions": ()}, {"threads": 1}, {"torch": "2.14.0"}],
    ids=lambda change: next(iter(change)),
)
def test_another_machine_has_none_and_is_told_so(change: dict[str, Any]) -> None:
    write(STORED)
    found = find(MACHINE.model_copy(update=change))
    assert found.calibration is None
    assert found.note.count("\n") == 0 and "of other machines" in found.note and "--calibrate" in found.note


def edited(**changes: object) -> bytes:
    content: dict[str, Any] = json.loads(path_of(MACHINE).read_text())
    return json.dumps({name: value for name, value in {**content, **changes}.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"adapterx_calibration": 99}, "is of a newer version of adapterx"),
        ({"adapterx_calibration": 0}, "is of an earlier version of adapterx"),
        ({"adapterx_calibration": ...}, "has another form"),
        ({"adapterx_calibration": "1"}, "has another form"),
        ({"rates": {}}, "has no usable rates"),
        ({"rates": {"float32": {"products": -1.0}}}, "has no usable rates.float32.products"),
        ({"rates": {"float32": {"speed": 1.0}}}, "has no usable rates.float32.speed"),
        ({"measured": "yesterday"}, "has no usable measured"),
        ({"more": 1}, "has no usable more"),
        ({"measured_on": {**MACHINE.model_dump(mode="json"), "threads": 64}}, "is of another machine"),
    ],
)
def test_a_file_that_is_not_of_use_is_ignored_with_one_line(changes: dict[str, object], why: str) -> None:
    write(STORED)
    path_of(MACHINE).write_bytes(edited(**changes))
    found = find(MACHINE)
    assert found.calibration is None and why in found.note and str(path_of(MACHINE)) in found.note
    assert found.note.count("\n") == 0 and "--calibrate" in found.note


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"adapterx_calibration": NaN}', b"[" * 9999]
)
def test_a_damaged_file_is_ignored_with_one_line(content: bytes) -> None:
    write(STORED)
    path_of(MACHINE).write_bytes(content)
    found = find(MACHINE)
    assert found.calibration is None and "ignored" in found.note and found.note.count("\n") == 0


def test_a_directory_in_its_place_is_ignored() -> None:
    path_of(MACHINE).mkdir(parents=True)
    assert "ignored" in find(MACHINE).note


def test_nobody_can_say_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTERX_CACHE", "~nobody-of-that-name/cache")
    assert find(MACHINE) == calibration.FoundCalibration(None)


def test_this_machine_is_the_same_twice() -> None:
    assert calibration.this_machine() == calibration.this_machine()
    assert len(calibration.this_machine().key) == 16


def test_seconds_are_the_sum_of_rates_times_counts() -> None:
    work = Workload(calls=10, cell_calls=5, products=1e9, attention=1e8, elements=1e6)
    assert RATES.seconds(work) == pytest.approx(1e-3 + 1e-2)
    assert RULE.seconds(work) == pytest.approx(1.1e9 / FLOPS)
    assert RULE.seconds(work * 3 + work) == pytest.approx(4 * RULE.seconds(work))


def test_a_precision_that_was_not_measured_goes_by_the_rule() -> None:
    work, pace = Workload(products=1e9), Pace(STORED)
    assert pace.seconds("float32", work) == pytest.approx(1e-2)
    assert pace.seconds("other", work) == RULE.seconds(work) == BY_RULE.seconds("float32", work)
    assert pace.told({"float32", "other"}) == "by the calibration of 2026-11-29, of other at 100 GFLOP/s"
    assert pace.told({"other"}) == BY_RULE.told({"float32"}) == "at 100 GFLOP/s"
