"""A small run whose backbone is also on a hub of the tests, and its publishing in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapterx.cli import main
from tests.backbones.checkpoints import save

BASE = "org/tiny"
TOKEN = "hf_" + "canary" * 5


def train(root: Path, **sections: Any) -> Path:
    """Train the grid below a directory; its store."""
    backbone = root / "backbone"
    if not backbone.exists():
        save(backbone)
    content = {
        "adapterx": 1,
        "name": "grid",
        "description": "A tiny grid.",
        "backbones": {"small": str(backbone)},
        "methods": {"lora": {"kind": "lora", "rank": 4, "layers": "top-2"}},
        "intermediates": {"none": None, "en": {"tasks": "place-match"}},
        "transfers": ["stack"],
        "targets": {"order": {"task": "time-order", "languages": ["en", "de"]}},
        "seeds": [1, 2],
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 4, "limit": 12, "max_length": 32},
        "evaluate": {"limit": 12, "bootstrap": 100},
        **sections,
    }
    path = root / f"{content['name']}.yaml"
    path.write_text(json.dumps(content))
    assert main(["run", str(path), "--store", str(root / "store")]) in (0, 1)  # few steps teach little
    assert not list(root.rglob("failure*.json"))
    return root / "store"
