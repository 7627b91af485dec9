"""What others have published on a run's targets, and what backbones have read: two YAML files with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from adapterx.report.collect import Results
from adapterx.tasks.xtreme import TASKS

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Published:
    """One row of somebody else's."""

    model: str
    source: str
    """Where the numbers were read."""
    backbone: str = ""
    trained: str = "English"
    """What the target's training data were."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """By task, in per cent; of question answering see `em` and `f1`."""
    em: Mapping[str, float] = field(default_factory=dict)
    f1: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None
    """XTREME's average over nine tasks."""
    average: float | None = None
    """An average over other tasks, which compares with none but those of the same source."""
    languages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By task and language."""

    def told(self, task: str) -> str:
        """A task's numbers in words, empty where there are none: 79.2; 60.8 / 76.6 (EM / F1)."""
        if task in self.scores:
            return f"{self.scores[task]:.1f}"
        if task in self.f1:
            em = f"{self.em[task]:.1f} / " if task in self.em else ""
            return f"{em}{self.f1[task]:.1f} ({'EM / ' if em else ''}F1)"
        return ""


@cache
def everything() -> tuple[Published, ...]:
    """All rows of published.yaml."""
    return tuple(Published(**one) for one in _read("published.yaml"))


def published(results: Results) -> tuple[Published, ...]:
    """The rows that have a number of one of the run's tasks; of a run with tasks of XTREME, averages too."""
    tasks = {facts.task or name for name, facts in results.targets.items()}
    return tuple(
        one
        for one in everything()
        if any(one.told(task) for task in tasks)
        or (tasks & set(TASKS) and (one.overall is not None or one.average is not None))
    )


@dataclass(frozen=True)
class Corpus:
    """What a family of backbones was pretrained on."""

    name: str
    source: str
    gib: Mapping[str, float]

    def share(self, code: str) -> float:
        """A language's share of the text; 0 where there is none of it."""
        return self.gib.get(code.partition("-")[0], 0.0) / sum(self.gib.values())


@cache
def corpus(architecture: str) -> Corpus | None:
    """The pretraining corpus of an architecture's published models; None where it is not known."""
    for name, facts in _read("pretraining.yaml").items():
        if architecture in facts["architectures"]:
            return Corpus(name, facts["source"], facts["gib"])
    return None


def _read(name: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(HERE / name)
