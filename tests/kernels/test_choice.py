"""Which kernels run, what turns them off, and that a failure ends well by the library's code."""

from __future__ import annotations

import logging
from typing import Any
from unittest.mock import patch

import pytest
import torch

from adapterx.engine.options import Options
from adapterx.engine.train import train
from adapterx.kernels import choice, launch
from adapterx.kernels.choice import NAMES, KernelFailed, Name, UnknownKernel, wanted
from adapterx.methods.lora.spec import Lora
from tests.kernels.test_engine import assert_alike, made, trained

CPU = torch.device("cpu")


def test_what_the_environment_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted("") == wanted("all") == frozenset(NAMES) and wanted("none") == frozenset()
    assert wanted("attention, lora") == {"attention", "lora"}
    assert wanted("-gelu,-norm") == frozenset(NAMES) - {"gelu", "norm"}
    for wrong in ("flash", "-flash", "attention,-gelu"):
        with pytest.raises(UnknownKernel, match="ADAPTERX_KERNELS"):
            wanted(wrong)


def test_nothing_runs_on_a_cpu_and_what_is_left_out_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(choice.runs(name, CPU) for name in NAMES)
    with patch.object(choice, "_capable", lambda device: True):
        assert all(choice.runs(name, torch.device("cuda")) for name in NAMES)
        monkeypatch.setenv("ADAPTERX_KERNELS", "-gelu")
        assert not choice.runs("gelu", torch.device("cuda")) and choice.runs("norm", torch.device("cuda"))


def test_a_lack_of_memory_is_no_failure_of_a_kernel() -> None:
    with choice.emulated(["norm"]):
        with pytest.raises(MemoryError), choice.guarded("norm"):
            raise MemoryError
        assert choice.runs("norm", CPU)
        with pytest.raises(KernelFailed), choice.guarded("norm"):
            raise RuntimeError("no such instruction")
        assert not choice.runs("norm", CPU)


LONG = (pytest.mark.slow, pytest.mark.long)
SLOW = ("lora_gradients", "norm_backward", "adamw_rows", "lora_forward", "judge")
FAILING = ("attention_backward",)


@pytest.mark.parametrize(
    "kernel",
    [*(pytest.param(name, marks=LONG[:1]) for name in FAILING), *(pytest.param(name, marks=LONG) for name in SLOW)],
)
def test_a_bundle_ends_well_though_a_kernel_fails(kernel: str, caplog: pytest.LogCaptureFixture) -> None:
    """The second launch of it, so that something of a step has been done by then; once warned of, and no more tried."""
    enc, cells = made(Lora(rank=2, alpha=4.0))
    tries = []
    run = launch.run

    def failing(function: Any, *how: Any) -> None:
        if function.__name__ == kernel:
            tries.append(kernel)
            if len(tries) > 1:
                raise RuntimeError("out of registers\nand more of it")
        run(function, *how)

    names: tuple[Name, ...] = ("attention", "ragged", "lora", "norm", "adamw")
    with patch.object(launch, "run", failing), choice.emulated(names), caplog.at_level(logging.WARNING):
        mine = train(enc, cells, options=Options(workers=1, lag=2))
        left = [name for name in names if choice.runs(name, CPU)]
    assert len(tries) == 2 and len(left) < len(names)
    (warning,) = [record.getMessage() for record in caplog.records if "kernel" in record.getMessage()]
    assert "RuntimeError: out of registers);" in warning and "more of it" not in warning
    assert_alike(mine, trained([], enc, cells))
