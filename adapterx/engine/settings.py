"""How one training is done: plain values, every default filled in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EarlyStopping:
    """Look at the dev set every `every` steps; stop after `patience` looks without improvement."""

    every: int
    patience: int


@dataclass(frozen=True)
class TrainSettings:
    """What the training loop needs to know. Exactly one of `epochs` and `steps` is set."""

    learning_rate: float
    """The peak."""
    batch_size: int
    epochs: float | None = None
    steps: int | None = None
    warmup_ratio: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    early_stopping: EarlyStopping | None = None
