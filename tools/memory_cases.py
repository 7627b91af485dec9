"""Cases of `tools/memory_prediction.py`: encoders, tasks of words that mean nothing, and recipes of a few steps."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.time_prediction import WORDS

LORA: Mapping[str, Any] = {"kind": "lora", "rank": 8, "alpha": 16}
BOTTLENECK: Mapping[str, Any] = {"kind": "bottleneck"}
DOUBLE: Mapping[str, Any] = {"kind": "bottleneck", "placement": "double"}
FULL: Mapping[str, Any] = {"kind": "full"}
FULL_LEAST: Mapping[str, Any] = {"kind": "full", "gradient_checkpointing": True, "optimizer": "adamw_8bit"}
EMBEDDED = "embedded/e5-small"
SPREAD = 0.25
"""Lengths differ by up to this share of their mean."""
_ANSWER = 3
"""Words of an answer."""


@dataclass(frozen=True)
class Encoder:
    """An encoder with random weights and the embedded backbone's tokenizer."""

    name: str
    """For the page."""
    architecture: str
    layers: int
    hidden: int
    heads: int
    tokens: int | None = None
    """Rows of its embeddings, so many as the tokenizer knows where None: of fewer, its text has those tokens alone."""


BASE = Encoder("12 layers of 768", "xlm-roberta", 12, 768, 12)
WIDE = Encoder("2 layers of 2,560", "xlm-roberta-xl", 2, 2560, 32)


@dataclass(frozen=True)
class Case:
    """One recipe with its data."""

    name: str
    """The method in words."""
    backbone: str | Encoder
    method: Mapping[str, Any]
    length: int
    """Mean tokens of a text."""
    batch: int
    load: str = "float32"
    task: str = "classification"
    """`classification`, `tagging`, `qa`, `text` or `search`."""
    seeds: int = 1
    steps: int = 4
    items: int = 24
    """Test items."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further sections of the recipe."""

    @property
    def encoder(self) -> str:
        """The backbone in words."""
        return f"`{self.backbone}`" if isinstance(self.backbone, str) else self.backbone.name


CASES = (
    Case("LoRA", EMBEDDED, LORA, 64, 8),
    Case("LoRA", EMBEDDED, LORA, 128, 32),
    Case("LoRA", EMBEDDED, LORA, 384, 8),
    Case("bottleneck", EMBEDDED, BOTTLENECK, 128, 16),
    Case("LoRA", EMBEDDED, LORA, 96, 16, seeds=4),
    Case("LoRA", EMBEDDED, LORA, 64, 8, seeds=16),
    Case("LoRA, top 4 layers", EMBEDDED, {**LORA, "layers": "top-4"}, 128, 32),
    Case("LoRA", EMBEDDED, LORA, 128, 32, load="int8-rows"),
    Case("LoRA", EMBEDDED, LORA, 128, 16, task="tagging"),
    Case("bottleneck", EMBEDDED, BOTTLENECK, 384, 8, task="qa"),
    Case("bottleneck", EMBEDDED, BOTTLENECK, 128, 16, task="text"),
    Case("none: retrieval", f"{EMBEDDED}@3", LORA, 12, 8, task="search", items=3000),
    Case("full", EMBEDDED, FULL, 128, 16),
    Case("full, 8-bit, checkpointing", EMBEDDED, FULL_LEAST, 256, 16),
    Case("LoRA", BASE, LORA, 128, 16),
    Case("bottleneck, double", BASE, DOUBLE, 256, 16),
    Case("LoRA", BASE, LORA, 128, 16, load="bfloat16"),
    Case("LoRA", BASE, LORA, 128, 16, load="int8", steps=2, items=8),
    Case("LoRA", BASE, LORA, 128, 16, load="nf4", steps=2, items=8),
    Case("LoRA", BASE, LORA, 128, 8, load="int8-rows", seeds=4, steps=2),
    Case("LoRA", WIDE, LORA, 128, 16),
    Case("bottleneck", WIDE, BOTTLENECK, 256, 16, load="bfloat16", steps=3),
    Case("LoRA", WIDE, LORA, 128, 8, load="nf4", seeds=4, steps=2, items=8),
    Case("full, checkpointing", WIDE, {**FULL, "gradient_checkpointing": True}, 128, 8, steps=2, items=8),
)


