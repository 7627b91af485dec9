"""A recipe with adapters in the top layer, through the real command line: what lies below is kept from run to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from tests.end_to_end.test_run import records
from tests.support.command import adapterx

Recipe = Callable[..., Path]
DISK = {"where": "disk"}


def predictions(store: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of every evaluation, by its label."""
    found = {}
    for path in store.glob("stages/evaluation/*/predictions.parquet"):
        rows = parquet.read_table(path).to_pylist()
        found[rows[0]["cell"]] = rows
    return found


def run(path: Path, store: Path, *more: str) -> str:
    done = adapterx("run", path, "--store", store, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kept_on_disk_from_run_to_run_gives_what_none_gives(
    recipe: Recipe, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    kept, plain = tmp_path / "kept", tmp_path / "plain"
    sections: dict[str, Any] = {
        "backbones": {"small": str(checkpoints["small"])},
        "methods": {"lora": {"kind": "lora", "rank": 4, "layers": "top-1"}},
        "intermediates": {"none": None, "en": {"tasks": "time-order"}},
        "transfers": ["stack"],
        "train": {"learning_rate": 1e-2, "batch_size": 8, "steps": 6},
        "compare": None,
    }
    path = recipe(**sections, prefix_cache=DISK)
    assert "trained 3 stages, evaluated 2" in run(path, kept, "seeds=[1]")
    files = {file.name: file.stat().st_size for file in (kept / "cache" / "prefix").glob("*.rows")}
    # English of two tasks to train on, and three languages to test on; a token has 32 numbers of 4 bytes.
    assert len(files) == 5 and all(size % (32 * 4) == 0 for size in files.values())
    notes = {file.name: file.read_bytes() for file in (kept / "cache" / "prefix").glob("*.filled")}
    assert len(notes) == 5

    assert "trained 3 stages, evaluated 2" in run(path, kept, "seeds=[1, 2]")
    assert {file.name: file.stat().st_size for file in (kept / "cache" / "prefix").glob("*.rows")} == files
    filled = {file.name: file.read_bytes() for file in (kept / "cache" / "prefix").glob("*.filled")}
    before, after = (sum(bits(note) for note in of.values()) for of in (notes, filled))
    assert before < after, "the other seed drew other examples"

    run(recipe(**sections, prefix_cache={"where": "none"}), plain)
    assert not (plain / "cache" / "prefix").exists()
    assert {key: record["id"] for key, record in records(kept).items()} == {
        key: record["id"] for key, record in records(plain).items()
    }
    ours, theirs = predictions(kept), predictions(plain)
    assert ours.keys() == theirs.keys() and len(ours) == 4
    for label, rows in ours.items():
        for row, other in zip(rows, theirs[label], strict=True):
            assert (row["id"], row["language"], row["gold"]) == (other["id"], other["language"], other["gold"])
            first, second = sorted(row["logits"], reverse=True)[:2]
            # This tokenizer knows few words: choices that are alike to it are told apart by rounding.
            assert row["prediction"] == other["prediction"] or first - second < 1e-6
            np.testing.assert_allclose(centred(row["logits"]), centred(other["logits"]), atol=1e-6)
    target = next(record for key, record in records(kept).items() if key.startswith("target"))
    assert target["settings"]["method"] == {"kind": "lora", "layers": "top-1", "rank": 4}


def centred(scores: list[float]) -> list[float]:
    """Of one choice: what all choices have in common has no gradient but rounding, which Adam makes much of."""
    return [score - sum(scores) / len(scores) for score in scores]


def bits(note: bytes) -> int:
    """Examples of which a note has a hash; the last bytes are its own."""
    return int((np.frombuffer(note[:-16], "<u8") != 0).sum())
