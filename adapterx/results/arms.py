"""The arms of a run as run.json tells them, so that a report need not look at data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from adapterx.plan.arms import ComparedArm, Terms
from adapterx.store import JSON


@dataclass(frozen=True)
class ToldArm:
    """One of the intermediates that are compared."""

    name: str
    words: str
    """What it learns, in which languages, and where their texts come from."""
    terms: tuple[Terms, ...]
    """What its trainings have: several where backbones or methods differ, none where nothing is trained."""

    def told(self) -> dict[str, JSON]:
        """It in JSON."""
        return asdict(self)


def of_plan(arm: ComparedArm) -> ToldArm:
    """What a plan knows of an arm."""
    return ToldArm(arm.name, arm.words, arm.terms)


def read(told: Mapping[str, Any]) -> ToldArm:
    """An arm from JSON. Raises KeyError, TypeError or ValueError for what is none."""
    name, words = told["name"], told["words"]
    if not isinstance(name, str) or not isinstance(words, str):
        raise TypeError("an arm has a name and words")
    return ToldArm(name, words, tuple(_terms(one) for one in told["terms"]))


def _terms(told: Mapping[str, Any]) -> Terms:
    examples, steps = told["examples"], told["steps"]
    return Terms(
        None if examples is None else int(examples),
        None if steps is None else float(steps),
        int(told["batch"]),
        int(told["candidates"]),
    )
