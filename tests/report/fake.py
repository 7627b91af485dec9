"""A store filled with made-up results whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from adapterx.plan.cells import Cell
from adapterx.store import JSON, Failure, Store, fingerprint, write_json

Accuracy = Callable[[Cell, str], float]
LABELS = ["no", "yes"]
WHEN = "2026-01-02T03:04:05+00:00"
SIZES = {"small": (6, 384), "medium": (12, 384), "large": (12, 768)}


@dataclass(frozen=True)
class Fake:
    """What to make up. `accuracy` is the chance that a cell answers an item of a language rightly."""

    backbones: Sequence[str] = ("small", "large")
    methods: Sequence[str] = ("lora",)
    intermediates: Sequence[str] = ("none", "en", "multi")
    transfers: Sequence[str] = ("continue",)
    targets: Sequence[str] = ("choice",)
    seeds: Sequence[int] = (1,)
    languages: Sequence[str] = ("de", "en", "sw")
    sources: Sequence[str] = ("en",)
    items: int = 50
    parallel: bool = True
    compare: bool = True
    accuracy: Accuracy = lambda cell, language: 0.7
    statuses: dict[Cell, str] = field(default_factory=dict)
    tagging: Sequence[str] = ()
    bootstrap: int = 300
    steps: int = 40
    random: int = 0
    tuned: bool = False
    """Whether each training had three learning rates to choose from."""
    merged: bool = False
    """Whether each target has merge weights that were tuned; those of seed 1 are the default."""
    twins: bool = False
    """Whether cells that differ in their intermediate alone answer alike."""
    tasks: dict[str, str] = field(default_factory=dict)
    """The catalog's names of targets, where they have others."""
    loss: float | None = None
    """That of every step, where it is not to fall."""
    answers: Callable[[Cell], pa.Table] | None = None
    """Predictions of a cell, where they are not to be made up here."""

    def cells(self) -> Iterator[Cell]:
        for backbone, method, intermediate in product(self.backbones, self.methods, self.intermediates):
            for transfer in self.transfers if intermediate != "none" else ("none",):
                for target, seed in product(self.targets, self.seeds):
                    yield Cell(backbone, method, intermediate, transfer, target, seed)


def write(store: Store, fake: Fake) -> Path:
    """Fill the store and write run.json; returns the run's directory."""
    written = [_write_cell(store, fake, cell) for cell in fake.cells()]
    recipe: dict[str, JSON] = {
        "adapterx": 1,
        "name": "fake",
        "description": "Made-up results for trying out the report.",
        "backbones": {name: {"model": f"embedded/{name}"} for name in fake.backbones},
        "seeds": list(fake.seeds),
        "evaluate": {"limit": None, "bootstrap": fake.bootstrap},
        "compare": {"arm": "multi", "baseline": "en", "by": "backbones"} if fake.compare else None,
    }
    backbones: dict[str, JSON] = {
        name: {
            "model": f"embedded/{name}",
            "revision": None,
            "key": fingerprint(name),
            "architecture": "xlm-roberta",
            "layers": SIZES[name][0],
            "hidden": SIZES[name][1],
            "intermediate": 4 * SIZES[name][1],
        }
        for name in fake.backbones
    }
    run_dir = store.run_directory("fake")
    content: dict[str, JSON] = {"adapterx": 1, "recipe": recipe, "overrides": ["seeds=[1]"], "store": "../.."}
    write_json(run_dir / "run.json", {**content, "cells": written, "backbones": backbones})
    return run_dir


