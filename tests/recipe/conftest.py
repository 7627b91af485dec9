"""A small good recipe that the tests alter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
adapterx: 1
name: gap
backbones: {small: embedded/e5-small@6}
methods:
  lora: {kind: lora}
intermediates: {none: null, en: {tasks: cldr}}
targets: [choice]
train: {learning_rate: 1e-4}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text to r.yaml and give its path."""

    def written(text: str) -> Path:
        path = tmp_path / "r.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written
