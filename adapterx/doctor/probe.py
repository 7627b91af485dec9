"""Imports the modules that its arguments name, and writes a line of JSON about each: `python -m adapterx.doctor.probe`.

A process of `adapterx.doctor.libraries`, which reads the lines and outlives whatever an import does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main(names: list[str]) -> int:
    """Import one after another; what they print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    for name in names:
        answer: dict[str, Any] = {"name": name}
        try:
            module = importlib.import_module(name)
            if name == "torch":
                answer["torch"] = _torch(module)
        except BaseException as error:  # a Rust core panics with an error that is no Exception
            answer["error"] = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _torch(torch: Any) -> dict[str, Any]:
    """What torch computes with; the reason where its GPU does not answer."""
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "cuda_build": torch.version.cuda, "gpu": None}
    try:
        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            found["gpu"] = {
                "name": torch.cuda.get_device_name(),
                "free": int(free),
                "total": int(total),
                "capability": list(torch.cuda.get_device_capability()),
            }
    except Exception as error:
        found["gpu_error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # Nothing of what the libraries do at their end is asked for.
    os._exit(status)
