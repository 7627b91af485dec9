"""What a stage computes, counted for its time: products, attention, elements and calls, as the fused engine does them.

Products are those with the frozen weights of the layers, with their input gradients down to the lowest adapter, and
those of the adapters. The last layer computes the rows that heads read, and keys and values of all; an evaluation that
reads few rows not even those. Layers below the lowest adapter count once for each example that a training draws
where their hidden states are kept.

Not counted are heads, data, evaluations on a dev set, loading, checkpoints, padding within attention, and adapters that
are left out at random. Lengths are those of a typical sequence, which a task states. Whatever the reference lane trains
is counted as if the fused lane did, which is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.base import MethodSpec
from adapterx.pace.workload import Workload
from adapterx.plan.stage import Evaluation, Training
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

PASS_ROWS = 2048
"""Token rows of one pass of an evaluation (`engine.options.ROWS` of a CPU; on a GPU calls weigh little)."""
_READS_TO_MIX = 8
"""From so many rows to a read row on, an evaluation needs no keys and values in the last layer (`mixed_context`)."""
_BACKWARD_ATTENTION = 2.5
"""Operations of attention's gradient, in those of its forward pass: scores are computed again (Dao et al. 2022)."""


@dataclass(frozen=True)
class StageWork:
    """What a stage computes."""

    shared: Workload
    """Which cells of a bundle need once for all of them."""
    own: Workload

    @property
    def alone(self) -> Workload:
        """Of the stage in a bundle of its own."""
        return self.shared + self.own


@dataclass(frozen=True)
class _Texts:
    """Sequences of one kind of task."""

    length: int
    """Tokens of a sequence."""
    read: float
    """Share of the rows that are read."""


def training(
    info: BackboneInfo,
    method: MethodSpec,
    work: Training,
    examples: int | None,
    below: Sequence[MethodSpec],
    adapter: int,
    kept: bool,
) -> StageWork | None:
    """What a training computes, all its candidates where it prunes; None where the size of its data is not known.

    Args:
        examples: those of one epoch, text beside tasks apart; None where unknown.
        below: methods of the adapters that stay frozen.
        adapter: parameters of its adapter.
        kept: whether hidden states below the adapters are kept.
    """
    steps, batch = steps_of(work, examples), work.train.batch_size
    if steps is None:
        return None
    part, tokens = max(((one, _tokens(one, work.train.max_length)) for one in work.tasks), key=lambda pair: pair[1])
    texts = _texts(part, min(part.tokens, work.train.max_length))
    drawn = any(kind(one.format).drawn for one in work.tasks)
    lowest = min(one.lowest_layer(info.layers) for one in (method, *below))
    under, over = _forward(info, texts, 0, lowest), _forward(info, texts, lowest, info.layers)
    back = _backward(info, texts, method)
    extra = kind(part.format).extra_operations(info.hidden, info.vocabulary)
    own = Workload(products=3 * over.products) if method.trains_backbone else over + back
    own += Workload(products=6 * adapter + extra)
    if method.checkpoints_layers:
        own += over
    # Kept states come from a cache from the second time on that an example is drawn.
    once = 1.0 if drawn or not kept or not examples else min(1.0, examples / max(1.0, steps * batch))
    trainings = 1.0 if work.train.prune is None else work.train.prune.trainings
    passes = info.layers - lowest + _layers_back(info, method)
    rows = steps * batch * tokens
    return StageWork(
        shared=under * (once * rows) + Workload(calls=steps * (passes + once * lowest)),
        own=(own * rows + Workload(cell_calls=steps * passes)) * trainings,
    )


def steps_of(work: Training, examples: int | None) -> float | None:
    """Steps of a training; None where they depend on the size of its data, which is not known."""
    if work.train.steps is not None:
        return work.train.steps
    if examples is None:
        return None
    return (work.train.epochs or 0) * examples / work.train.batch_size / (1 - work.text_share)


def evaluation(
    info: BackboneInfo,
    method: MethodSpec,
    work: Evaluation,
    read: int,
    below: Sequence[MethodSpec],
    adapter: int,
) -> StageWork:
    """What an evaluation computes.

    Args:
        read: items, or the texts of a search.
        below: methods of the adapters that lie below.
        adapter: parameters of the adapter.
    """
    part = work.task
    texts = _texts(part, part.tokens)
    layers = info.layers if work.search is None else work.search.layer
    lowest = layers if method.trains_backbone else min(one.lowest_layer(info.layers) for one in (method, *below))
    lowest = min(lowest, layers)
    rows = read * part.tokens * kind(part.format).sequences(len(part.labels))
    passes = -(-rows // PASS_ROWS)
    under = _forward(info, texts, 0, min(lowest, info.layers), mixes=True)
    over = _forward(info, texts, lowest, layers, mixes=True)
    if method.trains_backbone:  # each has an encoder of its own
        under, over = Workload(), under
        adapter = 0
    return StageWork(
        shared=under * rows + Workload(calls=passes * layers),
        own=(over + Workload(products=2 * adapter)) * rows + Workload(cell_calls=passes * (layers - lowest)),
    )


def _tokens(part: TaskPart, max_length: int) -> int:
    return kind(part.format).tokens(part.tokens, max_length, len(part.labels))


def _texts(part: TaskPart, length: int) -> _Texts:
    return _Texts(length, kind(part.format).read_share(length))


def _forward(info: BackboneInfo, texts: _Texts, first: int, end: int, mixes: bool = False) -> Workload:
    """Of a token row through some layers.

    Args:
        mixes: whether the last layer may do without keys and values.
    """
    whole = max(0, min(end, info.layers - 1) - first)
    found = _layer(info, texts.length) * whole
    if end == info.layers and first < end:
        found += _layer(info, texts.length) * texts.read
        if not (mixes and texts.read * _READS_TO_MIX <= 1):
            found += Workload(products=4 * info.hidden**2 * (1 - texts.read))
    return found


def _backward(info: BackboneInfo, texts: _Texts, method: MethodSpec) -> Workload:
    """Of a token row on the way back to the method's lowest adapter."""
    if not _layers_back(info, method):
        return Workload()
    lowest = method.lowest_layer(info.layers)
    # What lies behind an adapter of the last layer is computed at read rows alone.
    rows = texts.read if lowest == info.layers - 1 else 1.0
    found = _forward(info, texts, lowest + 1, info.layers) + _layer(info, texts.length) * (rows * method.gradient_share)
    return Workload(products=found.products, attention=_BACKWARD_ATTENTION * found.attention, elements=found.elements)


def _layers_back(info: BackboneInfo, method: MethodSpec) -> int:
    """Layers through which gradients flow."""
    return info.layers - method.lowest_layer(info.layers) if method.adapts else 0


def _layer(info: BackboneInfo, length: int) -> Workload:
    """Of a token row forward through one layer: its four projections and the feed-forward block, and attention."""
    wide = 4 * info.hidden**2 + 2 * info.hidden * info.intermediate
    return Workload(products=2 * wide, attention=4 * info.hidden * length, elements=info.hidden)
