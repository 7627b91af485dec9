"""What is measured, who takes part, and what is asked of the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tools.bench.data import MEAN

Library = Literal["adapterx", "peft", "adapters"]
Batches = Literal["dynamic", "grouped", "padded"]

PEFT, HUB = "Trainer + peft", "AdapterTrainer"
PLANNED_ROWS, PLANNED_CELLS = {"cpu": 1024, "cuda": 32768}, 16
"""What the planner puts in one bundle: at most so many token rows and cells. Equal to the numbers in
`adapterx.engine.options`."""


@dataclass(frozen=True)
class Contender:
    """One way to do a variant's work, in a process of its own."""

    name: str
    library: Library
    cells: int = 1
    """Cells that share a step or a sweep; a peer does one after another, so its rate for many is that of one."""
    prefix: bool = False
    """Whether the hidden states below the lowest adapter are kept."""
    batches: Batches = "dynamic"
    """Of a peer: padded to the batch's longest text, so with texts of like length together, or padded to the limit."""
    dropout: float = 0.0
    """The backbone's own in training. Hugging Face leaves it on at 0.1; with 0 the work and the losses are the same."""
    autocast: bool = True
    """On a GPU: adapters in fp32 under autocast; otherwise everything, adapters too, is bf16."""
    processes: int = 1
    """So many copies work at the same time."""
    side: bool = False
    """Shown beside the rest and measured in fewer rounds."""


@dataclass(frozen=True)
class Variant:
    """One piece of work that all contenders do."""

    name: str
    work: Literal["train", "evaluate"]
    shape: str
    contenders: tuple[Contender, ...]
    batch: int = 32
    method: Literal["lora", "bottleneck"] = "lora"
    layers: int | None = None
    """Adapters in the top so many layers; in all where None."""
    texts: int = 2048
    """Of a training cell's pool, or of one evaluation language."""
    shared: bool = False
    """Whether the cells of a bundle see the same batches, as those do that differ in what they start from."""
    languages: int = 15
    """Of an evaluation."""
    baseline: str = PEFT
    """The contender whose rate is 1."""

    @property
    def title(self) -> str:
        """One line for people."""
        where = "all layers" if self.layers is None else f"top {self.layers} layers"
        method = "LoRA r = 8 on query and value" if self.method == "lora" else "seq_bn bottlenecks"
        if self.work == "evaluate":
            cells = max(contender.cells for contender in self.contenders)
            return f"{self.shape}: evaluation of {cells} cells × {self.languages} languages, {method}, {where}"
        shared = ", cells on the same batches" if self.shared else ""
        peer = ", against AdapterTrainer" if self.baseline == HUB else ""
        return f"{self.shape}: training, batch {self.batch}, {method}, {where}{shared}{peer}"


@dataclass(frozen=True)
class Claim:
    """A ratio that has to be reached."""

    what: str
    variant: str
    contender: str
    asked: float


