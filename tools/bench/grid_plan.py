"""What the grid variant asks of adapterx: the plan of a recipe, its data, and the scores of a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

FULL = """\
adapterx: 1
name: full
backbones: {three: embedded/e5-small@3, six: embedded/e5-small@6, twelve: embedded/e5-small}
methods: {lora: {kind: lora, rank: 8, alpha: 16}}
intermediates:
  latest-en: {tasks: time-latest, languages: en}
  latest-multi: {tasks: time-latest, languages: all, sampling: uniform}
  place-en: {tasks: place-choice, languages: en}
  place-multi: {tasks: place-choice, languages: all, sampling: uniform}
  mentions-en: {tasks: time-mentions, languages: en}
  mentions-multi: {tasks: time-mentions, languages: all, sampling: uniform}
transfers: [continue]
targets: {order: {task: time-order}, match: {task: place-match}, match-de: {task: place-match, train_languages: de}}
seeds: [1, 2, 3]
train: {steps: 100, batch_size: 16}
compare: {arm: latest-multi, baseline: latest-en, by: backbones}
"""
"""3 backbones × 3 intermediates × 2 regimes × 3 targets × 3 seeds."""

SMALL = """\
adapterx: 1
name: small
backbones: {{three: embedded/e5-small@3, six: embedded/e5-small@6}}
methods: {{lora: {{kind: lora, rank: 8, alpha: 16}}}}
intermediates:
  en: {{tasks: time-order, languages: en}}
  multi: {{tasks: time-order, languages: all, sampling: uniform}}
transfers: [continue]
targets: {{match: {{task: place-match}}, match-de: {{task: place-match, train_languages: de}}}}
seeds: [1, 2]
train:
  batch_size: 16
  max_length: 64
  limit: 400
  intermediate: {{learning_rate: 2e-3, steps: {steps}}}
  target: {{learning_rate: 3e-3, steps: {steps}}}
evaluate: {{limit: {limit}, bootstrap: 200}}
compare: {{arm: multi, baseline: en, by: backbones}}
"""
"""2 backbones × 2 intermediates × 2 targets × 2 seeds, short enough to be run."""


@dataclass(frozen=True)
class Training:
    """One training of the loop: batches of (input ids, label), where it starts, and its settings."""

    batches: list[list[dict[str, Any]]]
    labels: int
    learning_rate: float
    warm_up: int
    weight_decay: float
    max_grad_norm: float
    adapter: dict[str, Any]
    """Fresh tensors by module path, used where nothing is continued."""
    head: dict[str, Any]


def plan_of(recipe: Path) -> Any:
    """The plan of a recipe file."""
    from adapterx.backbones.describe import describe
    from adapterx.plan import build
    from adapterx.recipe import read
    from adapterx.tasks import data

    return build(read(recipe, []), recipe.parent, describe, data)


def counts(plan: Any) -> dict[str, int]:
    """Trainings of the plan and of a loop over its cells, and what both evaluate."""
    kinds = [stage.kind for stage in plan.stages.values()]
    return {
        "cells": len(plan.cells),
        "intermediates": kinds.count("intermediate"),
        "targets": kinds.count("target"),
        "evaluations": kinds.count("evaluation"),
        "naive_trainings": plan.naive_trainings,
    }


def backbones(plan: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Each backbone, loaded, with the cells that use it."""
    from adapterx.backbones.load import load

    for name, info in plan.backbones.items():
        cells = [cell for cell in plan.cell_stages if cell.backbone == name]
        yield load(plan.recipe.backbones[name], info, "cpu"), cells


def trainings(plan: Any, cell: Any, loaded: Any, data: Any) -> list[Training]:
    """What the loop trains for a cell: the intermediate if it has one, then the target."""
    stages = plan.cell_stages[cell]
    return [_training(plan.stages[id], loaded, data) for id in (stages.intermediate, stages.target) if id]


def tests(plan: Any, cell: Any, loaded: Any, data: Any) -> dict[str, list[dict[str, Any]]]:
    """By language, the items that a cell is evaluated on."""
    from adapterx.executors.texts import tested_texts

    stages = plan.cell_stages[cell]
    texts = tested_texts(plan.stages[stages.evaluation].work, plan.stages[stages.target].work)
    pools = data.pools(texts, loaded.tokenizer, loaded.tokenizer_key)
    return {pool.language: [_item(pool.data, place) for place in range(len(pool.data))] for pool in pools}


def data_of(recipe: Path, store: Path) -> Any:
    """The recipe's data; tokens are kept in the store as a run keeps them."""
    from adapterx.executors.data import Data

    return Data(recipe.parent, store / "cache" / "tokens")


def scores(plan: Any, store: Path) -> dict[str, dict[str, float]]:
    """By cell and language, the accuracy that a finished run stored."""
    from adapterx.store import Store

    found: dict[str, dict[str, float]] = {}
    for cell, stages in plan.cell_stages.items():
        stage = plan.stages[stages.evaluation]
        record = Store(store).find(stage.id, stage.kind, stage.label)
        assert record is not None, f"the run stored no result for {cell.label}"
        result: Any = record.result
        found[cell.label] = {language: one["accuracy"] for language, one in result["languages"].items()}
    return found


def _training(stage: Any, loaded: Any, data: Any) -> Training:
    from adapterx.backbones.shape import Shape
    from adapterx.engine.cell import TaskData, TrainingCell
    from adapterx.engine.state import head_parameters
    from adapterx.executors.texts import learnt_texts
    from adapterx.methods.head import Head
    from adapterx.methods.method import parameters
    from adapterx.methods.parameters import initial
    from adapterx.tasks.sampling import pool_probabilities

    work, info = stage.work, stage.info
    (part,) = work.tasks
    pools = data.pools(learnt_texts(part, work), loaded.tokenizer, loaded.tokenizer_key)
    head = Head(part.task, part.format, len(part.labels))
    cell = TrainingCell(
        name=stage.label,
        key=stage.id,
        seed=work.seed,
        method=stage.method,
        settings=work.train.candidates[0],
        tasks=(TaskData(head, data.metrics(part)[0], pools),),
        probabilities=pool_probabilities([len(pool.data) for pool in pools], work.sampling.temperature),
    )
    shape = Shape(info.layers, info.hidden, info.intermediate)
    tensors = initial(head_parameters(cell, shape), cell.seed)
    return Training(
        batches=[
            [_item(pools[pool].data, example) for pool, example in cell.sampler.batch(step)]
            for step in range(cell.total_steps)
        ],
        labels=head.labels,
        learning_rate=cast(float, cell.settings.learning_rate),
        warm_up=int(np.ceil(cell.settings.warmup_ratio * cell.total_steps)),
        weight_decay=cell.settings.weight_decay,
        max_grad_norm=cell.settings.max_grad_norm,
        adapter=initial(parameters(cell.method, shape), cell.seed),
        head={name.removeprefix(head.prefix): tensor for name, tensor in tensors.items()},
    )


def _item(data: Any, example: int) -> dict[str, Any]:
    """One example of a classification task, as a trainer takes it."""
    sequence = data.example_sequences[example]
    start, stop = data.sequence_offsets[sequence : sequence + 2]
    return {
        "input_ids": data.tokens[start:stop].tolist(),
        "labels": int(data.labels[data.example_labels[example]]),
    }
