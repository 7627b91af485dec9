"""A calibration measures what a plan counts. How fast anything is, is no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions import DEFAULT, PRECISIONS
from adapterx.backbones.spec import Backbone
from adapterx.doctor import calibrate as module
from adapterx.doctor import points
from adapterx.doctor.calibrate import calibrate
from adapterx.doctor.points import BenchEncoder, Point, measured
from adapterx.pace import calibration
from adapterx.pace.workload import Rates
from tests.models import encoder

SHORT = (Point(8, 4), Point(8, 0))
INFO = BackboneInfo("tiny", "xlm-roberta", 32, 3, 4, 128, 120, 512)


def tiny(precision: str = DEFAULT, device: str = "cpu", directory: Path | None = None) -> BenchEncoder:
    return BenchEncoder("3 × 32", INFO, PackedEncoder(encoder("xlm-roberta")))


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tiny encoders, few points, and a cache of the test's own."""
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path))
    monkeypatch.setattr(points, "_TAKEN", 2)
    monkeypatch.setattr(module, "POINTS", SHORT)
    monkeypatch.setattr(module, "SHORT", SHORT)
    monkeypatch.setattr(module, "embedded", tiny)
    monkeypatch.setattr(module, "wide", tiny)


def test_trainings_and_evaluations_are_done_and_counted() -> None:
    one, eight, read = (measured(tiny(), point) for point in (SHORT[0], Point(8, 4, cells=8), SHORT[1]))
    assert min(seconds for _, seconds in (one, eight, read)) > 0
    assert eight[0].calls == one[0].calls and eight[0].products == pytest.approx(8 * one[0].products)
    assert read[0].calls == 2 * 3, "two passes through three layers"


def test_texts_have_the_length_that_is_counted() -> None:
    found = points._texts(96, 40, seed=1)
    assert len(found) == 40 and len(found.tokens) == pytest.approx(96 * 40, rel=0.01)
    assert set(found.tokens[found.read_tokens].tolist()) == {0}


def test_the_wide_encoder_can_be_loaded(tmp_path: Path) -> None:
    points.write(tmp_path / "encoder", 2)
    info = describe(Backbone(model=str(tmp_path / "encoder")))
    assert (info.layers, info.hidden, info.intermediate) == (2, 768, 3072)


def test_every_precision_gets_rates_and_they_are_found_again() -> None:
    lines: list[str] = []
    found = calibrate(lines.append)
    assert set(found.rates) == set(PRECISIONS) and len(found.points) == 4 * len(PRECISIONS)
    assert all(rate.products + rate.elements + rate.calls > 0 for rate in found.rates.values())
    assert sum("ms" in line for line in lines) == len(found.points)
    path = calibration.write(found)
    assert path.parent == calibration.directory() and calibration.find().calibration == found


def test_a_precision_that_cannot_be_loaded_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(precision: str, device: str) -> BenchEncoder:
        if precision != DEFAULT:
            raise BackboneError("the processor does not multiply it")
        return tiny()

    monkeypatch.setattr(module, "embedded", loads)
    lines: list[str] = []
    found = calibrate(lines.append)
    assert set(found.rates) == {DEFAULT}
    others = [line for line in lines if "not measured: the processor does not multiply it" in line]
    assert len(others) == len(PRECISIONS) - 1


def test_the_first_precision_must_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(precision: str, device: str) -> BenchEncoder:
        raise BackboneError("nothing can be read")

    monkeypatch.setattr(module, "embedded", fails)
    with pytest.raises(BackboneError, match="nothing can be read"):
        calibrate(lambda line: None)


def test_time_that_has_passed_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", -1.0)
    lines: list[str] = []
    assert set(calibrate(lines.append).rates) == {DEFAULT}
    assert any("seconds have passed" in line for line in lines)


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_now", lambda: 1000.0)
    lines: list[str] = []
    assert calibrate(lines.append).load == 1000.0
    assert "the machine is busy (load 1000.0)" in lines[0]
    assert calibration.is_busy(1000.0) and not calibration.is_busy(0.0)


def test_rates_of_further_precisions_keep_what_is_not_measured_of_them() -> None:
    found = calibrate(lambda line: None)
    first = found.rates[DEFAULT]
    for rate in found.rates.values():
        assert isinstance(rate, Rates)
        assert (rate.calls, rate.cell_calls, rate.attention) == (first.calls, first.cell_calls, first.attention)
