"""A small grid over two tiny random encoders: real tasks, real training, seconds of work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterx.cli import main
from tests.backbones.checkpoints import save
from tests.end_to_end import fused


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two checkpoints on disk."""
    directory = tmp_path_factory.mktemp("checkpoints")
    return {name: save(directory / name, seed=seed) for seed, name in enumerate(("small", "other"))}


@pytest.fixture
def recipe(tmp_path: Path, checkpoints: dict[str, Path]) -> Callable[..., Path]:
    """Writes a recipe; keyword arguments replace whole sections. JSON is YAML."""

    def write(**sections: Any) -> Path:
        content = {
            "adapterx": 1,
            "name": "grid",
            "backbones": {name: str(path) for name, path in checkpoints.items()},
            "methods": {"lora": {"kind": "lora", "rank": 4}},
            "intermediates": {
                "none": None,
                "en": {"tasks": "time-order"},
                "multi": {"tasks": "time-order", "languages": ["en", "de", "ja"], "sampling": "uniform"},
            },
            "transfers": ["continue", "stack"],
            "targets": {"latest": {"task": "time-latest", "languages": ["en", "de", "th"]}},
            "seeds": [1, 2],
            "train": {"learning_rate": 1e-3, "batch_size": 8, "steps": 6},
            "evaluate": {"limit": 12, "bootstrap": 200},
            "compare": {"arm": "multi", "baseline": "en"},
            **sections,
        }
        path = tmp_path / "grid.yaml"
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
        return path

    return write


@pytest.fixture(scope="session")
def fused_store(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Path:
    """The store of the run in `fused`."""
    root = tmp_path_factory.mktemp("fused")
    path = root / "fused.yaml"
    path.write_text(json.dumps(fused.recipe(checkpoints["small"])))
    assert main(["run", str(path), "--store", str(root / "store")]) in (0, 1)  # two steps teach little
    assert not list(root.rglob("failure*.json"))
    return root / "store"
