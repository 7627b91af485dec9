"""What tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.translate import tasks


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with tasks and a dictionary."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path / "here" / "data"))
    return tasks.make(tmp_path / "here")
