"""Random encoded data and training cells for engine tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.head import Head
from adapterx.methods.lora.spec import Lora
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.metrics import Accuracy
from adapterx.tasks.sampling import pool_probabilities
from adapterx.train_settings import EarlyStopping, TrainSettings

BOTTLENECKS: dict[str, Bottleneck] = {
    "sequential": Bottleneck(reduction_factor=4.0),
    "double": Bottleneck(placement="double", reduction_factor=4.0, activation="swish"),
    "parallel": Bottleneck(placement="parallel", reduction_factor=4.0, scaling=4.0),
}
METHODS: dict[str, MethodSpec] = {
    "lora": Lora(rank=4, alpha=8.0),
    "lora-everywhere": Lora(
        rank=2, alpha=4.0, target_modules=("query", "key", "value", "attention_output", "intermediate", "output")
    ),
    **BOTTLENECKS,
}


def encoded(
    format_: str, examples: int = 40, labels: int = 3, seed: int = 0, longest: int = 17, signal: bool = True
) -> Encoded:
    """Random token sequences. With a signal the label shows in the tokens, so that training can learn it."""
    random = np.random.default_rng(seed)
    choices = 3 if format_ == "multiple-choice" else 1
    sequences, gold, reads, reads_of, labels_of = [], [], [], [], []
    at = 0
    for _ in range(examples):
        label = int(random.integers(labels if format_ == "pair-classification" else 3))
        for choice in range(choices):
            words = 8 if format_ == "tagging" else 100
            body = random.integers(20, 20 + words, size=random.integers(2, longest)).astype(np.int32)
            if format_ == "pair-classification" and signal:
                body[0] = 5 + label
            if format_ == "multiple-choice" and signal:
                body[0] = 5 + (choice == label)
            tokens = np.concatenate([[0], body, [2]]).astype(np.int32)
            if format_ == "tagging":
                reads.append(at + 1 + np.arange(len(body)))
                gold.append(body % labels if signal else random.integers(labels, size=len(body)))
                reads_of.append(len(body))
                labels_of.append(len(body))
            else:
                reads.append(np.array([at]))
            sequences.append(tokens)
            at += len(tokens)
        if format_ != "tagging":
            gold.append(np.array([label]))
            reads_of.append(choices)
            labels_of.append(1)
    return Encoded(
        ids=tuple(f"item{index}" for index in range(examples)),
        tokens=np.concatenate(sequences),
        sequence_offsets=offsets([len(tokens) for tokens in sequences]),
        example_sequences=offsets([choices] * examples),
        read_tokens=np.concatenate(reads).astype(np.int64),
        example_reads=offsets(reads_of),
        labels=np.concatenate(gold).astype(np.int64),
        example_labels=offsets(labels_of),
    )


def settings(steps: int | None = 50, **changes: Any) -> TrainSettings:
    """Plain settings for a short training."""
    values: dict[str, Any] = {
        "learning_rate": 1e-3,
        "batch_size": 8,
        "epochs": None,
        "steps": steps,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "early_stopping": None,
    }
    return TrainSettings(**(values | changes))


def cell(
    method: MethodSpec,
    seed: int = 1,
    format_: str = "pair-classification",
    steps: int | None = 50,
    data_seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    examples: int = 40,
    **changes: Any,
) -> TrainingCell:
    """One training of one task in one language; `initial` and `lower` as in TrainingCell, other changes to settings."""
    fields: dict[str, Any] = {name: changes.pop(name) for name in ("initial", "lower") if name in changes}
    labels = {"pair-classification": 3, "tagging": 4, "multiple-choice": 3}[format_]
    train = encoded(format_, examples, labels=labels, seed=data_seed)
    dev = encoded(format_, examples, labels=labels, seed=data_seed + 100)
    task = TaskData(Head("task", format_, labels), Accuracy(), (Pool("en", train),), (Pool("en", dev),))
    return TrainingCell(
        name=f"{format_}-{seed}",
        key=f"{format_}-{seed}",
        seed=seed,
        method=method,
        settings=settings(steps, early_stopping=early_stopping, **changes),
        tasks=(task,),
        probabilities=pool_probabilities([len(train)]),
        **fields,
    )
