"""What a stage keeps in memory, counted as the fused engine does it (`adapterx.plan.memory` adds it up).

Numbers of a token row that one layer keeps to pass a gradient on: what enters its two norms (2 d) and its activation
(i), and of attention queries, keys, values and outputs (4 d) with a sum for each head. The last layer computes the rows
that heads read, and keys and values of all. Adapters add what `MethodSpec.kept` says. Nothing is kept below the lowest
trained adapter. What the reference lane keeps is counted as if the fused lane did, in batches that are padded.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapterx.backbones.modules import BEHIND
from adapterx.backbones.precisions import precision
from adapterx.methods.base import MethodSpec
from adapterx.plan.lengths import TextLengths
from adapterx.plan.memory import HeadSize, LoadedWith, PeakMemory, RowBytes, StageMemory
from adapterx.plan.stage import Evaluation, Training

_STATISTICS = 2 * 2 * 4
"""Bytes of mean and deviation in both norms of a layer."""
_SEARCH_BLOCK, _SEARCH_BYTES = 1 << 26, 8
"""Scores of a search that are in memory at once (`engine.search.BLOCK`), and bytes of each while ranks are counted."""


@dataclass(frozen=True)
class Parameters:
    """Trained numbers of a cell."""

    adapter: int
    heads: int
    below: int = 0
    """Frozen ones of adapters below."""


def training(
    setting: LoadedWith,
    method: MethodSpec,
    work: Training,
    parameters: Parameters,
    lengths: TextLengths,
    head: HeadSize,
    steps: float,
    states: int = 0,
) -> StageMemory:
    """What a training takes, all its candidates where it prunes.

    Args:
        lengths: of the task with the longest examples.
        steps: how many batches it draws.
        states: bytes of the hidden states below the adapters that are kept in memory.
    """
    gpu = setting.kernels.gpu
    candidates = 1 if work.train.prune is None else len(work.train.candidates)
    return StageMemory(
        setting,
        lengths,
        row_bytes(setting, method),
        weights(setting, method),
        cell=_trained(method, parameters, gpu),
        arriving=4 * (parameters.adapter + parameters.heads),
        casts=2 * setting.info.layer_parameters if setting.halves and not method.checkpoints_layers else 0,
        shared={"hidden states below the adapters": states} if states and not gpu else {},
        head=head,
        batch=candidates * work.train.batch_size,
        trainings=candidates,
        steps=steps,
        recorded=gpu and not method.trains_backbone and not method.drops and not method.dropped_layers,
    )


def evaluation(
    setting: LoadedWith,
    method: MethodSpec,
    work: Evaluation,
    parameters: Parameters,
    lengths: TextLengths,
    read: int,
) -> StageMemory:
    """What an evaluation takes.

    Args:
        read: items, or the texts of a search.
    """
    found = PeakMemory({}) if method.trains_backbone else weights(setting, method)
    if method.trains_backbone:  # an encoder of its own, mapped from the file of the training
        found = PeakMemory({"weights": setting.joint}, 4 * setting.info.layer_parameters)
    info, search = setting.info, work.search
    block = 0 if search is None else _SEARCH_BYTES * min(_SEARCH_BLOCK, (read // 2) ** 2)
    return StageMemory(
        setting,
        lengths,
        row_bytes(setting, method),
        found,
        cell={"adapters": 4 * (parameters.below + (0 if method.trains_backbone else parameters.adapter))},
        shared={"scores of a search": block} if block else {},
        vectors=0 if search is None else 4 * read * info.hidden,
    )


def weights(setting: LoadedWith, method: MethodSpec) -> PeakMemory:
    """Frozen weights as a training of the method uses them."""
    info = setting.info
    if method.trains_backbone:
        if setting.kernels.gpu:
            return PeakMemory({"frozen weights": 4 * info.parameters})
        return PeakMemory({"weights": setting.joint})  # what is mapped is read once
    return setting.weights(_backward(method, info.layers))


def _backward(method: MethodSpec, layers: int) -> float:
    """Share of the layers' products whose input gradients are computed."""
    if not method.adapts:
        return 0.0
    return (layers - 1 - method.lowest_layer(layers) + method.gradient_share) / layers


def _trained(method: MethodSpec, parameters: Parameters, gpu: bool) -> dict[str, int]:
    """Bytes of a cell's trained numbers, all in float32 but moments of 8 bits.

    A checkpoint's copy stays until the next one takes its place, on the host.
    """
    trained = parameters.adapter + parameters.heads
    moments = 2 * parameters.adapter + 8 * parameters.heads if method.eight_bit else 8 * trained
    found = {
        "trained weights": 4 * trained,
        "gradients": 4 * trained,
        "moments": moments,
        "adapters below": 4 * parameters.below,
    }
    return found if gpu else {**found, "the checkpoint's copy": 12 * trained}


def row_bytes(setting: LoadedWith, method: MethodSpec) -> RowBytes:
    """What a step and a pass take for each token row."""
    info, number = setting.info, setting.number
    d, i = info.hidden, info.intermediate
    fused = precision(setting.load).copied_bytes(info.layer_parameters, setting.kernels) > 0
    evaluated = number * (4 * d + max(8 * d, 2 * d + (1 if fused else 2) * i))
    if not method.adapts:
        # Nothing is kept but for the head; a step goes forward as if something were.
        return RowBytes(passing=number * (2 * d + max(7 * d, 2 * i)), evaluated=evaluated)
    layer = number * (2 * d + i) + _STATISTICS
    attention = number * 4 * d + 4 * info.heads
    adapter = number * method.kept(info)
    lowest, last = method.lowest_layer(info.layers), info.layers - 1
    share = method.gradient_share
    adapted = [one for one in method.adapted(info.layers) if one < last]
    whole = max(0, last - lowest - 1)
    embedded = (
        number * d if method.trains_backbone and info.architecture == "xlm-roberta" else 0
    )  # what enters the norm of the embeddings
    row, slot = whole * layer + len(adapted) * adapter + embedded, whole * attention
    if lowest < last:  # the lowest layer keeps what lies behind its lowest adapter
        row += number * _behind(share, d, i, info.architecture == "xlm-roberta") + _STATISTICS
        slot += attention if share >= BEHIND["query"] else 0
    keys = lowest < last or share >= BEHIND["query"]
    unread = number * (2 * d + (d if adapter and share >= BEHIND["query"] else 0)) if keys else 0
    read = layer + number * 2 * d + (adapter if last in method.adapted(info.layers) else 0)
    backward = number * (2 * i + 3 * d)
    if whole == 0:
        backward = number * (2 * d + max(7 * d, 2 * i))
    if method.checkpoints_layers:
        inputs = number * d * (info.layers - lowest) + embedded
        return RowBytes(row=inputs, passing=backward + layer + attention + adapter, evaluated=evaluated)
    return RowBytes(row, slot, read, unread, backward, evaluated)


def _behind(share: float, d: int, i: int, post: bool) -> int:
    """Numbers of a row in the norms and the activation behind a layer's lowest adapter."""
    found = d if post else 0  # the norm that closes the layer
    if share >= BEHIND["intermediate"]:
        found += i
    if share >= BEHIND["attention_output"]:
        found += d
    return found
