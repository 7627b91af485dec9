"""What is broken may hang or fill the memory: neither may take the machine with it."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapterx.cli import main
from tests.backbones.checkpoints import save

ALLOWED = 4 * 2**30
"""Bytes of address space that a test may add to what the process has."""
SECONDS = 60


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A test that asks for gigabytes is told that there are none, which fails it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ALLOWED, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A pipe that is read waits for ever."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random encoder with its tokenizer."""
    return save(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A directory with a recipe and its store: a cell of LoRA, one of a bottleneck, one of a bottleneck on another."""
    where = tmp_path_factory.mktemp("run")
    recipe = {
        "adapterx": 1,
        "name": "fuzz",
        "backbones": {"small": str(checkpoint)},
        "methods": {"lora": {"kind": "lora", "rank": 2}, "seq": {"kind": "bottleneck", "reduction_factor": 8}},
        "intermediates": {"none": None, "en": {"tasks": "place-match"}},
        "transfers": ["stack"],
        "targets": {"order": {"task": "time-order", "languages": ["de"]}},
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 2, "limit": 8, "max_length": 32},
        "evaluate": {"limit": 4, "bootstrap": 100},
        "skip": [{"methods": "lora", "intermediates": "en"}],
    }
    (where / "r.yaml").write_text(json.dumps(recipe))
    assert main(["run", str(where / "r.yaml"), "--store", str(where / "store")]) in (0, 1)  # two steps teach little
    return where


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """The cells as directories of adapters: `peft`, `adapterhub`, and `stack`, two of the latter under a setup."""
    where = tmp_path_factory.mktemp("adapters")
    for name, cell, layout in (
        ("peft", "small.lora.none", "peft"),
        ("adapterhub", "small.seq.none", "adapterhub"),
        ("stack", "small.seq.en", "adapterhub"),
    ):
        at = ["--run", str(run / "store" / "runs" / "fuzz"), "--format", layout, "--out", str(where / name)]
        assert main(["export", cell, *at]) == 0
    return where
