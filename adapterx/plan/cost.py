"""What a stage takes: trainable parameters exactly, memory, time and disk by stated rules of thumb.

Time counts the floating-point operations of one stage trained alone, all its candidates where it prunes, without
their looks at the dev set; sharing a pass in a bundle makes it less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.libraries import Adapters, Peft
from adapterx.methods.spec import Bottleneck, Full, Head, Lora, Method, adapted_layers, lowest_layer
from adapterx.plan.stage import Cost, Evaluation, Training
from adapterx.recipe import Fuse
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

FLOPS = 100e9
"""Floating-point operations per second behind the times: two laptop cores. Divide by 500 for a data-centre GPU."""
STATE_BYTES = 16
"""Per trainable parameter: value, gradient and AdamW's two moments, in float32."""
FULL_BYTES = 32
"""The same of full fine-tuning, measured at its peak: also the gradients as they come, and a copy for the result."""
REORDERED_BYTES = 4 << 30
"""Frozen layers up to this size have copies in another order, one per direction (`backbones.products`)."""
LINE_BYTES = 100
"""One line of a training log, or one row of stored predictions."""


def training(
    backbone: Backbone,
    info: BackboneInfo,
    method: Method,
    work: Training,
    examples: int | None,
    below: Sequence[Method] = (),
    library: int = 0,
) -> Cost:
    """Cost of a training.

    Args:
        examples: those of one epoch, None where unknown.
        below: methods of the adapters that stay frozen.
        library: parameters of the adapter where a library makes it.
    """
    heads = sum(head_parameters(part, info) for part in work.tasks)
    adapter = adapter_parameters(method, info, library)
    lower = 4 * sum(adapter_parameters(one, info, library) for one in below)
    if isinstance(work.combination, Fuse) and isinstance(method, Bottleneck):
        adapter = fusion_parameters(method, work.combination.value_rank, info)
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
    adapted = info.layers - min(lowest_layer(one, info.layers) for one in (method, *below))
    through = 2 * _layer_parameters(info) * (info.layers + adapted) // info.layers
    operations = 6 * _layer_parameters(info) if isinstance(method, Full) else through + 6 * adapter
    activations = batch * _activations(info, backbone) * adapted
    state = STATE_BYTES
    if isinstance(method, Full):
        state = FULL_BYTES - (6 if method.optimizer == "adamw_8bit" else 0)
        if method.gradient_checkpointing:
            # What enters each layer, and what one layer keeps.
            activations = batch * (4 * info.hidden * info.layers + _activations(info, backbone))
    for name in {part.format for part in work.tasks}:
        more_operations, more_activations = kind(name).extra_cost(info.hidden, info.vocabulary, batch)
        operations, activations = operations + more_operations, activations + more_activations
    return Cost(
        trainable_parameters=adapter + heads,
        shared_bytes=_weights(backbone, info),
        own_bytes=candidates * (activations + state * adapter + STATE_BYTES * heads + lower),
        rows=candidates * batch,
        seconds=None if steps is None else trainings * steps * batch * operations / FLOPS,
        disk_bytes=4 * (adapter + heads) + int((steps or 0) * LINE_BYTES),
    )


def evaluation(
    backbone: Backbone,
    info: BackboneInfo,
    method: Method,
    work: Evaluation,
    items: int | None,
    library: int = 0,
    texts: int | None = None,
) -> Cost:
    """Cost of evaluating `items` test items over all languages, None where their number is unknown.

    Args:
        library: as of `adapter_parameters`.
        texts: queries and candidates that a search reads; None where they are not known, or nothing is searched.
    """
    tokens = work.task.tokens * kind(work.task.format).sequences(len(work.task.labels))
    adapter = adapter_parameters(method, info, library)
    whole = isinstance(method, Full)
    operations = 2 * _layer_parameters(info) + (0 if whole else 2 * adapter)
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


def adapter_parameters(method: Method, info: BackboneInfo, library: int = 0) -> int:
    """Trainable parameters of one adapter, exactly as `peft` and `adapters` count them; of `full`, of the encoder.

    Args:
        library: the answer where a library makes the adapter.
    """
    if isinstance(method, Peft | Adapters):
        return library
    if isinstance(method, Full):
        return encoder_parameters(info)
    if isinstance(method, Head):
        return 0
    hidden, layers = info.hidden, len(adapted_layers(method.layers, info.layers))
    if isinstance(method, Lora):
        wide = hidden + info.intermediate
        sizes = {"intermediate": wide, "output": wide}
        return layers * method.rank * sum(sizes.get(module, 2 * hidden) for module in method.target_modules)
    inside = bottleneck_width(method, hidden)
    places = 2 if method.placement == "double" else 1
    own = layers * places * (2 * hidden * inside + inside + hidden)
    return own + (0 if method.invertible is None else invertible_parameters(hidden))


def fusion_parameters(method: Bottleneck, value_rank: int | None, info: BackboneInfo) -> int:
    """Trainable parameters of an AdapterFusion: query and key with biases, and the value, at every place."""
    d, places = info.hidden, 2 if method.placement == "double" else 1
    value = d * d if value_rank is None else 2 * d * value_rank
    return len(adapted_layers(method.layers, info.layers)) * places * (2 * d * (d + 1) + value)


def invertible_parameters(hidden: int) -> int:
    """Trainable parameters of an invertible adapter: a bottleneck of half its input's width for each half of a row."""
    first, second = hidden // 2, hidden - hidden // 2
    return sum(i // 2 * (i + 1) + o * (i // 2 + 1) for i, o in ((second, first), (first, second)))


def encoder_parameters(info: BackboneInfo) -> int:
    """All of the encoder: embeddings of tokens, positions (two more than it can read) and one type, layers, a norm."""
    return (info.vocabulary + info.max_positions + 3) * info.hidden + _layer_parameters(info) + 2 * info.hidden


def bottleneck_width(method: Bottleneck, hidden: int) -> int:
    """Features inside the bottleneck, at least 1."""
    return method.width or max(1, int(hidden // method.reduction_factor))


def head_parameters(part: TaskPart, info: BackboneInfo) -> int:
    """Parameters of a task's head."""
    of = kind(part.format)
    tensors = of.tensors(info.hidden, of.size(len(part.labels), info.vocabulary))
    return sum(math.prod(one.shape) for one in tensors)


def _layer_parameters(info: BackboneInfo) -> int:
    """Weights of the encoder layers, which every token passes."""
    per_layer = 4 * info.hidden * (info.hidden + 1) + 2 * info.hidden * info.intermediate + info.intermediate
    return info.layers * (per_layer + 5 * info.hidden)


def _weights(backbone: Backbone, info: BackboneInfo) -> int:
    """Bytes of the frozen weights; in float32 with the reordered copies of the layers' that a CPU keeps."""
    embeddings, layers = (info.vocabulary + info.max_positions + 3) * info.hidden, _layer_parameters(info)
    if backbone.load == "bfloat16":
        return 2 * (embeddings + layers)
    copies = 2 if 4 * layers <= REORDERED_BYTES else 0
    return 4 * (embeddings + (1 + copies) * layers)


def _activations(info: BackboneInfo, backbone: Backbone) -> int:
    """Bytes kept per token and layer for the backward pass: the inputs of its products and norms."""
    return (2 if backbone.load == "bfloat16" else 4) * (10 * info.hidden + 2 * info.intermediate)
