"""What a card would need for recorded operations: a model of bytes, FLOP and launches, and no measurement.

Every time is the larger of the bytes at the bandwidth and the FLOP at the peak times a share, plus a gap between
kernels. The shares are assumptions, each with its source; the report prints them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import torch

from tools.gpu_cost.record import Of, Operation, Step


@dataclass(frozen=True)
class Card:
    """An NVIDIA H100 SXM by default: 989 TFLOP/s bf16 by its data sheet, of which large products reach about 80 %."""

    bandwidth: float = 2.8e12
    """Bytes a second: 3.35e12 by the data sheet, about 84 % in a copy."""
    peak: float = 790e12
    """FLOP a second of bfloat16 products, as large ones of the library reach it."""
    gap: float = 1.2e-6
    """Seconds between two kernels of a recorded step."""
    processors: int = 132
    triton: float = 0.85
    """A plain block product of Triton's, as a share of the library's (Triton's own tutorial figures: 0.8 to 0.95)."""
    attention: float = 200e12
    """FLOP a second within short blocks, which have no long inner loop: a quarter of the peak."""
    skinny: float = 0.55
    """Bandwidth that the library's products with a side of at most 32 reach, as a share."""
    tiles: float = 0.70
    """The same of the engine's kernels over tiles of 32 rows."""
    norm: float = 0.85
    """Bandwidth of layer norms, as a share."""


ASSUMED = (
    ("bandwidth", "bytes a second; 84 % of the data sheet's 3.35e12, what copies reach on this card"),
    ("peak", "bf16 FLOP a second of large library products; 80 % of the data sheet's 989e12"),
    ("gap", "seconds between kernels of a recorded step; launches one by one would cost more"),
    ("processors", "thread blocks of 128 × 256 that run at once; the last wave of a product is counted as it fills"),
    ("triton", "speed of a plain Triton block product as a share of the library's: not measured, the least sure"),
    ("attention", "FLOP a second in blocks of up to 128, a quarter of the peak: not measured"),
    ("skinny", "share of the bandwidth in library products with a side up to 32"),
    ("tiles", "share of the bandwidth in the engine's kernels over tiles of 32 rows: not measured"),
    ("norm", "share of the bandwidth in layer norms"),
)


@dataclass
class Cost:
    """Of operations added up."""

    kernels: int = 0
    flop: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0

    def add(self, other: Cost) -> None:
        """Add those of another."""
        self.kernels += other.kernels
        self.flop += other.flop
        self.bytes += other.bytes
        self.seconds += other.seconds


@dataclass
class Costs:
    """Of a step, in all and by class."""

    total: Cost = field(default_factory=Cost)
    classes: dict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))


def costs(step: Step, card: Card) -> Costs:
    """What a step costs."""
    found = Costs()
    for operation in step.operations:
        name, cost = _cost(operation, step, card)
        found.total.add(cost)
        found.classes[name].add(cost)
    return found


_KINDS = {
    "native_layer_norm": "layer norm",
    "native_layer_norm_backward": "layer norm",
    "gelu": "GELU",
    "gelu_backward": "GELU",
    "cat": "cat, stack",
    "stack": "cat, stack",
    "add": "additions",
    "add_": "additions",
    "_to_copy": "casts, copies",
    "copy_": "casts, copies",
    "clone": "casts, copies",
}


def _cost(operation: Operation, step: Step, card: Card) -> tuple[str, Cost]:
    if operation.own:
        return _own(operation, step, card)
    if operation.name in ("addmm", "addmm_", "mm", "bmm", "baddbmm", "baddbmm_", "_grouped_mm"):
        return _product(operation, card)
    if operation.name.startswith("varlen"):
        return _varlen(operation, step, card)
    moved = sum(one.bytes for one in (*operation.inputs, *operation.outputs))
    if operation.name in ("embedding", "index_select", "index_add", "index_add_", "index_copy", "index_copy_"):
        moved = 2 * sum(one.bytes for one in operation.outputs)
    name = _KINDS.get(operation.name, "other pointwise")
    share = card.norm if name == "layer norm" else 1.0
    if operation.stage == "update":
        name = "optimiser"
    return name, _moved(moved, share, card)


def _moved(bytes_: float, share: float, card: Card, flop: float = 0.0, rate: float = math.inf) -> Cost:
    seconds = max(bytes_ / (card.bandwidth * share), flop / rate)
    return Cost(1, flop, bytes_, seconds + card.gap)


def _product(operation: Operation, card: Card) -> tuple[str, Cost]:
    """A library's product, from its last two matrices."""
    first, second = [one for one in operation.inputs if len(one.shape) >= 2][-2:]
    many = first.shape[0] if len(first.shape) == 3 else 1
    rows, inner, columns = first.shape[-2], first.shape[-1], second.shape[-1]
    flop = 2.0 * many * rows * inner * columns
    moved = first.dtype.itemsize * many * (rows * inner + inner * columns + rows * columns)
    if operation.name.startswith("baddbmm"):  # what it is added to is read, and a broadcast one written out first
        moved += operation.outputs[0].bytes * (1 if operation.name.endswith("_") else 2)
    if first.dtype == torch.float32:
        return "heads", _moved(moved, 1.0, card, flop, 45e12)
    if min(rows, inner, columns) <= 32:
        return "adapters", _moved(moved, card.skinny, card)
    name = "frozen products" if many == 1 else "adapters"
    return name, _moved(moved, 1.0, card, flop, card.peak * _filled(many, rows, columns, inner, card))


