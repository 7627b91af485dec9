"""Which backbone fits in which precision, with how many cells, by the plan's own memory estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import PRECISIONS
from adapterx.backbones.precisions.base import Precision
from adapterx.backbones.spec import Backbone
from adapterx.machine.gpu import Gpu
from adapterx.machine.kernels import Kernels
from adapterx.methods.lora.spec import Lora
from adapterx.plan import Capacity, Cost, Training, cost
from adapterx.recipe import Sampling
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings

SIZES = {
    "XLM-R base": BackboneInfo("xlm-r-base", "xlm-roberta", 768, 12, 12, 3072, 250_002, 512),
    "XLM-R large": BackboneInfo("xlm-r-large", "xlm-roberta", 1024, 24, 16, 4096, 250_002, 512),
    "XLM-R XL": BackboneInfo("xlm-r-xl", "xlm-roberta-xl", 2560, 36, 32, 10_240, 250_880, 512),
    "XLM-R XXL": BackboneInfo("xlm-r-xxl", "xlm-roberta-xl", 4096, 48, 32, 16_384, 250_880, 512),
}
"""The sizes of XLM-R (Conneau et al. 2020; Goyal et al. 2021), of which 512 of 514 positions can be read."""
BATCH, LENGTH = 32, 128
METHOD = Lora(rank=8, target_modules=("query", "value"))


@dataclass(frozen=True)
class Fits:
    """How many cells train at once."""

    memory: int
    """Bytes that a bundle may take."""
    cells: Mapping[str, Mapping[str, int]]
    """By backbone and precision; 0 where not even one fits, or the precision does not run."""


def fits(capacity: Capacity, gpu: Gpu | None = None) -> Fits:
    """How many cells of LoRA (rank 8 on query and value, batches of 32 sequences of 128 tokens) the memory holds.

    Args:
        capacity: its memory alone counts: a run puts fewer into one bundle where more would gain nothing.
        gpu: the one that torch computes on; a precision that needs a better one does not run.
    """
    memory, known = capacity.memory or 0, cost.PredictedBy(kernels=Kernels.of(gpu))

    def cells(info: BackboneInfo, one: Precision) -> int:
        runs = one.capability == (0, 0) or (gpu is not None and gpu.at_least(*one.capability))
        return _cells(_price(info, one.name, known), memory) if runs else 0

    table = {size: {one.name: cells(info, one) for one in PRECISIONS.values()} for size, info in SIZES.items()}
    return Fits(memory, table)


def _price(info: BackboneInfo, precision: str, known: cost.PredictedBy) -> Cost:
    settings = TrainSettings(1e-4, BATCH, steps=1, max_length=LENGTH)
    part = TaskPart("task", "pair-classification", ("a", "b", "c"), "none", ("en",), "", LENGTH)
    work = Training((part,), Sampling(), settings, 1, None)
    return cost.training(Backbone(model=info.key, load=precision), info, METHOD, work, examples=None, known=known)


def _cells(price: Cost, memory: int) -> int:
    """The most cells that fit; what each adds is nearly the same."""
    if price.memory_bytes > memory:
        return 0
    found = 1 + (memory - price.memory_bytes) // price.own_bytes
    while found > 1 and price.memory.of(found).needed > memory:
        found -= 1
    return found