def prepare(case: Case, directory: Path) -> Path:
    """Write data, tasks, encoder and recipe of a case into a directory; returns the recipe."""
    draw = random.Random(0)  # noqa: S311  texts, no secrets
    data = directory / "data"
    data.mkdir(parents=True)
    train = max(64, 4 * case.batch)
    for name, task in _TASKS[case.task](case, data, draw, train).items():
        common = {"adapterx": 1, "name": name, "description": "Words that mean nothing.", "licence": "none"}
        whole = {**common, "languages": ["en"], "tokens": case.length, **task}
        (directory / f"{name}.yaml").write_text(json.dumps(whole), encoding="utf-8")
    model = case.backbone
    if isinstance(model, Encoder):
        write_encoder(model, directory / "encoder")
        model = str(directory / "encoder")
    recipe = {
        "adapterx": 1,
        "name": "measured",
        "backbones": {"b": {"model": model, "load": case.load}},
        "methods": {"m": dict(case.method)},
        "intermediates": {"made": {"tasks": ["words"]}} if case.task == "text" else {"none": None},
        "transfers": ["continue"],
        "targets": ["found" if case.task in ("text", "search") else "made"],
        "seeds": list(range(1, 1 + case.seeds)),
        "train": {"batch_size": case.batch, "max_length": 512, "steps": case.steps, "learning_rate": 1e-3},
        **case.more,
    }
    path = directory / "measured.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def write_encoder(encoder: Encoder, directory: Path) -> None:
    """Write a checkpoint with random weights, and the embedded backbone's tokenizer."""
    import torch
    import transformers

    from adapterx import places
    from adapterx.backbones import embedded
    from adapterx.backbones.checkpoint import TOKENIZER

    origin = embedded.checkpoint(places.cache() / "backbones", [TOKENIZER])
    known = json.loads((origin / TOKENIZER).read_text(encoding="utf-8"))
    library: Any = transformers  # its classes carry no types
    xl = encoder.architecture == "xlm-roberta-xl"
    config = (library.XLMRobertaXLConfig if xl else library.XLMRobertaConfig)(
        vocab_size=encoder.tokens or 1 + max(one["id"] for one in known["added_tokens"]),
        hidden_size=encoder.hidden,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        intermediate_size=4 * encoder.hidden,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    torch.manual_seed(0)
    model = (library.XLMRobertaXLModel if xl else library.XLMRobertaModel)(config, add_pooling_layer=False)
    model.save_pretrained(directory)
    shutil.copy(origin / TOKENIZER, directory / TOKENIZER)


def _words(case: Case, draw: random.Random, fewer: int = 2) -> list[str]:
    """Words of about the case's length in tokens, `fewer` of which are others."""
    length = round(case.length * draw.uniform(1 - SPREAD, 1 + SPREAD))
    return [draw.choice(WORDS) for _ in range(max(1, length - fewer))]


def _classification(case: Case, data: Path, draw: random.Random, train: int) -> dict[str, dict[str, Any]]:
    for split, count in {"train": train, "test": case.items}.items():
        lines = [f"{' '.join(_words(case, draw))}\t{draw.choice(('no', 'yes'))}\n" for _ in range(count)]
        (data / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    source = _local("tsv", {"text": 0, "label": 1}, ".tsv")
    return {"made": _task("pair-classification", ["accuracy"], source, labels=["no", "yes"])}


def _tagging(case: Case, data: Path, draw: random.Random, train: int) -> dict[str, dict[str, Any]]:
    for split, count in {"train": train, "test": case.items}.items():
        lines = ["".join(f"{word}\t{draw.choice('AB')}\n" for word in _words(case, draw)) for _ in range(count)]
        (data / f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
    source = _local("conll", {"words": 0, "tags": 1}, ".conll")
    return {"made": _task("tagging", ["accuracy"], source, labels=["A", "B"])}


def _qa(case: Case, data: Path, draw: random.Random, train: int) -> dict[str, dict[str, Any]]:
    for split, count in {"train": train, "test": case.items}.items():
        paragraphs = [_paragraph(_words(case, draw, fewer=8), f"{split}-{n}", draw) for n in range(count)]
        content = {"data": [{"title": split, "paragraphs": paragraphs}]}
        (data / f"{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return {"made": _task("extractive-qa", ["squad_f1"], _local("squad", {"id": "id"}, ".json"))}


def _paragraph(words: list[str], id: str, draw: random.Random) -> dict[str, Any]:
    start = draw.randrange(len(words) - _ANSWER)
    answer = {
        "text": " ".join(words[start : start + _ANSWER]),
        "answer_start": sum(len(word) + 1 for word in words[:start]),
    }
    question = " ".join(draw.choice(WORDS) for _ in range(4))
    return {"context": " ".join(words), "qas": [{"id": id, "question": question, "answers": [answer]}]}


def _text(case: Case, data: Path, draw: random.Random, train: int) -> dict[str, dict[str, Any]]:
    lines = [" ".join(_words(case, draw)) + "\n" for _ in range(train)]
    (data / "train.txt").write_text("".join(lines), encoding="utf-8")
    source = _local("text", {"text": "text"}, ".txt", ("train",))
    return {"words": _task("masked-lm", [], source), **_search(case, data, draw, train)}


def _search(case: Case, data: Path, draw: random.Random, train: int) -> dict[str, dict[str, Any]]:
    for side in ("queries", "candidates"):
        lines = [" ".join(_words(case, draw)) + f" {number}\n" for number in range(case.items)]
        (data / f"{side}.txt").write_text("".join(lines), encoding="utf-8")
    sides = {side: {"paths": f"data/{side}.txt", "text": 0} for side in ("queries", "candidates")}
    source = {"files": {"kind": "search", "splits": {"test": sides}}}
    return {"found": {"format": "retrieval", "metrics": ["retrieval_accuracy"], "sources": source}}


def _task(format: str, metrics: list[str], source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": format, "sources": {"local": source}, **({"metrics": metrics} if metrics else {}), **more}


def _local(
    reader: str, columns: Mapping[str, Any], end: str, splits: tuple[str, ...] = ("train", "test")
) -> dict[str, Any]:
    paths = {split: {"paths": f"data/{split}{end}"} for split in splits}
    return {"kind": "local", "reader": reader, "columns": dict(columns), "splits": paths}


_TASKS = {
    "classification": _classification,
    "tagging": _tagging,
    "qa": _qa,
    "text": _text,
    "search": _search,
}