def _filled(many: int, rows: int, columns: int, inner: int, card: Card) -> float:
    """Share of the peak: 0.9 where the inner sum is long, less for its ends and for a last wave that is not full."""
    waves = many * math.ceil(rows / 128) * math.ceil(columns / 256) / card.processors
    return 0.9 * inner / (inner + 200) * min(1.0, waves / math.ceil(waves))


def _varlen(operation: Operation, step: Step, card: Card) -> tuple[str, Cost]:
    """FlashAttention-2 over sequences of any length: tiles of 128 × 128 (heads up to 64) whatever is in them."""
    heads, width = operation.inputs[0].shape[1:]
    padded = 32 * math.ceil(width / 32)
    flop = step.sequences * heads * 128.0 * 128 * padded * 4
    moved = sum(one.bytes for one in (*operation.inputs, *operation.outputs))
    if operation.name == "varlen_forward":
        return "attention", Cost(2, flop, moved, flop / 330e12 + 2 * card.gap)
    # Queries' gradients are cleared and added up in float32.
    extra = step.sequences * heads * 128.0 * padded * 4 * (1 / 2.4e12 + 2 / 2.0e12)
    return "attention", Cost(4, 2.5 * flop, moved, 2.5 * flop / 280e12 + extra + 4 * card.gap)


def _own(operation: Operation, step: Step, card: Card) -> tuple[str, Cost]:
    """A kernel of the engine's own, by the tensors that it reads and writes."""
    name, tensors, constants = operation.name, operation.inputs, operation.constants
    if name.startswith("attention"):
        return "attention", _attention(operation, step, card)
    if name.startswith("norm"):
        passes = {
            "norm_forward": 2 + constants.get("HAS_RESIDUAL", 0) + constants.get("KEEPS", 0),
            "norm_backward": 3 + constants.get("HAS_SECOND", 0) + constants.get("HAS_PAST", 0),
        }[name]
        return "layer norm", _moved(passes * tensors[0].bytes, card.norm, card)
    if name == "masked_rows":
        return "dropout", _moved(2 * tensors[0].bytes, 1.0, card)
    if name == "gelu_product":
        return "frozen products", _gelu(operation, card)
    if name in ("square_sums", "judge", "adamw_rows"):
        moved = {"square_sums": tensors[0].bytes, "judge": tensors[0].bytes, "adamw_rows": 7 * tensors[0].bytes}[name]
        return "optimiser", _moved(moved, 1.0, card)
    return "adapters", _moved(_tiles(operation), card.tiles, card)


def _attention(operation: Operation, step: Step, card: Card) -> Cost:
    """One bucket's programs: rows of its sequences once each, and products in whole blocks."""
    query, key = operation.inputs[:2]
    block_q, block_k = operation.constants["BLOCK_Q"], operation.constants["BLOCK_K"]
    ((sequences, tokens),) = [(count, tokens) for block, count, tokens in step.buckets if block == block_k]
    width, every = query.shape[1], query.shape[0] == key.shape[0]
    asked = tokens if every else min(tokens, query.shape[0] * sequences // max(1, step.sequences))
    backward = operation.name == "attention_backward"
    # Forward q, k, v and the output; on the way back the output's gradient and three more.
    passes = (3, 4) if backward else (2, 2)
    moved = query.dtype.itemsize * width * (passes[0] * asked + passes[1] * tokens)
    flop = sequences * width * block_q * block_k * (10.0 if backward else 4.0)
    return _moved(moved, 1.0, card, flop, card.attention)


def _gelu(operation: Operation, card: Card) -> Cost:
    inputs, weight, _, wide, out = operation.inputs[:5]
    (rows, inner), columns = inputs.shape, out.shape[1]
    flop = 2.0 * rows * inner * columns
    more = wide.bytes if operation.constants["KEEPS"] else 0
    moved = inputs.bytes + weight.bytes + out.bytes + more
    return _moved(moved, 1.0, card, flop, card.triton * card.peak * _filled(1, rows, columns, inner, card))


def _tiles(operation: Operation) -> float:
    """Bytes of the kernels over tiles."""
    tensors, modules = operation.inputs, int(operation.constants.get("MODULES", 1))
    if operation.name == "rows_product":
        inputs, weight, _, base, out = tensors[:5]
        again = -(-out.shape[1] // int(operation.constants["BLOCK_OUT"]))  # blocks of outputs that read the same inputs
        return (
            inputs.bytes * min(again, 2)
            + weight.bytes
            + out.bytes
            + (base.bytes if operation.constants["HAS_BASE"] else 0)
        )
    if operation.name == "weight_gradient":
        return sum(one.bytes for one in tensors[:3])
    low = _bytes_of(tensors, operation.name)
    a, b = low.a.bytes * modules, low.b.bytes * modules
    columns = low.rows * low.b.shape[1] * low.size * modules
    if operation.name == "lora_forward":
        return low.inputs + 2 * columns + low.low + a + b
    if operation.name == "lora_backward":
        writes = int(operation.constants["WRITES"]) * (1 + int(operation.constants["ADDS"]))
        return columns + low.low + writes * low.inputs + a + b
    return low.inputs + columns + 2 * low.low + a + b


@dataclass(frozen=True)
class _Lora:
    rows: int
    size: int
    inputs: float
    low: float
    a: Of
    b: Of


def _bytes_of(tensors: tuple[Of, ...], name: str) -> _Lora:
    """Sizes of a LoRA kernel's tensors, by where each kernel has them."""
    low, first = {"lora_forward": (2, 3), "lora_backward": (1, 3), "lora_gradients": (2, 4)}[name]
    a, b = tensors[first], tensors[first + 3]
    rows, size = tensors[0].shape[0], tensors[0].dtype.itemsize
    return _Lora(rows, size, rows * a.shape[2] * size, tensors[low].bytes, a, b)
