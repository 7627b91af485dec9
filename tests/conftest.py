"""Settings for all tests."""

from __future__ import annotations

import os

# Models here are tiny: a second thread costs more in waiting than it brings, above all on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test may reach for the network by accident.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Lines as wide in a worker process, which has no terminal, as in one's own.
os.environ.setdefault("COLUMNS", "200")
