"""A catalog and backbones of fixed facts, which count the questions they are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.config.problems import did_you_mean


@dataclass(frozen=True)
class FakeTask:
    name: str
    format: str = "pair-classification"
    labels: tuple[str, ...] = ("no", "yes")
    languages: tuple[str, ...] = ("en", "de", "fi")
    sources: Mapping[str, object] = field(default_factory=lambda: {"embedded": None, "local": None})
    tokens: int = 32
    scored: tuple[str, ...] = ("test",)
    parallel: bool = True
    translated: Mapping[str, Any] = field(default_factory=dict)


TASKS = (
    FakeTask("units"),
    FakeTask("months", "multiple-choice", ("0", "1", "2", "3")),
    FakeTask("numbers", "tagging", ("O", "B-NUM", "I-NUM")),
    FakeTask("units-large"),
    FakeTask("text", "masked-lm", (), ("en", "de", "fi", "sw")),
    FakeTask("more-text", "masked-lm", (), ("en", "de", "fi", "sw")),
    FakeTask("questions", "contrastive", ()),
    FakeTask("nli", labels=("entailment", "neutral", "contradiction"), parallel=False),
    FakeTask("names", "retrieval", ()),
    FakeTask("pairs", "retrieval", (), scored=("dev", "test")),
)


class FakeTasks:
    """The TaskFacts protocol.

    In the local source German has no train data, Finnish no dev data, and counting Finnish takes too long.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.revision = "1"
        self.dev_revision = ""

    def find(self, name: str, beside: Path | None) -> FakeTask:
        self.asked[f"find {name}"] += 1
        known = {task.name: task for task in TASKS}
        if name not in known:
            raise LookupError(f"no task '{name}' ({did_you_mean(name, known)})")
        return known[name]

    def fingerprint(self, spec: FakeTask, source: str, splits: Mapping[str, Sequence[str]]) -> str:
        key = f"{spec.name} {source} {sorted((split, tuple(codes)) for split, codes in splits.items())}"
        self.asked[f"fingerprint {key}"] += 1
        return f"{key} {self.revision}" + (self.dev_revision if "dev" in splits else "")

    def sizes(self, spec: FakeTask, source: str, language: str, split: str) -> int | None:
        self.asked[f"sizes {spec.name} {source} {language} {split}"] += 1
        if source == "local" and language == "de" and split == "train":
            return 0
        if source == "local" and language == "fi" and split == "dev":
            return 0
        if source == "local" and language == "fi":
            return None
        return {"train": 320, "dev": 64, "test": 100}[split]

    def texts(self, spec: FakeTask, source: str, language: str, split: str) -> int | None:
        return None if source == "local" else 5_100


class FakeBackbones:
    """describe: every model is 12 layers of 384, `@6` cuts them, `missing` does not exist."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, backbone: Backbone) -> BackboneInfo:
        self.asked[backbone.model] += 1
        if backbone.model == "missing":
            raise FileNotFoundError("missing/config.json: no such file")
        layers = int(backbone.model.partition("@")[2] or 12)
        return BackboneInfo(f"key of {backbone.model}", "xlm-roberta", 384, layers, 12, 1536, 250002, 512)
