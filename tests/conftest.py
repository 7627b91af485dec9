"""Settings for all tests."""

from __future__ import annotations

import os
import signal

import pytest

# Models here are tiny: a second thread costs more in waiting than it brings, above all on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test may reach for the network by accident.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Kernels for GPUs run through Triton's interpreter; it is asked as triton is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")
# Lines as wide in a worker process, which has no terminal, as in one's own.
os.environ.setdefault("COLUMNS", "200")
# Tests send themselves signals, which whoever starts them in the background may have them ignore.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run the real command come first: theirs are the longest tests, and none is left for the end."""
    items.sort(key=lambda item: not hasattr(getattr(item, "module", None), "adapterx"))
