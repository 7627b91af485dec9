"""Compiles every kernel for a GPU that is not there, as steps of bundles would: `python -m tests.kernels.compiled`.

Prints a line for each: registers and bytes spilled, from NVIDIA's assembler in Triton's wheel. To be run without
TRITON_INTERPRET. Nothing is launched: tensors have shapes alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from adapterx.kernels import launch
from adapterx.kernels.choice import NAMES
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.cells import cell
from tests.models import encoder
from tools.gpu_cost import record

CAPABILITY = 90
_POINTERS = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.bool: "*i1",
}


def compiled(kernel: Any, arguments: tuple[Any, ...], constants: dict[str, Any]) -> str:
    """What the assembler says of one kernel."""
    options = {key: constants[key] for key in ("num_warps", "num_stages") if key in constants}
    fixed = {key: value for key, value in constants.items() if key not in options}
    signature, attributes = {}, {}
    for place, (name, value) in enumerate(zip(kernel.arg_names, arguments, strict=False)):
        if isinstance(value, Tensor):
            signature[name] = _POINTERS[value.dtype]
            attributes[(place,)] = [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32" if abs(value) < 2**31 else "i64"
            if value % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
    signature |= dict.fromkeys(fixed, "constexpr")
    source = ASTSource(kernel, signature, fixed, attributes)
    made = triton.compile(source, target=GPUTarget("cuda", CAPABILITY, 32), options=options)
    assembler = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(made.asm["ptx"])
        file.flush()
        asked = [str(assembler), f"-arch=sm_{CAPABILITY}a", "-v", file.name, "-o", "/dev/null"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stderr
    registers = re.search(r"Used (\d+) registers", said)
    spilled = re.search(r"(\d+) bytes spill stores", said)
    assert registers is not None and spilled is not None, said
    return f"{registers[1]} registers, {spilled[1]} bytes spilled, {made.metadata.shared} bytes shared"


def main() -> None:
    """Compile what steps of three bundles launch, each variant once."""
    seen: dict[Any, str] = {}

    def instead(kernel: Any, grid: Any, arguments: tuple[Any, ...], constants: dict[str, Any]) -> None:
        types = tuple(value.dtype if isinstance(value, Tensor) else type(value) for value in arguments)
        key = (kernel.__name__, types, tuple(sorted(constants.items())))
        if key not in seen:
            seen[key] = compiled(kernel, arguments, constants)
            plain = {name: value for name, value in constants.items() if name.isupper()}
            sys.stdout.write(f"{kernel.__name__} {plain}: {seen[key]}\n")
            sys.stdout.flush()

    widths = [(64, 1, Lora(rank=8, dropout=0.1)), (128, 2, Bottleneck(reduction_factor=16.0)), (80, 1, Lora(rank=8))]
    observed = launch.observed
    for width, heads, method in widths:
        sizes = {"hidden": width * heads, "layers": 2, "heads": heads}
        architecture = "xlm-roberta-xl" if width == 80 else "xlm-roberta"
        cells = [cell(method, seed, batch_size=2) for seed in (1, 2)]
        with (
            record.shapes_alone(lambda: encoder(architecture, **sizes)) as (fake, mode),  # noqa: B023
            patch.object(launch, "run", instead),
            patch.object(record, "observed", lambda one, dry: observed(one)),
        ):
            record.recorded(fake, cells, NAMES, mode)
    sys.stdout.write(f"{len(seen)} variants compiled\n")


if __name__ == "__main__":
    main()