def _write_cell(store: Store, fake: Fake, cell: Cell) -> JSON:
    place: dict[str, JSON] = {
        "backbone": cell.backbone,
        "method": cell.method,
        "intermediate": cell.intermediate,
        "transfer": cell.transfer,
        "target": cell.target,
        "seed": cell.seed,
    }
    status = fake.statuses.get(cell, "done")
    if status == "refused":
        return {"cell": place, "stages": None, "refused": "the backbone reads 16 tokens only"}
    stages: dict[str, JSON] = {"intermediate": None}
    if cell.intermediate != "none":
        label = f"{cell.backbone}.{cell.method}.{cell.intermediate}.seed{cell.seed}"
        stages["intermediate"] = _train(
            store, fake, "intermediate", label, "diverged" if status == "blocked" else "done"
        )
    stages["target"] = _train(store, fake, "target", cell.label, status)
    id = fingerprint(["evaluation", cell.label])
    stages["evaluation"] = {"kind": "evaluation", "slug": cell.label, "id": id}
    if status in ("done", "collapsed"):
        table = fake.answers(cell) if fake.answers else predictions(fake, cell)

        def save(path: Path) -> None:
            parquet.write_table(table, path)

        collapsed = status == "collapsed"
        store.commit(
            "evaluation",
            cell.label,
            id,
            settings={"task": cell.target, "languages": list(fake.languages), "data": fingerprint(cell.target)},
            inputs=(),
            files={"predictions.parquet": save},
            result={"collapsed": collapsed, "why": "answers “yes” to 100 % of the items" if collapsed else None},
            provenance=provenance(1.5),
        )
    return {"cell": place, "stages": stages, "refused": None}


def _train(store: Store, fake: Fake, kind: str, label: str, status: str) -> JSON:
    id = fingerprint([kind, label])
    ref: JSON = {"kind": kind, "slug": label, "id": id}
    if status in ("missing", "blocked"):
        return ref
    if status in ("failed", "out-of-memory", "out-of-disk"):
        store.fail(kind, label, id, Failure(status, f"{status} at step 7 <of> 40", WHEN))  # type: ignore[arg-type]
        return ref
    random = np.random.default_rng([fake.random, int(id[:8], 16)])
    losses = 0.3 + 0.5 * np.exp(-np.arange(fake.steps) / 12) + random.normal(0, 0.03, fake.steps)
    losses = losses if fake.loss is None else np.full(fake.steps, fake.loss)
    lines = [json.dumps({"step": step + 1, "loss": float(loss), "lr": 1e-4}) for step, loss in enumerate(losses)]
    diverged = status == "diverged"
    result: dict[str, JSON] = {"message": "loss is not a number at step 7"} if diverged else {}
    if fake.tuned:
        result["tuning"] = tuning(fake, label, diverged)
    if fake.merged and kind == "target" and ".none." not in label:
        result |= merge_weights(label)
    store.commit(
        kind,
        label,
        id,
        settings={
            "backbone": {"key": fingerprint(label.split(".", maxsplit=1)[0])},
            "tasks": {"choice": {"languages": list(fake.sources), "data": fingerprint("training data")}},
        },
        inputs=(),
        files={"training.jsonl": "\n".join(lines).encode(), "adapter.safetensors": b"weights"},
        result={"steps": fake.steps, **result},
        provenance={**provenance(12.25), "trained_parameters": 73_728, "trained_together": 6},
        status="diverged" if diverged else "done",
    )
    return ref


