"""What a stage takes: trainable parameters exactly, memory, time and disk by stated rules of thumb.

Time counts the floating-point operations of one stage trained alone, all its candidates where it prunes, without
their looks at the dev set; sharing a pass in a bundle makes it less.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import STATE_BYTES, MethodSpec
from adapterx.plan.stage import Cost, Evaluation, Training
from adapterx.tasks.facts import TaskPart

FLOPS = 100e9
"""Floating-point operations per second behind the times: two laptop cores. Divide by 500 for a data-centre GPU."""
REORDERED_BYTES = 4 << 30
"""Frozen layers up to this size have copies in another order, one per direction (`backbones.products`)."""
_GUESSED, _GUESSES = 0.15, 256
"""Tokens guessed in masked language modelling, of all tokens, and at once."""
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
    tokens = max(_tokens(part, work.train.max_length) for part in work.tasks)
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
    if any(part.format == "masked-lm" for part in work.tasks):
        # Guesses are compared with every token of the vocabulary: there and back, a block of them at a time.
        operations += int(_GUESSED * 4 * info.hidden * info.vocabulary)
        activations += int(min(_GUESSES, _GUESSED * batch) * 12 * info.vocabulary)
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
    tokens = work.task.tokens * _sequences(work.task)
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
    """Parameters of a task's head: a dense layer and an output layer, or the output layer alone for tagging and QA.

    Of masked language modelling, a dense layer, a norm and a bias per token.
    """
    hidden = info.hidden
    if part.format == "masked-lm":
        return hidden * (hidden + 1) + 2 * hidden + info.vocabulary
    dense = 0 if part.format in ("tagging", "extractive-qa") else hidden * hidden + hidden
    outputs = {"multiple-choice": 1, "extractive-qa": 2}.get(part.format, len(part.labels))
    return dense + hidden * outputs + outputs


def _tokens(part: TaskPart, max_length: int) -> int:
    """Tokens of a typical example: of its sequences, or of the windows that its passage takes."""
    if part.format == "extractive-qa":
        # Windows begin a third of a sequence apart, at most 128 tokens.
        beyond = max(0, part.tokens - max_length)
        return min(max_length, part.tokens) * (1 + -(-beyond // min(128, max_length // 3)))
    return min(max_length, part.tokens) * _sequences(part)


def _sequences(part: TaskPart) -> int:
    """Sequences per example: one per choice."""
    return max(2, len(part.labels)) if part.format == "multiple-choice" else 1


def _weights(backbone: Backbone, info: BackboneInfo) -> int:
    """Bytes of the frozen weights; in float32 with the reordered copies of the layers' that a CPU keeps."""
    embeddings, layers = info.embedding_parameters, info.layer_parameters
    if backbone.load == "bfloat16":
        return 2 * (embeddings + layers)
    copies = 2 if 4 * layers <= REORDERED_BYTES else 0
    return 4 * (embeddings + (1 + copies) * layers)


def _activations(info: BackboneInfo, backbone: Backbone) -> int:
    """Bytes kept per token and layer for the backward pass: the inputs of its products and norms."""
    return (2 if backbone.load == "bfloat16" else 4) * (10 * info.hidden + 2 * info.intermediate)
