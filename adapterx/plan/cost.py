"""What a stage takes: trainable parameters exactly, memory, time and disk by stated rules of thumb.

Time counts the floating-point operations of one stage trained alone, all its candidates where it prunes, without
their evaluations on the dev set; sharing a pass in a bundle makes it less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import precision
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import STATE_BYTES, MethodSpec
from adapterx.plan.stage import Cost, Evaluation, Training
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

FLOPS = 100e9
"""Floating-point operations per second behind the times: two laptop cores. Divide by 500 for a data-centre GPU."""
REORDERED_BYTES = 4 << 30
"""Frozen layers up to this size have copies in another order, one per direction (`backbones.products`)."""
LINE_BYTES = 100
"""One line of a training log, or one row of stored predictions."""


def training(
    backbone: Backbone,
    info: BackboneInfo,
    method: MethodSpec,
    work: Training,
    examples: int | None,
    below: Sequence[MethodSpec] = (),
    library: int = 0,
) -> Cost:
    """Cost of a training.

    Args:
        examples: those of one epoch, None where unknown.
        below: methods of the adapters that stay frozen.
        library: parameters of the adapter where a library makes it.
    """
    heads = sum(head_parameters(part, info) for part in work.tasks)
    way = work.transfer
    adapter = method.parameters(info, library) if way is None else way.parameters(method, info, library)
    lower = 4 * sum(one.parameters(info, library) for one in below)
    tokens = max(kind(part.format).tokens(part.tokens, work.train.max_length, len(part.labels)) for part in work.tasks)
    batch = work.train.batch_size * tokens
    steps: float | None = work.train.steps
    if steps is None and examples is not None:
        steps = (work.train.epochs or 0) * examples / work.train.batch_size
    candidates, trainings = 1, 1.0
    if work.train.prune is not None:
        candidates, trainings = len(work.train.candidates), work.train.prune.trainings
    # Per token, forward and backward through the frozen layers (2 + 2), none backward below the lowest adapter, and
    # three passes over what is trained. What a prefix cache spares is not counted.
    adapted = info.layers - min(one.lowest_layer(info.layers) for one in (method, *below))
    through = 2 * info.layer_parameters * (info.layers + adapted) // info.layers
    operations = 6 * info.layer_parameters if method.trains_backbone else through + 6 * adapter
    activations = batch * _activations(info, backbone) * adapted
    if method.checkpoints_layers:
        # What enters each layer, and what one layer keeps.
        activations = batch * (4 * info.hidden * info.layers + _activations(info, backbone))
    for name in {part.format for part in work.tasks}:
        more_operations, more_activations = kind(name).extra_cost(info.hidden, info.vocabulary, batch)
        operations, activations = operations + more_operations, activations + more_activations
    return Cost(
        trainable_parameters=adapter + heads,
        shared_bytes=_weights(backbone, info),
        own_bytes=candidates * (activations + method.state_bytes * adapter + STATE_BYTES * heads + lower),
        rows=candidates * batch,
        seconds=None if steps is None else trainings * steps * batch * operations / FLOPS,
        disk_bytes=4 * (adapter + heads) + int((steps or 0) * LINE_BYTES),
    )


def evaluation(
    backbone: Backbone,
    info: BackboneInfo,
    method: MethodSpec,
    work: Evaluation,
    items: int | None,
    library: int = 0,
    texts: int | None = None,
) -> Cost:
    """Cost of evaluating `items` test items over all languages, None where their number is unknown.

    Args:
        library: parameters of the adapter where a library makes it.
        texts: queries and candidates that a search reads; None where they are not known, or nothing is searched.
    """
    tokens = work.task.tokens * kind(work.task.format).sequences(len(work.task.labels))
    adapter = method.parameters(info, library)
    operations = 2 * info.layer_parameters + (0 if method.trains_backbone else 2 * adapter)
    read = items if texts is None else texts
    # A search has the vectors of all its texts in memory; those of several cells only as far as they fit.
    vectors = 0 if work.search is None else 4 * (read or 0) * info.hidden
    return Cost(
        trainable_parameters=0,
        shared_bytes=_weights(backbone, info) + 32 * tokens * _activations(info, backbone) + vectors,
        own_bytes=4 * adapter,
        rows=32 * tokens,
        seconds=None if read is None else read * tokens * operations / FLOPS,
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
