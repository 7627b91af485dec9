"""Everything the benchmark asks of adapterx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tools.bench import shapes
from tools.bench.data import MEAN, Texts, languages, pool
from tools.bench.session import Job, Session
from tools.bench.variants import Variant

STEPS = 100_000
"""Length of every training: measured is the beginning of one, so that the rate of learning hardly falls."""
LEARNING_RATE = 1e-3
SEED = 1
PREFIX_BYTES = 32 << 30
RECORDED = 100
"""Steps after which a GPU has recorded nearly all shapes of batches that are replayed in the rounds that follow: with
20 of them two or three recordings fell into what was timed."""


def planned(device: str, batch: int) -> int:
    """Cells that the planner bundles for texts of the mean length, where memory suffices."""
    from adapterx.engine.options import BUNDLE_CELLS, BUNDLE_ROWS

    return max(1, min(BUNDLE_CELLS[device], BUNDLE_ROWS[device] // int(batch * MEAN)))


def method(variant: Variant) -> Any:
    """The variant's adapters: the same numbers as in `peers`."""
    from adapterx.methods.bottleneck.spec import Bottleneck
    from adapterx.methods.lora.spec import Lora

    depth = shapes.SHAPES[variant.shape].layers
    layers: str | tuple[int, ...] = "all" if variant.layers is None else tuple(range(depth - variant.layers, depth))
    if variant.method == "lora":
        return Lora(rank=8, alpha=16.0, target_modules=("query", "value"), layers=layers)
    return Bottleneck(placement="sequential", reduction_factor=16.0, activation="relu", layers=layers)


def adapter_tensors(variant: Variant, seed: int) -> dict[str, Any]:
    """The adapter that a cell of this seed starts from: not from zero, so that every part of it shows in the losses."""
    import torch

    from adapterx.methods.method import parameters
    from adapterx.methods.parameters import initial

    fresh = initial(parameters(method(variant), _widths(variant)), seed)
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tensor + 0.04 * torch.randn(tensor.shape, generator=generator) for name, tensor in sorted(fresh.items())
    }


def head_tensors(variant: Variant, seed: int) -> dict[str, Any]:
    """dense.weight, dense.bias, output.weight and output.bias of a cell's head at its start."""
    from adapterx.methods.parameters import initial

    head = _head()
    found = initial(head.parameters(shapes.SHAPES[variant.shape].hidden), seed)
    return {name.removeprefix(head.prefix): tensor for name, tensor in found.items()}


def batches(variant: Variant, seed: int) -> Iterator[list[int]]:
    """The examples of step after step of a cell of this seed."""
    from adapterx.tasks.sampling import Sampler

    sampler = Sampler([variant.texts], [1.0], variant.batch, seed)
    for step in range(STEPS):
        yield [example for _, example in sampler.batch(step)]


def work(job: Job, session: Session) -> None:
    """Be the contender `adapterx` of a variant until the session ends."""
    import torch

    from adapterx.backbones.packed import PackedEncoder

    dtype = torch.bfloat16 if job.device == "cuda" else torch.float32
    model = shapes.encoder(shapes.SHAPES[job.variant.shape], job.device, dtype)
    encoder = PackedEncoder(shapes.stored(model, job.contender.load) if job.contender.load else model)
    if job.variant.work == "train":
        _train(encoder, job, session)
    else:
        _evaluate(encoder, job, session)


def _train(encoder: Any, job: Job, session: Session) -> None:
    from adapterx.engine.bundle import Bundle, shape_of
    from adapterx.engine.prefix import PrefixCache
    from adapterx.engine.state import CellState

    variant, cells = job.variant, _cells(job)
    prefix = PrefixCache(encoder, PREFIX_BYTES) if job.contender.prefix else None
    bundle = Bundle(encoder, cells, [CellState.start(cell, shape_of(encoder)) for cell in cells], prefix=prefix)
    session.ready(warm_up(variant, prefix is not None, job.device))
    tokens = 0
    try:
        while count := session.wait():
            losses: list[list[float]] = []
            for step in range(count):
                bundle.step()
                if bundle.ahead >= bundle.lag or step == count - 1:
                    losses += bundle.book()
            session.stop()
            before, tokens = tokens, sum(state.tokens for state in bundle.states)
            session.done(count * variant.batch * len(cells), tokens - before, [line[0] for line in losses])
    finally:
        bundle.close()


