"""GPUs in the words of their driver, and no driver; the build of torch without importing it."""

from __future__ import annotations

import sys

import pytest

from adapterx.machine import gpu, torch_build
from adapterx.machine.gpu import Gpu, gpus, parsed
from adapterx.machine.torch_build import CPU, TorchBuild, device_name

LISTED = "NVIDIA H200, 143771, 140000, 9.0, 580.65.06\nTesla T4, 15360, [N/A], 7.5, 580.65.06\nno,gpu\n"
H200 = Gpu("NVIDIA H200", 143_771 << 20, 140_000 << 20, (9, 0), "580.65.06")


def test_each_gpu_that_the_driver_lists() -> None:
    assert parsed(LISTED) == (H200, Gpu("Tesla T4", 15_360 << 20, None, (7, 5), "580.65.06"))


def test_capabilities_are_compared_by_their_parts() -> None:
    assert H200.at_least(8, 9) and H200.at_least(9, 0) and not H200.at_least(9, 1)
    assert not Gpu("x", None, None, None, "").at_least(1, 0)
    assert Gpu("x", None, None, (10, 0), "").at_least(9, 9)


@pytest.mark.parametrize(
    "command",
    [
        ("no-such-command-of-a-driver",),
        (sys.executable, "-c", "raise SystemExit(9)"),
        (sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"),
    ],
)
def test_no_driver_or_one_that_fails_lists_none(command: tuple[str, ...]) -> None:
    assert gpus(command) == ()


def test_what_the_command_prints_is_read() -> None:
    assert gpus((sys.executable, "-c", f"print({LISTED!r})"))[0] == H200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", TorchBuild("2.13.0+cpu", False)),
        ("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n", TorchBuild("2.13.0+cu130", True)),
        ("from .hidden import *\n", None),
    ],
)
def test_the_build_that_a_version_file_tells(text: str, expected: TorchBuild | None) -> None:
    assert torch_build.parsed(text) == expected


def test_the_installed_build_is_the_one_that_is_imported() -> None:
    import torch

    assert torch_build.torch_build() == TorchBuild(torch.__version__, torch.version.cuda is not None)


@pytest.mark.parametrize(
    ("build", "visible", "listed", "expected"),
    [
        (TorchBuild("2", True), None, (H200,), "NVIDIA H200"),
        (TorchBuild("2", True), "1", parsed(LISTED), "Tesla T4"),
        (TorchBuild("2", True), "", (H200,), CPU),
        (TorchBuild("2", True), None, (), CPU),
        (TorchBuild("2", False), None, (H200,), CPU),
        (None, None, (H200,), CPU),
    ],
)
def test_the_device_that_a_run_uses(
    build: TorchBuild | None,
    visible: str | None,
    listed: tuple[Gpu, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_build, "torch_build", lambda: build)
    monkeypatch.setattr(torch_build, "gpus", lambda: listed)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_name.__wrapped__() == expected
    assert gpu.COMMAND[0] == "nvidia-smi"
