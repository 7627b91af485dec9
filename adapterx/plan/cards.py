"""GPUs that a plan can suppose (`adapterx plan --gpu`): what their makers say of them, and the share that is expected.

Nothing here was measured by adapterx. The shares were fitted to a model of the kernels of one step (LoRA on queries and
values, batches of 32 sentences, bfloat16) at four sizes of XLM-R, which they repeat within 6 %: 2.1 ms for each of 16
cells at base, 6.2 at large, 38 for each of 8 at XL and 105 for each of 6 at XXL, on an H100.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapterx.backbones.precisions import precision
from adapterx.machine.gpu import Gpu
from adapterx.pace.calibration import Pace
from adapterx.pace.workload import Rates, Workload

Format: TypeAlias = Literal["bfloat16", "float32"]

PRODUCT_SHARE = 0.66
"""Of the card's peak: what products with frozen weights reach."""
ATTENTION_SHARE = 0.33
ELEMENT_BYTES: dict[Format, int] = {"bfloat16": 189, "float32": 378}
"""Bytes that norms, activations, sums, adapters and short attention move per number of a layer's hidden states."""
CALL_SECONDS = 85e-6
"""The host's time for one layer, forward or backward."""


@dataclass(frozen=True)
class Card:
    """A GPU by its data sheet."""

    name: str
    """As `--gpu` takes it."""
    title: str
    gigabytes: int
    capability: tuple[int, int]
    bfloat16: float
    """Floating-point operations per second, dense, summed in float32; `float32` without tensor cores."""
    float32: float
    bandwidth: float
    """Bytes of its memory per second."""

    @property
    def gpu(self) -> Gpu:
        """The card, empty, as a driver would describe it."""
        total = self.gigabytes * 10**9
        return Gpu(self.title, total, total, self.capability, driver="")

    def rates(self, load: str) -> Rates:
        """What is expected of it for a backbone of this precision."""
        computed = self.format(load)
        return Rates(
            calls=CALL_SECONDS,
            products=1 / (PRODUCT_SHARE * self.peak(computed)),
            attention=1 / (ATTENTION_SHARE * self.peak(computed)),
            elements=ELEMENT_BYTES[computed] / self.bandwidth,
        )

    def format(self, load: str) -> Format:
        """In which format hidden states are, and so products computed, with weights of this precision."""
        return "bfloat16" if precision(load).rest == "bfloat16" else "float32"

    def peak(self, computed: Format) -> float:
        """Floating-point operations per second at most."""
        return self.bfloat16 if computed == "bfloat16" else self.float32


CARDS = {
    card.name: card
    for card in (
        Card("l4", "L4 24 GB", 24, (8, 9), 121e12, 30.3e12, 0.30e12),
        Card("rtx-3090", "RTX 3090 24 GB", 24, (8, 6), 71e12, 35.6e12, 0.94e12),
        Card("rtx-4090", "RTX 4090 24 GB", 24, (8, 9), 165e12, 82.6e12, 1.01e12),
        Card("a100-40", "A100 40 GB", 40, (8, 0), 312e12, 19.5e12, 1.56e12),
        Card("l40s", "L40S 48 GB", 48, (8, 9), 362e12, 91.6e12, 0.86e12),
        Card("a100-80", "A100 80 GB", 80, (8, 0), 312e12, 19.5e12, 2.04e12),
        Card("h100", "H100 80 GB", 80, (9, 0), 989e12, 67e12, 3.35e12),
        Card("h200", "H200 141 GB", 141, (9, 0), 989e12, 67e12, 4.8e12),
    )
}
"""By name, smallest memory first."""


@dataclass(frozen=True)
class CardPace(Pace):
    """Times on a GPU that is supposed rather than at hand."""

    card: Card = CARDS["h100"]

    @property
    def gpu(self) -> Gpu | None:
        return self.card.gpu

    def seconds(self, precision: str, work: Workload) -> float:
        return self.card.rates(precision).seconds(work)

    def told(self, precisions: Collection[str]) -> str:
        card = self.card
        formats = sorted({card.format(load) for load in precisions})
        peaks = " and ".join(f"{card.peak(one) / 1e12:.0f} TFLOP/s in {one}" for one in formats)
        return (
            f"predicted for one {card.title}, supposing {PRODUCT_SHARE:.0%} of its {peaks} for products and its"
            f" {card.bandwidth / 1e12:.3g} TB/s for the rest"
        )
