"""What a stage takes: trainable parameters exactly, memory, time and disk by stated rules of thumb.

Time is that of what a stage computes (`adapterx.plan.counted`) at the pace of this machine, where that was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import precision
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import STATE_BYTES, MethodSpec
from adapterx.pace.calibration import BY_RULE, Pace
from adapterx.plan import counted as counting
from adapterx.plan.stage import Cost, Evaluation, Training
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

REORDERED_BYTES = 4 << 30
"""Frozen layers up to this size have copies in another order, one per direction (`backbones.products`)."""
LINE_BYTES = 100
"""One line of a training log, or one row of stored predictions."""


def adoption(info: BackboneInfo, method: MethodSpec) -> Cost:
    """Of reading an adapter: its numbers, and no time to speak of."""
    numbers = method.parameters(info)
    return Cost(numbers, 0, 4 * numbers, 0, 0.0, 4 * numbers)


def training(
    backbone: Backbone,
    info: BackboneInfo,
    method: MethodSpec,
    work: Training,
    examples: int | None,
    below: Sequence[MethodSpec] = (),
    library: int = 0,
    pace: Pace = BY_RULE,
    kept: bool = True,
) -> Cost:
    """Cost of a training.

    Args:
        examples: those of one epoch, None where unknown.
        below: methods of the adapters that stay frozen.
        library: parameters of the adapter where a library makes it.
        kept: whether hidden states below the adapters are kept.
    """
    heads = sum(head_parameters(part, info) for part in work.tasks)
    way = work.transfer
    adapter = method.parameters(info, library) if way is None else way.parameters(method, info, library)
    lower = 4 * sum(one.parameters(info, library) for one in below)
    tokens = max(kind(part.format).tokens(part.tokens, work.train.max_length, len(part.labels)) for part in work.tasks)
    batch = work.train.batch_size * tokens
    candidates = 1 if work.train.prune is None else len(work.train.candidates)
    adapted = info.layers - min(one.lowest_layer(info.layers) for one in (method, *below))
    activations = batch * _activations(info, backbone) * adapted
    if method.checkpoints_layers:
        # What enters each layer, and what one layer keeps.
        activations = batch * (4 * info.hidden * info.layers + _activations(info, backbone))
    for name in {part.format for part in work.tasks}:
        _, more_activations = kind(name).extra_cost(info.hidden, info.vocabulary, batch)
        activations += more_activations
    counted = counting.training(info, method, work, examples, below, adapter, kept)
    return Cost(
        trainable_parameters=adapter + heads,
        shared_bytes=_weights(backbone, info),
        own_bytes=candidates * (activations + method.state_bytes * adapter + STATE_BYTES * heads + lower),
        rows=candidates * batch,
        seconds=None if counted is None else pace.seconds(backbone.load, counted.alone),
        shared_seconds=0.0 if counted is None else pace.seconds(backbone.load, counted.shared),
        disk_bytes=4 * (adapter + heads) + int((counting.steps_of(work, examples) or 0) * LINE_BYTES),
    )


def evaluation(
    backbone: Backbone,
    info: BackboneInfo,
    method: MethodSpec,
    work: Evaluation,
    items: int | None,
    library: int = 0,
    texts: int | None = None,
    below: Sequence[MethodSpec] = (),
    pace: Pace = BY_RULE,
) -> Cost:
    """Cost of evaluating `items` test items over all languages, None where their number is unknown.

    Args:
        library: parameters of the adapter where a library makes it.
        texts: queries and candidates that a search reads; None where they are not known, or nothing is searched.
        below: methods of the adapters below.
    """
    tokens = work.task.tokens * kind(work.task.format).sequences(len(work.task.labels))
    adapter = method.parameters(info, library)
    read = items if texts is None else texts
    counted = None if read is None else counting.evaluation(info, method, work, read, below, adapter)
    # A search has the vectors of all its texts in memory; those of several cells only as far as they fit.
    vectors = 0 if work.search is None else 4 * (read or 0) * info.hidden
    return Cost(
        trainable_parameters=0,
        shared_bytes=_weights(backbone, info) + 32 * tokens * _activations(info, backbone) + vectors,
        own_bytes=4 * adapter,
        rows=32 * tokens,
        seconds=None if counted is None else pace.seconds(backbone.load, counted.alone),
        shared_seconds=0.0 if counted is None else pace.seconds(backbone.load, counted.shared),
        disk_bytes=(items or 0) * LINE_BYTES,
    )


def head_parameters(part: TaskPart, info: BackboneInfo) -> int:
    """Parameters of a task's head."""
    of = kind(part.format)
    tensors = of.tensors(info.hidden, of.size(len(part.labels), info.vocabulary))
    return sum(math.prod(one.shape) for one in tensors)


def _weights(backbone: Backbone, info: BackboneInfo) -> int:
    """Bytes of the frozen weights, with the copies of the layers' that a CPU keeps."""
    of = precision(backbone.load)
    return of.weights(info.embedding_parameters, info.layer_parameters, REORDERED_BYTES)


def _activations(info: BackboneInfo, backbone: Backbone) -> int:
    """Bytes kept per token and layer for the backward pass: the inputs of its products and norms."""
    return precision(backbone.load).rest_bytes * (10 * info.hidden + 2 * info.intermediate)
