"""Builds `shim.cpp` and loads it before torch: a CUDA backend without a device. This module imports no torch."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.cpp")
_MODE = os.RTLD_GLOBAL | os.RTLD_NOW
_MOST_WAITS = 10_000
# A build of torch for CUDA has its libraries' own directories in no search path before it is imported.
_CUDA_LIBRARIES = ("cudart", "nvJitLink", "cusparseLt", "cusparse", "cublasLt", "cublas", "cufft", "cupti", "cudnn")


def compiler() -> str | None:
    """A compiler of C++ on this machine."""
    return shutil.which("g++") or shutil.which("clang++")


def build(directory: Path) -> Path:
    """The shared library for the installed torch, built where it is not in the directory yet.

    Raises subprocess.CalledProcessError with the compiler's words where it does not build.
    """
    torch, command = _torch(), compiler()
    assert command is not None, "there is a compiler"
    mark = hashlib.sha256(SOURCE.read_bytes() + (torch / "version.py").read_bytes()).hexdigest()[:16]
    library = directory / f"shim-{mark}.so"
    if library.is_file():
        return library
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"shim-{mark}.{os.getpid()}"
    arguments = ("-O0", "-shared", "-fPIC", "-std=c++20", "-w", f"-I{torch / 'include'}", f"-L{torch / 'lib'}")
    subprocess.run(
        [command, *arguments, str(SOURCE), "-o", str(fresh), "-lc10", "-ltorch_cpu"],
        check=True,
        capture_output=True,
        text=True,
    )
    fresh.replace(library)  # another process may have built it meanwhile
    return library


class Shim:
    """The loaded library.

    Args:
        library: what `build` made. To be loaded before torch is imported.
    """

    def __init__(self, library: Path) -> None:
        for name in ("libc10.so", "libtorch_cpu.so"):
            _preloaded(_torch() / "lib" / name)
        self._library = ctypes.CDLL(str(library), _MODE)
        self._library.shim_stream.restype = ctypes.c_int64
        self._library.shim_waits.restype = ctypes.c_int64
        self._library.shim_set_stream.argtypes = [ctypes.c_int64]

    def install(self) -> None:
        """Take the place of torch's own device guard, once torch is imported."""
        self._library.shim_install()

    @property
    def stream(self) -> int:
        """The number of this thread's current stream; 0 is the default one."""
        return int(self._library.shim_stream())

    @stream.setter
    def stream(self, number: int) -> None:
        self._library.shim_set_stream(number)

    def waits(self) -> list[tuple[int, int]]:
        """(Who waited, for whom) since the last call, by the streams' numbers."""
        pairs = (ctypes.c_int64 * (2 * _MOST_WAITS))()
        count = min(int(self._library.shim_waits(pairs, ctypes.c_int64(_MOST_WAITS))), _MOST_WAITS)
        return [(pairs[2 * at], pairs[2 * at + 1]) for at in range(count)]


@lru_cache(maxsize=1)
def _torch() -> Path:
    """The directory of the torch that would be imported."""
    spec = find_spec("torch")
    assert spec is not None and spec.origin is not None, "torch is installed"
    return Path(spec.origin).parent


def _preloaded(library: Path) -> None:
    """Load a library of torch's, after those of CUDA that it asks for if it was built for them."""
    try:
        ctypes.CDLL(str(library), _MODE)
        return
    except OSError:
        found = sorted((_torch().parent / "nvidia").rglob("*.so*"))
    for name in _CUDA_LIBRARIES:
        for path in [one for one in found if one.name.startswith(f"lib{name}.so")][:1]:
            ctypes.CDLL(str(path), _MODE)
    ctypes.CDLL(str(library), _MODE)
