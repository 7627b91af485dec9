"""The work of a case, done under fake CUDA tensors by the engine itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions import precision
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.predict import TrainedCell, embed, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.head import Head
from adapterx.methods.method import Slot, parameters
from adapterx.methods.pooling import Pooling
from adapterx.tasks.encoded import Encoded
from tests.cells import cell
from tests.cuda.cases import LAYERS, TASKS, Case
from tests.cuda.planted import PLANTED
from tests.cuda.rules import Log
from tests.engine.questions import answerer
from tests.engine.texts import reader
from tests.models import _MODELS, config, without_dropout

STEPS = ("first", "recorded", "replayed", "again")
"""What the steps of a training are to a recording: one batch comes again and again."""
CELLS = 4
PASS_ROWS = 200
"""Token rows of a pass of an evaluation: several passes."""


def work(case: Case, log: Log, planted: str = "") -> dict[str, Any]:
    """Do the work of a case; what it says of itself.

    Args:
        planted: the name of a fault to plant in a training.
    """
    return {"train": _train, "predict": _predict, "embed": _embed}[case.work](case, log, planted)


def _model(case: Case, hidden: int = 64, layers: int = LAYERS) -> PreTrainedModel:
    """An encoder on the device, its layers stored as the precision stores them."""
    number = precision(case.precision)
    floating = number.rest if not case.spec.trains_backbone else "float32"
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, floating))
    try:
        with torch.device("cuda"):
            model = _MODELS[case.architecture](config(case.architecture, hidden, layers), add_pooling_layer=False)
    finally:
        torch.set_default_dtype(before)
    stored = number.layer()
    encoder = model.get_submodule("encoder")
    for path, layer in list(encoder.named_modules()):
        if stored is not None and isinstance(layer, nn.Linear):
            encoder.set_submodule(path, stored(layer.weight.detach().float(), layer.bias.detach()))
    model.requires_grad_(False)
    return without_dropout(model)


def _encoder(case: Case, log: Log, **sizes: int) -> PackedEncoder:
    log.stage = "load"
    mixed = case.spec.trains_backbone and precision(case.precision).rest == "bfloat16"
    with patch.object(PackedEncoder, "_computing", _computing):
        return PackedEncoder(_model(case, **sizes), mixed=mixed)


def _computing(encoder: PackedEncoder, norm: nn.LayerNorm) -> nn.LayerNorm:
    """A norm in the format of hidden states: fake parameters cannot always be swapped, as `Module.to` does it."""
    if norm.weight.dtype == encoder.dtype or not encoder._frozen:
        return norm
    other = nn.LayerNorm(norm.normalized_shape, norm.eps, device="cuda", dtype=encoder.dtype)
    return other.requires_grad_(False)


def _cells(case: Case, encoder: PackedEncoder, count: int = CELLS) -> list[TrainingCell]:
    """Cells of a case, two and two on the same batches."""
    count = 1 if case.spec.trains_backbone else count
    made = [_cell(case, 1 + at // 2, 1e-2 * (1 + at)) for at in range(count)]
    if isinstance(case.spec, Fusion):
        shape = shape_of(encoder)
        lower = tuple(
            Slot(one, {tensor.name: torch.randn(tensor.shape) for tensor in parameters(one, shape)})
            for one in case.spec.members
        )
        made = [replace(one, lower=lower) for one in made]
    if case.spec.trains_backbone:
        made = [replace(one, initial=encoder.weights()) for one in made]
    return made


def _cell(case: Case, seed: int, rate: float) -> TrainingCell:
    kind = TASKS[case.task]
    settings: dict[str, Any] = {"seed": seed, "learning_rate": rate, "steps": 20}
    if kind == "extractive-qa":
        return answerer(case.spec, **settings)
    if kind == "masked-lm":
        return reader(case.spec, **settings)
    if kind != "regression":
        return cell(case.spec, format_=kind, **settings)
    one = cell(case.spec, **settings)
    (task,) = one.tasks
    train, dev = (tuple(_scored(pool) for pool in part) for part in (task.train, task.dev))
    return replace(one, tasks=(TaskData(Head("task", kind, 0), None, train, dev),))


def _scored(pool: Pool) -> Pool:
    """A pool whose labels are numbers, which stand there by their bits."""
    scores = pool.data.labels.astype(np.float64).view(np.int64)
    return replace(pool, data=replace(pool.data, labels=scores))


def _train(case: Case, log: Log, planted: str) -> dict[str, Any]:
    encoder = _encoder(case, log)
    cells = _cells(case, encoder)
    log.stage = "start"
    kept = PrefixCache(encoder, 10**9) if case.kept else None
    states = [CellState.start(one, shape_of(encoder)) for one in cells]
    bundle = Bundle(encoder, cells, states, Options(workers=0), kept)
    batches = bundle._batches
    bundle.loader._make = lambda number: batches(0)  # one shape: first launched, then recorded, then replayed
    outlived = []
    with _tagged(bundle), PLANTED[planted](bundle) if planted else nullcontext():
        for stage in STEPS:
            log.stage = stage
            bundle.step()
            outlived.append(_outlives(bundle))
    log.stage = "book"
    bundle.book()
    log.stage = "state"
    bundle.state(0)
    captured = bundle._captured
    return {
        "recorded": log.recorded,
        "replayed": log.replayed,
        "records": captured is not None,
        "refused": captured is not None and captured._refused,
        "aligned": bundle.aligned,
        "spans": bundle.encoder.spans,
        "outlived": any(outlived),
        "format": str(bundle.encoder.dtype),
    }


_MARK = "of an earlier step"


def _leaves(bundle: Bundle) -> list[Tensor]:
    optimisers = (bundle.trained.adapter, *(group.optimiser for group in bundle.trained.heads))
    return [leaf for one in optimisers for leaf in one.bank.views.values()]


@contextmanager
def _tagged(bundle: Bundle) -> Iterator[None]:
    """Mark the nodes that gather the gradients of each step's leaves."""
    take = bundle.trained.take_gradients

    def taken(losses: Tensor, add: bool) -> None:
        for leaf in _leaves(bundle):
            _metadata(leaf)[_MARK] = True
        take(losses, add)

    with patch.object(bundle.trained, "take_gradients", taken):
        yield


