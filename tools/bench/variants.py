"""What is measured, who takes part, and what is asked of the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from adapterx.machine import kernels

Library = Literal["adapterx", "peft", "adapters"]
Batches = Literal["dynamic", "grouped", "padded"]

PEFT, HUB = "Trainer + peft", "AdapterTrainer"

Planned = Callable[[int], int]
"""From a batch size to the cells that the planner bundles on the device at hand."""


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
    load: str = ""
    """The precision of the backbone; by default bfloat16 on a GPU, float32 on a CPU."""
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


def fused(*cells: int, prefix: bool = False, side: tuple[int, ...] = ()) -> list[Contender]:
    """adapterx with so many cells in a step; those in `side` are measured in fewer rounds."""
    kept = ", prefix kept" if prefix else ""
    return [Contender(f"adapterx, {n} cell{'s' * (n > 1)}{kept}", "adapterx", n, prefix, side=n in side) for n in cells]


def loaded(load: str, cells: int) -> Contender:
    """adapterx over a backbone in a precision."""
    (plain,) = fused(cells)
    return replace(plain, name=f"{plain.name}, {load}", load=load)


PLAIN = Contender(PEFT, "peft")
PRECISE = tuple(Contender(f"{PEFT}, {load}", "peft", load=load) for load in ("bfloat16", "int8", "nf4"))
"""Autocast over float32 weights, and what `load_in_8bit` and `load_in_4bit` make of them."""
GROUPED = Contender(f"{PEFT}, grouped by length", "peft", batches="grouped")
PADDED = Contender(f"{PEFT}, padded to 128", "peft", batches="padded", side=True)
DROPOUT = Contender(f"{PEFT}, default dropout 0.1", "peft", dropout=0.1, side=True)
PURE = Contender(f"{PEFT}, all in bf16", "peft", autocast=False, side=True)
FOUR = Contender(f"{PEFT}, 4 processes at once", "peft", processes=4, side=True)
ADAPTERS = Contender(HUB, "adapters")


def variants(device: str, shapes: list[str], planned: Planned, quick: bool = False) -> list[Variant]:
    """Everything that is measured on a device."""
    return [variant for shape in shapes for variant in (_quick(shape) if quick else _variants(device, shape, planned))]


def _variants(device: str, shape: str, planned: Planned) -> list[Variant]:
    cpu = device == "cpu"
    top = {"large": 6, "xl": 9}.get(shape, 4)
    found = [
        Variant(f"{shape}/train/32/all", "train", shape, tuple(_all_layers(cpu, shape, 32, planned))),
        Variant(f"{shape}/train/32/top{top}", "train", shape, tuple(_top(cpu, shape)), layers=top, texts=_kept(cpu)),
    ]
    if shape in ("small", "base"):
        found += [
            Variant(f"{shape}/train/32/top2", "train", shape, tuple(_top(cpu, shape)), layers=2, texts=_kept(cpu)),
            Variant(f"{shape}/train/8/all", "train", shape, tuple(_all_layers(cpu, shape, 8, planned)), 8),
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
    if shape == "base" and cpu:
        found += _precisions(shape)
    if shape != "xl":
        found += _evaluations(shape, top, (4, 8) if cpu else (256, 256))
    return found


def _kept(cpu: bool) -> int:
    """Texts of a pool whose prefix is kept: the first epoch, which fills the cache, is the warm-up."""
    return 256 if cpu else 1024


def _all_layers(cpu: bool, shape: str, batch: int, planned: Planned) -> list[Contender]:
    beside = [PADDED, DROPOUT] if batch == 32 and shape != "xl" else []
    if cpu:
        # A CPU step of 16 × 32 texts at base width takes a minute and 10 GB, and tells nothing that 16 × 8 does not.
        cells = {1, 4, planned(batch)} | (set() if shape == "base" and batch == 32 else {16})
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


def _precisions(shape: str) -> list[Variant]:
    """The same work over weights of fewer bits, against the peer as it comes and in the same precision."""
    loads = ("bfloat16", "int8-rows", "int8", "nf4")
    train = (*fused(1), *(loaded(load, 1) for load in loads), PLAIN, *PRECISE)
    evaluate = (*fused(16), *(loaded(load, 16) for load in loads), PLAIN, *PRECISE)
    return [
        Variant(f"{shape}/train/32/precisions", "train", shape, train),
        Variant(f"{shape}/evaluate/precisions", "evaluate", shape, evaluate, texts=4),
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


def claims(device: str, planned: Planned) -> list[Claim]:
    """What has to be reached on this device."""
    at_32, at_8 = (fused(planned(batch))[0].name for batch in (32, 8))
    if device == "cuda":
        return [
            Claim("base, batch 32", "base/train/32/all", at_32, 12.0),
            Claim("large, batch 32", "large/train/32/all", at_32, 7.0),
            Claim("XL, batch 32", "xl/train/32/all", "adapterx, 4 cells", 2.2),
        ]
    rounded = [
        Claim("base, all layers, batch 32, bfloat16", "base/train/32/precisions", "adapterx, 1 cell, bfloat16", 10.0),
        Claim(
            "base, evaluation of 16 cells, all layers, int8-rows",
            "base/evaluate/precisions",
            "adapterx, 16 cells, int8-rows",
            9.0,
        ),
    ]
    return [
        *(rounded if kernels.multiplies_bfloat16() else []),
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
