"""A large checkpoint, converted from pickles and loaded: in little memory, and on from where a kill left it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.backbones.checkpoints import save
from tests.models import config

HIDDEN, LAYERS, VOCABULARY = 1024, 30, 120_000
ALLOWED = 50
"""Megabytes above what the process has once its libraries are imported; the checkpoint has 2,000."""
MEASURED = """
import json, sys, threading, time
from pathlib import Path
import accelerate, bitsandbytes, safetensors.torch, torch
from adapterx.backbones import load, pickled
from adapterx.backbones.checkpoint import read_config
from adapterx.backbones.spec import Backbone

def pages(kind):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(kind + ":")[2].split()[0]) / 1024

def anonymous():
    # Pages that are no file's: those of the mapped pickle and of the written files may be dropped at any time.
    return pages("RssAnon")

source = Path(sys.argv[1])
before = peak = anonymous()
mapped = pages("RssFile")
done = threading.Event()
def sample():
    global peak
    while not done.is_set():
        peak = max(peak, anonymous())
        time.sleep(0.002)
sampler = threading.Thread(target=sample)
sampler.start()
WORK
done.set()
sampler.join()
mapped = pages("RssFile") - mapped
print(json.dumps({"grown": peak - before, "kept": anonymous() - before, "mapped": mapped, "found": str(found)}))
"""
CONVERT = MEASURED.replace(
    "WORK", 'found = pickled.checkpoint(source, read_config(source / "config.json", "model"), "local:large", "model")'
)
LOAD = MEASURED.replace("WORK", "model = load.load(Backbone(model=str(source), load=sys.argv[2])); found = source")
EVERY = 12
LOAD_SOME = MEASURED.replace(
    "WORK",
    f"import numpy; ids = numpy.arange(0, {VOCABULARY}, {EVERY}); "
    "model = load.load(Backbone(model=str(source), load=sys.argv[2]), token_ids=ids); found = source",
)
OVERHEAD = 1.15
"""Of a loaded model's memory: its peak while it is loaded."""


def large(directory: Path) -> int:
    """A pretrained model of 2 GB in four shards, made shard by shard; its bytes."""
    save(directory)
    (directory / "model.safetensors").unlink()
    config("xlm-roberta", HIDDEN, LAYERS, 16).save_pretrained(directory)
    settings = json.loads((directory / "config.json").read_text()) | {"vocab_size": VOCABULARY}
    (directory / "config.json").write_text(json.dumps(settings))
    from adapterx.backbones import sizes

    shapes = list(sizes.tensors(settings))
    weight_map: dict[str, str] = {}
    total, count = 0, 4
    for number in range(count):
        name = f"pytorch_model-{number + 1:05}-of-{count:05}.bin"
        part = shapes[len(shapes) * number // count : len(shapes) * (number + 1) // count]
        tensors = {f"roberta.{key}": torch.full(shape, 0.01 * number) for key, shape in part}
        torch.save(tensors, directory / name)
        weight_map |= dict.fromkeys(tensors, name)
        total += sum(tensor.nbytes for tensor in tensors.values())
        del tensors
        gc.collect()
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return total


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The large checkpoint and its bytes; it does not stay behind."""
    directory = tmp_path_factory.mktemp("large") / "model"
    yield directory, large(directory)
    shutil.rmtree(directory)


def converted(source: Path, cache: Path) -> subprocess.Popen[str]:
    return started(CONVERT, cache, source)


def started(script: str, cache: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "ADAPTERX_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_kill_costs_the_group_that_was_being_written(model: tuple[Path, int], tmp_path: Path) -> None:
    directory = tmp_path / "backbones" / "pickled" / "local-large-c1"
    first = converted(model[0], tmp_path)
    while first.poll() is None and not list(directory.glob("model-00002-*")):
        time.sleep(0.01)
    first.kill()
    first.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in directory.glob("*.safetensors")}
    assert before and not (directory / "manifest.json").exists()
    listed = json.loads((directory / "progress.json").read_text())["sha256"]
    again = converted(model[0], tmp_path)
    _, said = again.communicate()
    assert again.returncode == 0, said
    after = {path.name: path.stat().st_mtime_ns for path in directory.glob("*.safetensors")}
    assert len(after) > len(before) and listed and all(after[name] == before[name] for name in listed)
    shutil.rmtree(directory)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process' anonymous pages")
def test_converting_two_gigabytes_takes_a_fraction_of_them(model: tuple[Path, int], tmp_path: Path) -> None:
    source, total = model
    assert total > 1.9e9
    running = converted(source, tmp_path)
    out, said = running.communicate()
    assert running.returncode == 0, said
    measured = json.loads(out)
    assert measured["grown"] < ALLOWED, measured
    assert "pickled weights only" in said and "(2.0 GB)" in said
    files = sorted(Path(measured["found"]).glob("*.safetensors"))
    assert len(files) >= 4 and abs(sum(path.stat().st_size for path in files) - total) < 1e6
    with safe_open(files[-1], framework="pt") as file:
        last = file.get_tensor(max(file.keys()))
    assert torch.equal(last, torch.full_like(last, 0.03))
    shutil.rmtree(measured["found"])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process' anonymous pages")
def test_a_model_is_loaded_in_little_more_than_it_takes(model: tuple[Path, int], tmp_path: Path) -> None:
    """From shards of pickles, which are converted on the way, and from shards of safetensors."""
    _, total = model
    for load, share, converts in zip(
        ("bfloat16", "int8-rows", "int8", "nf4"), (0.5, 0.3, 0.3, 0.2), (True, False, False, False), strict=True
    ):
        out, said = started(LOAD, tmp_path, model[0], load).communicate()
        measured = json.loads(out)
        kept = measured["kept"] * 2**20
        assert share * total * 0.95 <= kept < 1.25 * share * total, measured
        assert measured["grown"] <= OVERHEAD * measured["kept"], measured
        assert ("pickled weights only" in said) is converts


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process' anonymous pages")
def test_embeddings_that_are_not_asked_for_take_no_memory(model: tuple[Path, int], tmp_path: Path) -> None:
    """One in twelve tokens: neither what is kept nor what is passed through grows with the others.

    In the checkpoint's own format its mapped pages serve as the layers, and no page of the table stays among them.
    """
    _, total = model
    table = VOCABULARY * HIDDEN * 4
    for load, rest, layers, mapped in (
        ("float32", 1.0, 0.0, 1.0),
        ("bfloat16", 0.5, 0.5, 0.0),
        ("int8-rows", 0.5, 0.26, 0.0),
    ):
        out, said = started(LOAD_SOME, tmp_path, model[0], load).communicate()
        assert out, said
        measured = json.loads(out)
        expected = (rest * table / EVERY + layers * (total - table)) / 2**20
        assert abs(measured["kept"] - expected) < 20 + 0.05 * expected, (measured, expected)
        assert measured["grown"] <= max(OVERHEAD * measured["kept"], measured["kept"] + 10), measured
        assert abs(measured["mapped"] - mapped * (total - table) / 2**20) < 60, measured
