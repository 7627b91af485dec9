"""The shim, built once, and processes that rehearse with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cuda import shim
from tests.cuda.cases import Case
from tests.cuda.play import Told

Rehearse = Callable[[Sequence[Mapping[str, Any]]], dict[str, Told]]


@pytest.fixture(scope="session")
def rehearse(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Rehearse:
    """Rehearses tables of cases in a process of its own; what is told, by name."""
    if shim.compiler() is None:
        pytest.skip(
            "no C++ compiler (g++ or clang++) to build the stand-in for CUDA with: the GPU path is NOT rehearsed"
        )
    library = shim.build(_directory(pytestconfig, tmp_path_factory))

    def run(cases: Sequence[Mapping[str, Any]]) -> dict[str, Told]:
        # Two processes where there is much to do: each tells of every other case.
        parts = [cases[0::2], cases[1::2]] if len(cases) > 20 else [cases]
        with ThreadPoolExecutor(len(parts)) as pool:
            return {one.name: one for told in pool.map(partial(_told, library), parts) for one in told}

    return run


def _told(library: Path, cases: Sequence[Mapping[str, Any]]) -> list[Told]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.cuda.play", str(library)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    told = [Told.of(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(told) == len(cases), done.stderr[-2000:]
    return told


def _directory(config: pytest.Config, fallback: pytest.TempPathFactory) -> Path:
    """Where the library stays from one run of the tests to the next."""
    cache = getattr(config, "cache", None)
    return Path(cache.mkdir("cuda-shim")) if cache is not None else fallback.mktemp("cuda-shim")


def tables(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Cases as `play` reads them."""
    return [asdict(one) for one in cases]
