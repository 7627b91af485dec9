"""What `/proc/cpuinfo` says, and what it may fail to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.machine import cores, threads
from adapterx.machine.processor import Processor, parsed, processor

INTEL = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Some(R) Processor 9000
flags\t\t: fpu sse2 fma avx avx2 avx512f avx_vnni avx512_bf16 amx_bf16 amx_tile avx512_fp16

processor\t: 1
model name\t: Some(R) Processor 9000
flags\t\t: fpu sse2 avx
"""


def test_model_and_instructions_of_the_first_core() -> None:
    model, instructions = parsed(INTEL)
    assert model == "Some(R) Processor 9000"
    assert instructions == ("avx2", "fma", "avx512f", "avx512_bf16", "avx_vnni", "amx_bf16", "avx512_fp16")


def test_a_processor_without_any_of_them_is_not_an_unknown_one() -> None:
    assert parsed("model name : Old\nflags : fpu sse2") == ("Old", ())
    assert parsed("CPU implementer : 0x41\nFeatures : asimd bf16") == ("", None)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe: \x00", b"no colon here"])
def test_what_cannot_be_read_is_unknown(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_bytes(content)
    found = processor(tmp_path)
    assert found.model and found.instructions is None and found.cores == cores()
    assert found.has("avx2") == ()


def test_which_of_several_it_has() -> None:
    one = Processor("x", 2, ("avx2", "amx_bf16"))
    assert one.has("avx512_bf16", "amx_bf16") == ("amx_bf16",) and one.has("avx512_vnni") == ()


@pytest.mark.parametrize(("asked", "expected"), [("3", 3), ("4,2", 4), ("", None), ("0", None), ("many", None)])
def test_threads_are_those_asked_for_or_one_a_core(
    asked: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads() == (expected or cores())
