"""What a stage takes: trainable parameters exactly, time, memory and disk as predicted.

Time is that of what a stage computes (`adapterx.plan.counted`) at the pace of this machine, where that was measured;
memory is that of what it keeps (`adapterx.plan.kept`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.spec import Backbone
from adapterx.machine.kernels import Kernels
from adapterx.methods.base import MethodSpec
from adapterx.pace.calibration import BY_RULE, Pace
from adapterx.plan import counted as counting
from adapterx.plan import kept as keeping
from adapterx.plan.lengths import TextLengths, stated, widest
from adapterx.plan.memory import HeadSize, LoadedWith, PeakMemory, RowBytes, StageMemory
from adapterx.plan.stage import Cost, Evaluation, Training
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

LINE_BYTES = 100
"""One line of a training log, or one row of stored predictions."""
_STEPS = 1_000.0
"""Of a training whose number of steps is not known."""


@dataclass(frozen=True)
class PredictedBy:
    """What predictions rest on beside the recipe."""

    pace: Pace = BY_RULE
    """How long counted work takes."""
    kernels: Kernels = field(default_factory=lambda: Kernels.of(None))
    """Those of the device that a run computes on."""
    room: int | None = None
    """Bytes of memory that it has at all; None where nobody says."""


def adoption(info: BackboneInfo, method: MethodSpec, known: PredictedBy | None = None) -> Cost:
    """Of reading an adapter: its numbers, and no time to speak of. Neither backbone nor tokenizer is loaded."""
    numbers = method.parameters(info)
    nothing = LoadedWith(replace(info, vocabulary=0), Float32.name, (known or PredictedBy()).kernels)
    memory = StageMemory(
        nothing, TextLengths((1,)), RowBytes(), PeakMemory({"weights": 0}), cell={"the adapter": 4 * numbers}
    )
    return Cost(numbers, memory, rows=0, seconds=0.0, disk_bytes=4 * numbers)


def training(
    backbone: Backbone,
    info: BackboneInfo,
    method: MethodSpec,
    work: Training,
    examples: int | None,
    below: Sequence[MethodSpec] = (),
    library: int = 0,
    known: PredictedBy | None = None,
    kept: int = 0,
) -> Cost:
    """Cost of a training.

    Args:
        examples: those of one epoch, None where unknown.
        below: methods of the adapters that stay frozen.
        library: parameters of the adapter where a library makes it.
        kept: up to how many bytes of hidden states below the adapters are kept.
    """
    known = known or PredictedBy()
    heads = sum(head_parameters(part, info) for part in work.tasks)
    way = work.transfer
    adapter = method.parameters(info, library) if way is None else way.parameters(method, info, library)
    tokens = max(kind(part.format).tokens(part.tokens, work.train.max_length, len(part.labels)) for part in work.tasks)
    candidates = 1 if work.train.prune is None else len(work.train.candidates)
    counted = counting.training(info, method, work, examples, below, adapter, kept > 0)
    steps = counting.steps_of(work, examples)
    lowest = min(one.lowest_layer(info.layers) for one in (method, *below))
    setting = _setting(backbone, info, method, known)
    states = min(kept, int(setting.number * info.hidden * (examples or 0) * tokens)) if lowest else 0
    memory = keeping.training(
        setting,
        method,
        work,
        keeping.Parameters(adapter, heads, sum(one.parameters(info, library) for one in below)),
        widest([stated(part, work.train.max_length) for part in work.tasks]),
        _largest_head(work.tasks, info),
        steps or _STEPS,
        states,
    )
    return Cost(
        trainable_parameters=adapter + heads,
        memory=memory,
        rows=candidates * work.train.batch_size * tokens,
        seconds=None if counted is None else known.pace.seconds(backbone.load, counted.alone),
        shared_seconds=0.0 if counted is None else known.pace.seconds(backbone.load, counted.shared),
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
    below: Sequence[MethodSpec] = (),
    known: PredictedBy | None = None,
    max_length: int | None = None,
) -> Cost:
    """Cost of evaluating `items` test items over all languages, None where their number is unknown.

    Args:
        library: parameters of the adapter where a library makes it.
        texts: queries and candidates that a search reads; None where they are not known, or nothing is searched.
        below: methods of the adapters below.
        max_length: tokens of a sequence at most, where it is known.
    """
    known = known or PredictedBy()
    tokens = work.task.tokens * kind(work.task.format).sequences(len(work.task.labels))
    adapter = method.parameters(info, library)
    read = items if texts is None else texts
    counted = None if read is None else counting.evaluation(info, method, work, read, below, adapter)
    longest = max_length or (info.max_positions if work.search is None else work.search.max_length)
    memory = keeping.evaluation(
        _setting(backbone, info, method, known),
        method,
        work,
        keeping.Parameters(adapter, 0, sum(one.parameters(info, library) for one in below)),
        stated(work.task, longest),
        read or 0,
    )
    return Cost(
        trainable_parameters=0,
        memory=memory,
        rows=32 * tokens,
        seconds=None if counted is None else known.pace.seconds(backbone.load, counted.alone),
        shared_seconds=0.0 if counted is None else known.pace.seconds(backbone.load, counted.shared),
        disk_bytes=(items or 0) * LINE_BYTES,
    )


def head_parameters(part: TaskPart, info: BackboneInfo) -> int:
    """Parameters of a task's head."""
    of = kind(part.format)
    tensors = of.tensors(info.hidden, of.size(len(part.labels), info.vocabulary))
    return sum(math.prod(one.shape) for one in tensors)


def _largest_head(parts: Sequence[TaskPart], info: BackboneInfo) -> HeadSize:
    """The head with the most outputs."""

    def outputs(part: TaskPart) -> int:
        of = kind(part.format)
        return of.outputs(of.size(len(part.labels), info.vocabulary))

    widest_part = max(parts, key=outputs)
    return HeadSize(widest_part.format, outputs(widest_part))


def _setting(backbone: Backbone, info: BackboneInfo, method: MethodSpec, known: PredictedBy) -> LoadedWith:
    """What is trained itself is in float32, and multiplied in 16 bits where it is asked for."""
    mixed = method.trains_backbone and backbone.load != Float32.name
    return LoadedWith(info, Float32.name if mixed else backbone.load, known.kernels, mixed=mixed)