def _outlives(bundle: Bundle) -> bool:
    """Whether a node that gathers gradients (AccumulateGrad) outlived the step that made it.

    It belongs to the stream it was made on, and would draw that stream into a recording on another.
    """
    return any(_MARK in _metadata(leaf) for leaf in _leaves(bundle))


def _metadata(leaf: Tensor) -> dict[str, bool]:
    """Notes at the node that gathers a leaf's gradient."""
    node: Any = torch.autograd.graph.get_gradient_edge(leaf).node
    return cast(dict[str, bool], node.metadata)


@dataclass(frozen=True)
class _Trained:
    """What an evaluation reads."""

    encoder: PackedEncoder
    cell: TrainedCell
    task: TaskData

    @property
    def pools(self) -> list[Encoded]:
        return [pool.data for pool in self.task.dev or self.task.train]


def _trained(case: Case, log: Log) -> _Trained:
    encoder = _encoder(case, log)
    (one, *_) = _cells(case, encoder, 1)
    bundle = Bundle(encoder, [one], [CellState.start(one, shape_of(encoder))], Options(workers=0))
    from adapterx.engine.bundle import as_trained

    return _Trained(encoder, as_trained(one, bundle.state(0), bundle.shape), one.tasks[0])


def _predict(case: Case, log: Log, planted: str) -> dict[str, Any]:
    found = _trained(case, log)
    kept = PrefixCache(found.encoder, 10**9) if case.kept else None
    return _evaluated(
        log,
        kept,
        lambda hear: predict(
            found.encoder, [(found.cell, found.task.head)] * 2, found.pools, kept, PASS_ROWS, observe=hear
        ),
    )


def _embed(case: Case, log: Log, planted: str) -> dict[str, Any]:
    found = _trained(case, log)
    kept = PrefixCache(found.encoder, 10**9) if case.kept else None
    poolings = [Pooling(2), Pooling(1, "cls", special_tokens=False)]
    pools = [_whole(pool) for pool in found.pools]
    return _evaluated(
        log, kept, lambda hear: embed(found.encoder, [(found.cell, poolings)], pools, kept, PASS_ROWS, observe=hear)
    )


def _whole(data: Encoded) -> Encoded:
    """A pool of which every token is read."""
    return replace(
        data,
        read_tokens=np.arange(len(data.tokens)),
        example_reads=data.sequence_offsets[data.example_sequences],
    )


def _evaluated(log: Log, kept: PrefixCache | None, sweep: Any) -> dict[str, Any]:
    """Sweep once, or twice where the first time fills what is kept; counts the passes of the last."""
    passes = 0

    def hear(examples: int, rows: int) -> None:
        nonlocal passes
        passes += 1

    if kept is not None:
        log.stage = "filling"
        sweep(lambda examples, rows: None)
    log.stage = "passes"
    sweep(hear)
    return {"passes": passes}
