"""training.jsonl: loss and learning rate of a training by step, and dev scores where they were taken."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.reading import parse_json

NAME = "training.jsonl"


@dataclass(frozen=True)
class LoggedStep:
    """One line."""

    step: int
    """Counted from 1."""
    loss: float
    """Not finite where the line's is no number."""
    learning_rate: float | None = None
    """None in logs of versions that called it otherwise."""
    dev: float | None = None
    """The dev score after the step, where one was taken."""


def written(steps: Sequence[LoggedStep]) -> bytes:
    """The file of these steps."""
    return "".join(f"{json.dumps(_line(one))}\n" for one in steps).encode()


def _line(one: LoggedStep) -> dict[str, float | None]:
    line: dict[str, float | None] = {"step": one.step, "loss": one.loss, "learning_rate": one.learning_rate}
    return line if one.dev is None else {**line, "dev": one.dev}


def read(text: bytes) -> tuple[LoggedStep, ...]:
    """The steps of a file. Raises UnreadableFile, ValueError, KeyError or TypeError for what is none."""
    return tuple(_step(parse_json(line, finite=False)) for line in text.splitlines())


def _step(line: dict[str, object]) -> LoggedStep:
    step, loss = line["step"], line["loss"]
    if not isinstance(step, int):
        raise TypeError("a step should be a whole number")
    number = _number(loss)
    return LoggedStep(
        step, math.nan if number is None else number, _number(line.get("learning_rate")), _number(line.get("dev"))
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
