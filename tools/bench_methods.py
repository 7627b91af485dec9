"""Every method of the fused lane against the library that has it, side by side.

The library's model trains in the reference lane: `peft` or `adapters` on Hugging Face's encoder, padded batches and
torch's AdamW in a plain loop. Both lanes take the same examples from the same start, turn about in one process; numbers
are the median time of a step over all turns, and the ratio per turn. Run `python tools/bench_methods.py` from a
checkout; results go to `reports/benchmarks/methods-<machine>.md`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tools.bench import results, shapes
from tools.bench.data import Texts, texts

BATCH, TEXTS = 32, 256


@dataclass(frozen=True)
class Case:
    """One method, how it is used, and the library that is its peer."""

    name: str
    library: str
    method: Any
    lower: tuple[Any, ...] = ()
    prefix: bool = False
    """Whether the fused lane keeps what lies below the adapters, as it does by default."""
    text: bool = False
    """Learns from masked text instead of labels."""


def cases(depth: int) -> list[Case]:
    """What the recipe calls a method, and transfers that have a forward of their own."""
    from adapterx.backbones.modules import Module
    from adapterx.methods.bottleneck.spec import Bottleneck
    from adapterx.methods.full.spec import Full
    from adapterx.methods.fusion.spec import Fusion
    from adapterx.methods.lora.spec import Lora
    from adapterx.methods.probe.spec import Probe

    six: tuple[Module, ...] = ("attention_output", "intermediate", "key", "output", "query", "value")
    one = Bottleneck()
    top = tuple(range(depth - 4, depth))
    return [
        Case("lora, query and value", "peft", Lora()),
        Case("lora, all six modules", "peft", Lora(target_modules=six)),
        Case("lora, top 4 layers, prefix kept", "peft", Lora(layers=top), prefix=True),
        Case("lora stacked on lora", "peft", Lora(), (Lora(),)),
        Case("sequential", "adapters", one),
        Case("double", "adapters", Bottleneck(placement="double")),
        Case("parallel", "adapters", Bottleneck(placement="parallel")),
        Case("sequential stacked on sequential", "adapters", one, (one,)),
        Case("AdapterFusion of two", "adapters", Fusion(members=(one, one)), (one, one)),
        Case("invertible, masked LM", "adapters", Bottleneck(invertible="nice"), text=True),
        Case("head, prefix kept", "transformers", Probe(), prefix=True),
        Case("full", "transformers", Full()),
    ]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(shapes.SHAPES), default="small")
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="turns of each lane (default 5)")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="measured steps of a turn (default 4)")
    parser.add_argument("--only", metavar="TEXT", help="cases whose name has this in it")
    parser.add_argument("--out", type=Path, default=Path("reports/benchmarks"), metavar="DIR")
    args = parser.parse_args()
    from adapterx.allocator import flush_denormals, keep
    from adapterx.backbones.packed import PackedEncoder

    keep()
    flush_denormals()
    _quiet()
    import torch

    shape = shapes.SHAPES[args.shape]
    model = shapes.encoder(shape, "cpu", torch.float32)
    packed = PackedEncoder(model)
    rows = []
    for case in cases(shape.layers):
        if args.only and args.only not in case.name:
            continue
        row = measure(case, model, packed, args.rounds, args.steps)
        rows.append(row)
        print(_line(row), flush=True)
    machine = results.machine("cpu", {"threads": torch.get_num_threads(), "gpu": None})
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"methods-{results.default_name(machine)}.md"
    path.write_text(page(rows, shape, args.rounds, args.steps, machine), encoding="utf-8")
    print(f"results: {path}")
    return 0


def measure(case: Case, model: Any, packed: Any, rounds: int, steps: int) -> dict[str, Any]:
    """Median milliseconds of a step in each lane, the ratio of every turn, and how far the losses are apart."""
    from adapterx.engine.prefix import PrefixCache
    from adapterx.engine.train import train as fused
    from adapterx.reference.train import train as reference

    prefix = PrefixCache(packed, 1 << 30) if case.prefix else None
    # Where hidden states are kept, the first epoch is the one that computes them.
    skipped = TEXTS // BATCH if case.prefix else 1
    cell = _cell(case, packed, skipped + steps)
    lanes: dict[str, Callable[[Callable[[Any], None]], Any]] = {
        "fused": lambda heard: fused(packed, [cell], observe=heard, prefix=prefix)[0],
        "library": lambda heard: reference(model, cell, observe=heard),
    }
    found: dict[str, list[float]] = {name: [] for name in lanes}
    losses: dict[str, list[float]] = {}
    for turn in range(rounds):
        for name in lanes if turn % 2 == 0 else reversed(lanes):
            times = [time.perf_counter()]

            def tick(progress: object, times: list[float] = times) -> None:
                times.append(time.perf_counter())

            outcome = lanes[name](tick)
            found[name].append(median(np.diff(times)[skipped:]))
            losses[name] = [loss for loss, _ in outcome.state.losses]
    ratios = [theirs / ours for theirs, ours in zip(found["library"], found["fused"], strict=True)]
    apart = np.max(np.abs(np.array(losses["fused"]) / np.array(losses["library"]) - 1))
    return {
        "case": case,
        "fused": 1000 * median(found["fused"]),
        "library": 1000 * median(found["library"]),
        "ratio": median(ratios),
        "range": (min(ratios), max(ratios)),
        "difference": float(apart),
    }


def _cell(case: Case, packed: Any, steps: int) -> Any:
    from adapterx.engine.bundle import shape_of
    from adapterx.engine.cell import Pool, TaskData, TrainingCell
    from adapterx.engine.masking import Vocabulary
    from adapterx.methods.head import Head
    from adapterx.methods.method import Slot, parameters
    from adapterx.methods.parameters import initial
    from adapterx.train_settings import TrainSettings

    data = _encoded(texts(1, TEXTS), case.text)
    vocabulary = None
    if case.text:
        vocabulary = Vocabulary(shapes.VOCABULARY, mask=shapes.VOCABULARY - 1, special=(0, 1, 2, 3))
    outputs = shapes.VOCABULARY if case.text else shapes.LABELS
    head = Head("task", "masked-lm" if case.text else "pair-classification", outputs)
    shape = shape_of(packed)
    return TrainingCell(
        name=case.name,
        key=case.name,
        seed=1,
        method=case.method,
        settings=TrainSettings(1e-4, BATCH, steps=steps, warmup_ratio=0.0),
        tasks=(TaskData(head, None, (Pool("en", data),), vocabulary=vocabulary),),
        probabilities=np.ones(1),
        initial=packed.weights() if case.method.trains_backbone else None,
        lower=tuple(Slot(one, initial(parameters(one, shape), 10 + at)) for at, one in enumerate(case.lower)),
    )


def _encoded(of: Texts, text: bool) -> Any:
    """Read at the start of each text; text to learn from is read where it is masked."""
    from adapterx.tasks.encoded import Encoded, offsets

    bounds = offsets(of.lengths)
    one_each = np.arange(len(of) + 1)
    reads = np.zeros_like(one_each) if text else one_each
    return Encoded(
        ids=tuple(map(str, range(len(of)))),
        tokens=np.concatenate(of.sequences),
        sequence_offsets=bounds,
        example_sequences=one_each,
        read_tokens=bounds[: reads[-1]],
        example_reads=reads,
        labels=np.array(of.labels[: reads[-1]], np.int64),
        example_labels=reads,
    )


def _quiet() -> None:
    import warnings

    warnings.filterwarnings("ignore")
    from transformers.utils import logging

    reports: Any = logging
    reports.set_verbosity_error()


def _line(row: dict[str, Any]) -> str:
    low, high = row["range"]
    return (
        f"{row['case'].name:34} {row['library']:8.0f} ms  {row['fused']:8.0f} ms  {row['ratio']:5.2f}×"
        f" ({low:.2f}–{high:.2f})  difference {row['difference']:.1e}"
    )


def page(rows: list[dict[str, Any]], shape: shapes.Shape, rounds: int, steps: int, machine: dict[str, Any]) -> str:
    """The results as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        "# Methods against their libraries",
        "",
        f"One cell alone on an encoder of {shape} with random weights, batch {BATCH}, texts of about 35 tokens (at",
        f"most 128), float32; {machine['processor']}, {machine['threads']} threads; {versions};",
        f"commit {results.commit()}. Milliseconds of a step: medians of {rounds} turns of {steps} steps, the lanes",
        "taking turns in one process. The library's model trains in the reference lane: padded batches and torch's",
        "AdamW in a plain loop. The difference is the largest between the losses, relative. The vocabulary has",
        f"{shapes.VOCABULARY} tokens: with XLM-R's 250,002 masked LM spends most of its time, in either lane, on the",
        "same product with the embeddings.",
        "",
        "| method | library | library, ms | adapterx, ms | ratio | range | difference |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        low, high = row["range"]
        lines.append(
            f"| {row['case'].name} | `{row['case'].library}` | {row['library']:.0f} | {row['fused']:.0f} |"
            f" **{row['ratio']:.2f}×** | {low:.2f}–{high:.2f} | {row['difference']:.0e} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
