"""The processor: its model, and the instructions on which the speed of a number format rests."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from adapterx.machine import cores

INSTRUCTIONS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "avx512_fp16",
)
"""Instruction sets that matter here, as Linux writes them in `/proc/cpuinfo`."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Processor:
    """What the system says of the processor."""

    model: str
    cores: int
    """Those that this process may use."""
    instructions: tuple[str, ...] | None
    """Those of `INSTRUCTIONS` that it has; None where the system does not say."""

    def has(self, *any_of: str) -> tuple[str, ...]:
        """Those of some instruction sets that it has."""
        return tuple(one for one in any_of if one in (self.instructions or ()))


def processor(root: Path = Path("/")) -> Processor:
    """The processor of this machine.

    Args:
        root: below which `proc` is.
    """
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    model, instructions = parsed(text)
    return Processor(model or platform.processor() or UNKNOWN, cores(), instructions)


def parsed(text: str) -> tuple[str, tuple[str, ...] | None]:
    """Model and instruction sets in the words of `/proc/cpuinfo`; an empty text and None where it does not say."""
    model, flags = "", None
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if name == "model name" and not model:
            model = value
        elif name == "flags" and flags is None:
            flags = frozenset(value.split())
    return model, None if flags is None else tuple(one for one in INSTRUCTIONS if one in flags)
