"""Recipes whose intermediates are adapters one already has, through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from adapterx.formats import directory as formats
from adapterx.methods.lora.spec import Lora
from tests.executors.test_origin import base
from tests.formats.worked import adapter, place
from tests.support.command import adapterx

LORA = Lora(rank=4)


def written(directory: Path, model: Path | str, method: Lora = LORA, seed: int = 5) -> Path:
    """An adapter of peft's, as somebody else may have saved it."""
    directory.mkdir()
    formats.write(directory, "peft", adapter(method, place(), seed=seed), place(), "mine")
    return base(directory, model)


def settings(**more: Any) -> dict[str, Any]:
    return {
        "seeds": [1, 2],
        "compare": None,
        "train": {"learning_rate": 1e-3, "batch_size": 8, "steps": 2},
        "evaluate": {"limit": 4},
        **more,
    }


def test_adapters_from_elsewhere_are_intermediates(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    own = written(tmp_path / "theirs", checkpoints["small"])
    path = recipe(
        **settings(
            backbones={"small": str(checkpoints["small"])},
            intermediates={"none": None, "theirs": {"init": str(own)}},
            targets={"latest": {"task": "time-latest", "languages": ["en"]}},
        )
    )
    store = ("--store", tmp_path / "store")
    plan = adapterx("plan", path, *store)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    words = " ".join(plan.stdout.split())
    # Read once for both seeds and both transfers.
    assert "6 trainings (0 intermediate, 6 target), 1 adapter read and 6 evaluations" in words
    assert f"{own} was trained elsewhere: whether it has seen items of 'time-latest' is not known" in words
    run = adapterx("run", path, *store)
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr, run.stderr
    (read,) = (tmp_path / "store" / "stages" / "intermediate").glob("small.lora.theirs.seed1-*")
    record = json.loads((read / "record.json").read_text())
    assert record["result"]["adapter"]["init"] == str(own)
    stored = load_file(read / "adapter.safetensors")
    assert all((stored[name] == tensor).all() for name, tensor in formats.read(own, place()).tensors.items())
    again = adapterx("plan", path, *store)
    assert "Everything is stored" in again.stdout, again.stdout
    # Other weights, another identity.
    (own / "adapter_model.safetensors").unlink()
    (own / "adapter_config.json").unlink()
    own.rmdir()
    written(tmp_path / "theirs", checkpoints["small"], seed=6)
    changed = adapterx("plan", path, *store)
    assert "Everything is stored" not in changed.stdout


@pytest.mark.parametrize(
    ("method", "model", "message"),
    [
        (Lora(rank=3), "small", "the adapter of 'theirs' has rank 3 and the method 'lora' 4: give the method"),
        (LORA, "other", "was trained on"),
    ],
)
def test_adapters_that_do_not_fit_refuse_their_cells(
    method: Lora, model: str, message: str, recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    own = written(tmp_path / "theirs", checkpoints[model], method)
    path = recipe(
        **settings(
            backbones={"small": str(checkpoints["small"])},
            intermediates={"theirs": {"init": str(own)}},
            transfers=["continue"],
        )
    )
    done = adapterx("plan", path, "--store", tmp_path / "store")
    assert done.returncode == 2 and message in " ".join(done.stdout.split()), done.stdout + done.stderr


def test_init_excludes_all_else(recipe: Callable[..., Path]) -> None:
    path = recipe(intermediates={"theirs": {"init": "someone/adapter", "tasks": "time-order"}}, compare=None)
    done = adapterx("plan", path)
    assert done.returncode == 2 and "gives both init and tasks: the adapter is as it is" in done.stderr


def test_members_from_elsewhere_are_merged_and_stacked_upon(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    """Merged, a target starts from what both make; stacked, it lies upon one of another rank."""
    one, two = (written(tmp_path / f"one{seed}", checkpoints["small"], seed=seed) for seed in (1, 2))
    small = written(tmp_path / "small-rank", checkpoints["small"], Lora(rank=3))
    path = recipe(
        **settings(
            backbones={"small": str(checkpoints["small"])},
            seeds=[1],
            intermediates={
                "one": {"init": str(one)},
                "two": {"init": str(two)},
                "rank": {"init": str(small)},
                "both": {"members": ["one", "two"]},
            },
            transfers={
                "mean": {"kind": "merge"},
                "tuned": {"kind": "merge", "weights": "tuned"},
                "above": {"kind": "stack"},
            },
            targets={"latest": {"task": "time-latest", "languages": ["en"]}},
            train={"learning_rate": 1e-12, "batch_size": 4, "steps": 1, "limit": 8},
            skip=[{"intermediates": ["one", "two"]}, {"intermediates": "rank", "transfers": ["mean", "tuned"]}],
        )
    )
    run = adapterx("run", path, "--store", tmp_path / "store")
    words = " ".join((run.stdout + run.stderr).split())
    assert run.returncode == 1 and "Traceback" not in words, words
    assert "'one' was trained elsewhere; give it weights" in words
    (merged,) = (tmp_path / "store" / "stages" / "target").glob("small.lora.both.mean.latest.seed1-*")
    stored = load_file(merged / "adapter.safetensors")
    members = [formats.read(own, place()).tensors for own in (one, two)]
    for name in members[0]:
        # The root of each weight stands on either side of a product of A and B.
        expected = (members[0][name] + members[1][name]) * 0.5**0.5
        torch.testing.assert_close(stored[name], expected, atol=1e-6, rtol=1e-6)
    (above,) = (tmp_path / "store" / "stages" / "target").glob("small.lora.rank.above.latest.seed1-*")
    assert load_file(above / "adapter.safetensors")["encoder.layer.0.attention.self.query.lora_A"].shape == (4, 32)