def tuning(fake: Fake, label: str, diverged: bool) -> JSON:
    """Seed 1 chooses the middle rate, others the largest; the smallest leaves at a quarter, the last at the half.

    Seed 1 has equal scores at the half.
    """
    won = 1e-3 if label.endswith("seed1") else 1e-2
    steps = {1e-4: fake.steps // 4, won: fake.steps}
    return [
        {
            "learning_rate": rate,
            "steps": 6 if diverged else steps.get(rate, fake.steps // 2),
            "total_steps": fake.steps,
            "dev": {"10": 0.1} if rate == 1e-4 else {"10": 0.5, "20": 0.9 if won in (rate, 1e-3) else 0.8},
            "outcome": "diverged" if diverged else "won" if rate == won else "pruned",
        }
        for rate in (1e-3, 1e-4, 1e-2)
    ]


def merge_weights(label: str) -> dict[str, JSON]:
    """Two candidates, the default first."""
    better = 0.625 if label.endswith("seed1") else 0.75
    tried: list[JSON] = [
        {"weights": [0.5, 0.5], "dev": 0.6875, "dev_by_member": [0.75, 0.625]},
        {"weights": [0.25, 0.75], "dev": better, "dev_by_member": [better, better]},
    ]
    return {"weights": [0.5, 0.5] if better < 0.6875 else [0.25, 0.75], "weights_tried": tried}


def provenance(seconds: float) -> dict[str, JSON]:
    return {
        "versions": {"adapterx": "0.1.0", "torch": "2.11.0", "python": "3.11.9"},
        "commit": "0123456789abcdef",
        "machine": {"processor": "2 × x86_64", "device": "cpu"},
        "seconds": seconds,
        "peak_memory_bytes": 1_300_000_000,
    }


def predictions(fake: Fake, cell: Cell) -> pa.Table:
    """The predictions of one cell; the gold labels are the same in every cell."""
    columns: dict[str, list[object]] = {"language": [], "id": [], "gold": [], "prediction": []}
    tagging = cell.target in fake.tagging
    for number, language in enumerate(fake.languages):
        gold = _gold(fake, cell.target, 0 if fake.parallel else number, 6 if tagging else 1)
        answers = cell.label.replace(cell.intermediate, "") if fake.twins else cell.label
        random = np.random.default_rng([fake.random, number, int(fingerprint(answers)[:8], 16)])
        right = random.random(gold.shape) < fake.accuracy(cell, language)
        guess = np.where(
            right, gold, (gold + random.integers(1, 3 if tagging else 2, gold.shape)) % (3 if tagging else 2)
        )
        for item in range(fake.items):
            columns["language"].append(language)
            columns["id"].append(f"item{item}" if fake.parallel else f"{language}{item}")
            columns["gold"].append(gold[item].tolist())
            columns["prediction"].append(guess[item].tolist())
    names, labels = (["span_f1", "accuracy"], ["O", "B-NAME", "I-NAME"]) if tagging else (["accuracy"], LABELS)
    table = pa.table(
        {
            "cell": [cell.label] * len(columns["id"]),
            "language": columns["language"],
            "id": columns["id"],
            "gold": pa.array(columns["gold"], pa.list_(pa.int32())),
            "prediction": pa.array(columns["prediction"], pa.list_(pa.int32())),
        }
    )
    return table.replace_schema_metadata(
        {
            "task": json.dumps(fake.tasks.get(cell.target, cell.target)),
            "metrics": json.dumps(names),
            "labels": json.dumps(labels),
        }
    )


def _gold(fake: Fake, target: str, number: int, words: int) -> NDArray[np.int64]:
    random = np.random.default_rng([fake.random, number, int(fingerprint(target)[:8], 16)])
    return random.choice(
        2 if words == 1 else 3, p=[0.6, 0.4] if words == 1 else [0.6, 0.2, 0.2], size=(fake.items, words)
    )


LANGUAGES = [
    "ar",
    "bg",
    "bn",
    "cs",
    "de",
    "el",
    "en",
    "es",
    "et",
    "fi",
    "fr",
    "he",
    "hi",
    "id",
    "ja",
    "ka",
    "ko",
    "ru",
    "sw",
    "ta",
    "th",
    "tr",
    "vi",
    "zh",
]


def large(**changes: object) -> Fake:
    """A grid of the size the report is laid out for."""

    def accuracy(cell: Cell, language: str) -> float:
        size = {"small": 0.0, "medium": 0.05, "large": 0.11}[cell.backbone]
        seed = np.random.default_rng([cell.seed, len(cell.label)]).normal(0, 0.006)
        distance = 0.0 if language == "en" else 0.04 + 0.012 * (LANGUAGES.index(language) % 8)
        gain = {"none": -0.05, "en": 0.0, "multi": 0.07 if language != "en" else -0.01}[cell.intermediate]
        gain *= {"small": 1.0, "medium": 0.6, "large": 0.25}[cell.backbone]
        return float(np.clip(0.74 + size - distance + gain + seed - 0.02 * (cell.transfer == "stack"), 0, 1))

    base = Fake(
        backbones=("small", "medium", "large"),
        transfers=("continue", "stack"),
        targets=("choice", "inference", "names"),
        tagging=("names",),
        seeds=(1, 2, 3),
        languages=LANGUAGES,
        items=300,
        accuracy=accuracy,
        bootstrap=2000,
        steps=120,
    )
    return replace(base, **changes)  # type: ignore[arg-type]
