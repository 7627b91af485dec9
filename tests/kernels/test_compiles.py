"""What the interpreter cannot tell: Triton compiles every kernel for a GPU, and NVIDIA's assembler takes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Of what a program cannot keep in registers, at most so many bytes a thread.
SPILLED = 256


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_kernel_compiles_without_a_gpu(tmp_path: Path) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    surroundings["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-W", "ignore", "-m", "tests.kernels.compiled"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=surroundings, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    *kernels, last = done.stdout.splitlines()
    assert last == f"{len(kernels)} variants compiled" and len({line.split()[0] for line in kernels}) >= 13
    for line in kernels:
        spilled = re.search(r"(\d+) bytes spilled", line)
        assert spilled is not None and int(spilled[1]) <= SPILLED, line