def planned(device: str, batch: int) -> int:
    """Cells that the planner bundles for texts of the mean length, where memory suffices."""
    return max(1, min(PLANNED_CELLS, PLANNED_ROWS[device] // int(batch * MEAN)))


def fused(*cells: int, prefix: bool = False, side: tuple[int, ...] = ()) -> list[Contender]:
    """adapterx with so many cells in a step; those in `side` are measured in fewer rounds."""
    kept = ", prefix kept" if prefix else ""
    return [Contender(f"adapterx, {n} cell{'s' * (n > 1)}{kept}", "adapterx", n, prefix, side=n in side) for n in cells]


PLAIN = Contender(PEFT, "peft")
GROUPED = Contender(f"{PEFT}, grouped by length", "peft", batches="grouped")
PADDED = Contender(f"{PEFT}, padded to 128", "peft", batches="padded", side=True)
DROPOUT = Contender(f"{PEFT}, default dropout 0.1", "peft", dropout=0.1, side=True)
PURE = Contender(f"{PEFT}, all in bf16", "peft", autocast=False, side=True)
FOUR = Contender(f"{PEFT}, 4 processes at once", "peft", processes=4, side=True)
ADAPTERS = Contender(HUB, "adapters")


def variants(device: str, shapes: list[str], quick: bool = False) -> list[Variant]:
    """Everything that is measured on a device."""
    return [variant for shape in shapes for variant in (_quick(shape) if quick else _variants(device, shape))]


def _variants(device: str, shape: str) -> list[Variant]:
    cpu = device == "cpu"
    top = {"large": 6, "xl": 9}.get(shape, 4)
    found = [
        Variant(f"{shape}/train/32/all", "train", shape, tuple(_all_layers(cpu, shape, 32))),
        Variant(f"{shape}/train/32/top{top}", "train", shape, tuple(_top(cpu, shape)), layers=top, texts=_kept(cpu)),
    ]
    if shape in ("small", "base"):
        found += [
            Variant(f"{shape}/train/32/top2", "train", shape, tuple(_top(cpu, shape)), layers=2, texts=_kept(cpu)),
            Variant(f"{shape}/train/8/all", "train", shape, tuple(_all_layers(cpu, shape, 8)), 8),
            Variant(
                f"{shape}/train/8/seq_bn",
                "train",
                shape,
                (*fused(1, 4), ADAPTERS),
                batch=8,
                method="bottleneck",
                baseline=HUB,
            ),
        ]
    if shape == "base":
        found += [
            Variant(f"{shape}/train/8/lora-hub", "train", shape, (*fused(1), ADAPTERS), batch=8, baseline=HUB),
            Variant(f"{shape}/train/8/top4", "train", shape, tuple(_top(cpu, shape)), 8, layers=4, texts=_kept(cpu)),
            Variant(
                f"{shape}/train/8/top4/shared",
                "train",
                shape,
                (*fused(4, 16), *fused(16, prefix=True), PLAIN),
                batch=8,
                layers=4,
                texts=_kept(cpu),
                shared=True,
            ),
        ]
    if shape != "xl":
        found += _evaluations(shape, top, (4, 8) if cpu else (256, 256))
    return found


def _kept(cpu: bool) -> int:
    """Texts of a pool whose prefix is kept: the first epoch, which fills the cache, is the warm-up."""
    return 256 if cpu else 1024


def _all_layers(cpu: bool, shape: str, batch: int) -> list[Contender]:
    beside = [PADDED, DROPOUT] if batch == 32 and shape != "xl" else []
    if cpu:
        # A CPU step of 16 × 32 texts at base width takes a minute and 10 GB, and tells nothing that 16 × 8 does not.
        cells = {1, 4, planned("cpu", batch)} | (set() if shape == "base" and batch == 32 else {16})
        return [*fused(*sorted(cells), side=(16,)), PLAIN, GROUPED, *beside]
    many = {"xl": (1, 4), "base": (1, 4, 16, 32)}.get(shape, (1, 4, 16))
    return [*fused(*many), PLAIN, GROUPED, *beside, *([] if shape == "xl" else [PURE, FOUR])]


def _top(cpu: bool, shape: str) -> list[Contender]:
    if cpu:
        return [*fused(1, side=(1,)), *fused(1, 4, prefix=True), PLAIN, GROUPED]
    cells = (1, 4) if shape == "xl" else (1, 16)
    return [*fused(cells[-1], side=(16,)), *fused(*cells, prefix=True), PLAIN, GROUPED]


def _evaluations(shape: str, top: int, texts: tuple[int, int]) -> list[Variant]:
    contenders = (*fused(16), PLAIN, GROUPED)
    return [
        Variant(f"{shape}/evaluate/all", "evaluate", shape, contenders, texts=texts[0]),
        Variant(f"{shape}/evaluate/top{top}", "evaluate", shape, contenders, layers=top, texts=texts[1]),
    ]


def _quick(shape: str) -> list[Variant]:
    """A look at every kind of work, to see that everything runs; its ratios mean nothing."""
    return [
        Variant(f"{shape}/train/8/all", "train", shape, (*fused(1, 4), PLAIN, GROUPED, PADDED, DROPOUT), 8, texts=64),
        Variant(
            f"{shape}/train/8/top2",
            "train",
            shape,
            (*fused(1), *fused(1, 4, prefix=True), PLAIN),
            batch=8,
            layers=2,
            texts=64,
            shared=True,
        ),
        Variant(
            f"{shape}/train/8/seq_bn",
            "train",
            shape,
            (*fused(2), ADAPTERS),
            batch=8,
            method="bottleneck",
            texts=64,
            baseline=HUB,
        ),
        Variant(f"{shape}/train/8/lora-hub", "train", shape, (*fused(1), ADAPTERS), 8, texts=64, baseline=HUB),
        Variant(f"{shape}/evaluate/top2", "evaluate", shape, (*fused(3), PLAIN, GROUPED), layers=2, texts=2),
    ]


def claims(device: str) -> list[Claim]:
    """What has to be reached on this device."""
    at_32, at_8 = (fused(planned(device, batch))[0].name for batch in (32, 8))
    if device == "cuda":
        return [
            Claim("base, batch 32", "base/train/32/all", at_32, 12.0),
            Claim("large, batch 32", "large/train/32/all", at_32, 7.0),
            Claim("XL, batch 32", "xl/train/32/all", "adapterx, 4 cells", 2.2),
        ]
    return [
        Claim("base, all layers, batch 32, per step", "base/train/32/all", "adapterx, 1 cell", 2.5),
        Claim(
            "base, top 4 layers, batch 32, per epoch after the first",
            "base/train/32/top4",
            "adapterx, 1 cell, prefix kept",
            6.5,
        ),
        Claim(
            "base, top 2 layers, batch 32, per epoch after the first",
            "base/train/32/top2",
            "adapterx, 1 cell, prefix kept",
            15.0,
        ),
        Claim("base, evaluation of 16 cells, all layers", "base/evaluate/all", "adapterx, 16 cells", 2.5),
        Claim("base, evaluation of 16 cells, top 4 layers", "base/evaluate/top4", "adapterx, 16 cells", 8.0),
        Claim("12 × 384, all layers, batch 32, as planned", "small/train/32/all", at_32, 2.3),
        Claim("12 × 384, all layers, batch 8, as planned", "small/train/8/all", at_8, 1.9),
    ]