def warm_up(variant: Variant, prefix: bool, device: str) -> int | None:
    """Steps before the first that is typical; None where a few do.

    Where hidden states are kept, the first epoch is the one that computes them.
    """
    steps = max(-(-variant.texts // variant.batch) if prefix else 0, RECORDED if device == "cuda" else 0)
    return steps or None


def _cells(job: Job) -> list[Any]:
    from adapterx.engine.cell import Pool, TaskData, TrainingCell
    from adapterx.tasks.metrics import Accuracy
    from adapterx.tasks.sampling import pool_probabilities
    from adapterx.train_settings import TrainSettings

    variant = job.variant
    settings = TrainSettings(LEARNING_RATE, variant.batch, steps=STEPS, warmup_ratio=0.0)
    own = [_encoded(pool(cell, variant.texts, variant.shared)) for cell in range(1 if variant.shared else job.cells)]
    return [
        TrainingCell(
            name=f"cell {cell}",
            key=f"cell {cell}",
            # The seed decides the order of the texts; cells that share them differ in what they start from.
            seed=SEED + (0 if variant.shared else cell),
            method=method(variant),
            settings=settings,
            tasks=(TaskData(_head(), Accuracy(), (Pool("en", own[cell % len(own)]),)),),
            probabilities=pool_probabilities([variant.texts]),
            initial=adapter_tensors(variant, SEED + cell),
        )
        for cell in range(job.cells)
    ]


def _evaluate(encoder: Any, job: Job, session: Session) -> None:
    from adapterx.engine.predict import TrainedCell, predict
    from adapterx.methods.method import Slot

    variant, head = job.variant, _head()
    cells = []
    for seed in range(SEED, SEED + job.cells):
        tensors = {f"{head.prefix}{name}": tensor for name, tensor in head_tensors(variant, seed).items()}
        cells.append((TrainedCell((Slot(method(variant), adapter_tensors(variant, seed)),), tensors), head))
    texts = languages(variant.languages, variant.texts)
    pools = [_encoded(part) for part in texts]
    tokens = job.cells * sum(sum(part.lengths) for part in texts)
    session.ready()
    while count := session.wait():
        for _ in range(count):
            found = predict(encoder, cells, pools)
        session.stop()
        scores = [float(value) for example in found[0][0][:8] for value in example.reshape(-1)]
        session.done(count * job.cells * variant.languages * variant.texts, count * tokens, scores)


def _encoded(texts: Texts) -> Any:
    """The texts as the engine takes them: every one a sequence read at its first token."""
    from adapterx.tasks.encoded import Encoded, offsets

    ones: Sequence[int] = [1] * len(texts)
    at = offsets(texts.lengths)
    return Encoded(
        ids=tuple(f"item{number}" for number in range(len(texts))),
        tokens=np.concatenate(texts.sequences),
        sequence_offsets=at,
        example_sequences=offsets(list(ones)),
        read_tokens=at[:-1].copy(),
        example_reads=offsets(list(ones)),
        labels=np.array(texts.labels, dtype=np.int64),
        example_labels=offsets(list(ones)),
    )


def _head() -> Any:
    from adapterx.methods.head import Head

    return Head("nli", "pair-classification", shapes.LABELS)


def _widths(variant: Variant) -> Any:
    from adapterx.backbones.shape import Shape

    shape = shapes.SHAPES[variant.shape]
    return Shape(shape.layers, shape.hidden, shape.intermediate)
