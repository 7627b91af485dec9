"""A bundle: cells of one structure that take their steps together, in one pass over the frozen encoder."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from adapterx.allocator import hand_back, large_apart
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.shape import Shape
from adapterx.engine import coupled, heads
from adapterx.engine.batches import Batch, cut, placed, weighed
from adapterx.engine.capture import CapturedSteps
from adapterx.engine.cell import TrainingCell
from adapterx.engine.collate import collate
from adapterx.engine.loader import Loader
from adapterx.engine.longest import Longest
from adapterx.engine.optimiser import RowAdamW, Step
from adapterx.engine.options import Options
from adapterx.engine.predict import TrainedCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.state import CellState, head_parameters
from adapterx.engine.trained_rows import TrainedRows
from adapterx.engine.ways import counts_masks, dropped, for_kernels
from adapterx.faults import is_out_of_memory
from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed
from adapterx.methods.method import Slot, adapters, lowest_layer, parameters
from adapterx.methods.parameters import unflatten
from adapterx.methods.rows import CellDropout
from adapterx.stopping import shielded

logger = logging.getLogger(__name__)

_HAND_BACK = 8192
"""Token rows after which a CPU's heap is handed back: batches of ever new sizes leave holes in it, which would add up.
Getting a gibibyte anew was measured to take half a second of one core; so many rows of the smallest
encoder take about fifteen."""


def shape_of(encoder: PackedEncoder) -> Shape:
    """The widths of a loaded backbone."""
    weights = tuple((name, tuple(tensor.shape)) for name, tensor in encoder.weights().items())
    return Shape(len(encoder.layers), encoder.hidden, int(encoder.config.intermediate_size), weights)


class Bundle:
    """K cells over one encoder. Rebuilt from their states whenever a cell joins or leaves.

    Args:
        encoder: the frozen backbone that all of them share.
        cells: the same methods in the same slots for all; data, tasks, rates, seeds and lengths are their own.
        states: where each of them stands. The bundle moves the numbers; `book` and `state` bring them up to date.
        options: how it is worked off.
        prefix: hidden states below the adapters, kept.
        parts: into how many parts each cell's batch is cut; doubled where memory does not suffice.
    """

    def __init__(
        self,
        encoder: PackedEncoder,
        cells: Sequence[TrainingCell],
        states: Sequence[CellState],
        options: Options | None = None,
        prefix: PrefixCache | None = None,
        parts: int = 1,
    ) -> None:
        self.cells = tuple(cells)
        self.states = tuple(states)
        self.parts = parts
        self.options = options = options or Options()
        self.shape, device = shape_of(encoder), encoder.device
        shape = self.shape
        method = cells[0].method
        ways = "cuda" if choice.emulating() else device.type
        self.aligned = options.aligned_on(ways)
        self.lag = options.lag_on(ways)
        self.trained = TrainedRows(cells, states, shape, device)
        self.backbone = encoder
        self.encoder = _own(encoder, cells, self.trained.adapter) if method.trains_backbone else encoder
        self._lower = [_stacked(slots, device) for slots in zip(*(cell.lower for cell in cells), strict=True)]
        slots = [*self._lower, Slot(method, self.trained.adapter.bank.views)]
        self.depth = lowest_layer(slots, shape.layers)
        # What is masked differs from step to step, so nothing below the adapters comes again.
        masks = any(task.vocabulary is not None for cell in cells for task in cell.tasks)
        self.given_prefix = prefix
        self.prefix = prefix if self.depth and not masks else None
        places = dropped(method, shape.layers)
        self.dropout = CellDropout(method.drops, [cell.seed for cell in cells], method.dropped_layers, places)
        self.adapters = adapters(slots, self.dropout)
        self.rows: tuple[int, ...] = (0,) * len(cells)
        """Token rows of each cell in the steps that `book` last booked."""
        self._ahead: list[_Taken] = []
        self._fragmented = 0
        """Token rows since the heap was last handed back."""
        # Masks keyed by numbers of the host would be repeated by a recording.
        random = method.dropped_layers > 0 or (method.drops > 0.0 and not counts_masks(method, device))
        # Of weights that are trained themselves autograd keeps nodes on the stream they were made on.
        recordable = not random and not method.eight_bit and not method.trains_backbone
        replays = options.graphs and self.aligned and encoder.spans and encoder.recordable and recordable
        replays = replays and not choice.emulating()
        self._captured = CapturedSteps(self._compute, self.trained.alive) if replays else None
        self._longest = Longest.of(cells) if replays else None
        self._drawing = threading.Lock()
        self._start_loader()

    @property
    def ahead(self) -> int:
        """Steps taken since the last `book`."""
        return len(self._ahead)

    def step(self) -> None:
        """Take the next step of every cell; `book` tells how it went.

        A cell whose loss or gradient is not finite keeps its weights from then on. Where memory does not suffice, the
        batches are computed in more and smaller parts, to the same effect; the error is raised when a part is down to
        one example of each cell.
        """
        step = self._next()
        # A recording updates on the device as it is replayed. Else parameters stay as they are until the update.
        with shielded() if self._captured is not None else nullcontext(), self._sparing():
            batches, losses, taken = self._attempt(step)
            examples, tokens = (_summed(getattr(batch, name) for batch in batches) for name in ("examples", "tokens"))
            with shielded():
                if not taken:
                    # Outside of what is tried again: half of an update may be done when memory runs out.
                    self.trained.update(losses, step)
                self._ahead.append(_Taken(step, losses, self.trained.alive.clone(), examples, tokens))

    def book(self) -> list[list[float]]:
        """Bring the states' counters up to date; returns the losses of each step since the last time.

        The loss of a cell is NaN from the step on whose loss or gradient was not finite; it does not count any more.
        """
        with shielded():
            return self._booked() if self._ahead else []

    def _booked(self) -> list[list[float]]:
        nan = torch.tensor(math.nan, device=self.encoder.device)
        losses = torch.stack([torch.where(taken.alive, taken.losses, nan) for taken in self._ahead]).tolist()
        for line, taken in zip(losses, self._ahead, strict=True):
            for cell, state in enumerate(self.states):
                if not math.isnan(line[cell]):
                    state.step += 1
                    state.examples += taken.examples[cell]
                    state.tokens += taken.tokens[cell]
                    state.losses.append((line[cell], taken.step.rates[cell]))
        self.rows = tuple(sum(taken.tokens[cell] for taken in self._ahead) for cell in range(len(self.cells)))
        self._ahead.clear()
        self._fragmented += sum(self.rows)
        if self.encoder.device.type == "cpu" and self._fragmented >= _HAND_BACK:
            hand_back()
            self._fragmented = 0
        return cast(list[list[float]], losses)

    @property
    def records(self) -> bool:
        """Whether there are steps recorded that other cells of this structure could be replayed with."""
        return self._captured is not None and self._captured.recorded > 0

    def pause(self) -> None:
        """Let go of the threads; `take_over` goes on."""
        self.loader.close()

    def take_over(self, cells: Sequence[TrainingCell], states: Sequence[CellState]) -> None:
        """Go on with other cells of the same structure, whose numbers come to where those of the last ones are."""
        self.cells, self.states = tuple(cells), tuple(states)
        self.trained.start_from(states)
        for slot, slots in zip(self._lower, zip(*(cell.lower for cell in cells), strict=True), strict=True):
            for name, tensor in _stacked(slots, self.encoder.device).tensors.items():
                slot.tensors[name].copy_(tensor)
        self.rows = (0,) * len(cells)
        self._ahead.clear()
        self._longest = Longest.of(cells)
        self._start_loader()

    def close(self) -> None:
        """Let go of the threads and of what refers back to the bundle, so that its memory is free at once."""
        self.loader.close()
        self._captured = None

    def state(self, cell: int) -> CellState:
        """The cell's state with its current numbers, copied to the CPU."""
        state = self.states[cell]
        self.trained.copy_to(cell, state)
        return state

    # Batches

    def _start_loader(self) -> None:
        self._first = tuple(state.step + self.ahead for state in self.states)
        left = min(cell.total_steps - first for cell, first in zip(self.cells, self._first, strict=True))
        self.loader = Loader(self._batches, self.options.workers, left)

    @property
    def _spares(self) -> bool:
        """Whether there is something on the device that a step can do without."""
        return self._captured is not None or (self.prefix is not None and self.prefix.is_on_device)

    def _make_room(self) -> None:
        """Let go of recordings, which hold on to about the memory of a step, then of a prefix that is kept on the
        device, and else cut batches finer.
        """
        self.loader.close()
        if self._captured is not None:
            self._captured = None
            logger.warning("out of memory; steps are no longer recorded")
        elif self.prefix is not None and self.prefix.leave_device():
            logger.warning("out of memory; hidden states are kept in the host's from now on")
        else:
            self.parts *= 2
            logger.warning("out of memory; computing each batch in %d parts, to the same effect", self.parts)
        if self.encoder.device.type == "cuda":
            torch.cuda.empty_cache()
        self._start_loader()

    def _batches(self, number: int) -> list[Batch]:
        """The parts of the batch that comes `number` steps after the loader started."""
        with self._drawing:  # samplers remember what they drew
            drawn = [cell.drawn(first + number) for cell, first in zip(self.cells, self._first, strict=True)]
        parts = zip(*(cut(weighed(selections), self.parts) for selections in drawn), strict=True)
        kernels = for_kernels(self.encoder, self.cells[0], self.aligned)
        batches = [collate(part, self.encoder.spans, self.aligned, kernels) for part in parts if any(part)]
        batches = [
            batch if heads.fit(self.cells, self.trained.heads, batch.aligned) else replace(batch, aligned=None)
            for batch in batches
        ]
        if self.dropout.places and counts_masks(self.cells[0].method, self.encoder.device):
            batches = self._with_masks(batches, [first + number for first in self._first])
        if self._longest is not None:
            batches = [self._longest.told(batch) for batch in batches]
        if self.prefix is not None:
            batches = [replace(batch, hidden=self.prefix.known(batch, self.depth)) for batch in batches]
        pinned = self.encoder.device.type == "cuda"
        return [placed(batch, Tensor.pin_memory) for batch in batches] if pinned else batches

    def _with_masks(self, batches: Sequence[Batch], steps: Sequence[int]) -> list[Batch]:
        """The parts of a batch with what counts their dropout masks."""
        rows, reads, found = [0] * len(self.cells), [0] * len(self.cells), []
        for batch in batches:
            found.append(replace(batch, masks=self.dropout.counted(steps, rows, reads)))
            rows = [start + count for start, count in zip(rows, batch.tokens, strict=True)]
            reads = [start + count for start, count in zip(reads, batch.reads, strict=True)]
        return found

    # Steps

    def _next(self) -> Step:
        """What the next step is to be."""
        taken = tuple(state.step + self.ahead for state in self.states)
        settings = [cell.settings for cell in self.cells]
        return Step(
            taken=taken,
            rates=tuple(cell.learning_rate(step) for cell, step in zip(self.cells, taken, strict=True)),
            decays=tuple(one.weight_decay for one in settings),
            norms=tuple(one.max_grad_norm for one in settings),
        )

    def _sparing(self) -> AbstractContextManager[None]:
        """Where memory is to be spared at the cost of time, a CPU's blocks get pages of their own: gradients that stay
        among blocks that pass were measured to make holes of 1.4 GB in 5.6.
        """
        spares = self.cells[0].method.checkpoints_layers and self.encoder.device.type == "cpu"
        return large_apart() if spares else nullcontext()

    def _attempt(self, step: Step) -> tuple[list[Batch], Tensor, bool]:
        """The batches of a step, its losses (K,), and whether it is taken; if not, its gradients are in the banks."""
        while True:
            scarce = False
            try:
                batches = [self._with_hidden(batch) for batch in self.loader.next()]
                if self._captured is not None and len(batches) == 1:
                    losses = self._captured(batches[0], step.table())
                    if losses is not None:
                        return batches, losses, True
                return batches, self._gradients(batches, step), False
            except KernelFailed:
                pass  # it is off by now
            except (RuntimeError, MemoryError) as error:
                finest = self.parts >= max(cell.settings.batch_size for cell in self.cells)
                if not is_out_of_memory(error) or (finest and not self._spares):
                    raise
                scarce = True
            # Not in the handler: until it is left, the error holds on to what the failed step had in memory.
            if scarce:
                self._make_room()
            else:  # the same batch once more, laid out for what is left of the kernels
                self.loader.close()
                self._start_loader()

    def _gradients(self, batches: Sequence[Batch], step: Step) -> Tensor:
        """Losses (K,) of a step; their gradients go to the banks."""
        losses = torch.zeros(len(self.cells), device=self.encoder.device)
        told: Sequence[coupled.CoupledLosses | None] = [None] * len(batches)
        if len(batches) > 1 and coupled.are(self.cells):
            told = self._coupled(batches, step)
        for number, there in enumerate(self._parts(batches, step)):
            losses += self._differentiate(there, add=number > 0, given=told[number])
        return losses

    def _coupled(self, batches: Sequence[Batch], step: Step) -> list[coupled.CoupledLosses]:
        """What each part is told of the losses that rest on all of them."""
        there, found = [], []
        with torch.no_grad():
            for batch in self._parts(batches, step):
                found.append(coupled.vectors(self.cells, batch, self._read(batch)))
                there.append(replace(batch, hidden=None))
        return coupled.given(self.cells, there, found)

    def _parts(self, batches: Sequence[Batch], step: Step) -> Iterator[Batch]:
        """The parts of a batch on the device, one after another, each with dropout masks of its own rows."""
        rows, reads = (0,) * len(self.cells), (0,) * len(self.cells)
        for batch in batches:
            there = placed(batch, self.encoder.place)
            starts = {batch.packed.rows: rows, batch.packed.read_rows: reads}
            self.dropout.begin(step.taken, starts, there.masks)
            yield there
            rows = tuple(start + count for start, count in zip(rows, batch.tokens, strict=True))
            reads = tuple(start + count for start, count in zip(reads, batch.reads, strict=True))

    def _with_hidden(self, batch: Batch) -> Batch:
        if self.prefix is None or batch.hidden is not None:
            return batch
        return replace(batch, hidden=self.prefix.hidden(batch, self.depth))

    def _compute(self, batch: Batch, table: Tensor) -> Tensor:
        """A whole step of a batch on the device, without asking the host for anything."""
        self.dropout.begin(None, masks=batch.masks)
        losses = self._differentiate(batch, add=False)
        self.trained.update_together(losses, table)
        return losses

    def _differentiate(self, batch: Batch, add: bool, given: coupled.CoupledLosses | None = None) -> Tensor:
        """Losses (K,) of a batch; their gradients go to the banks."""
        hidden, embeddings = self._read(batch), self.encoder.token_embeddings
        losses = heads.losses(self.cells, self.trained.heads, batch, hidden, self.adapters, embeddings, given)
        self.trained.take_gradients(losses, add)
        return losses.detach()

    def _read(self, batch: Batch) -> Tensor:
        """(R, d) float32 rows that heads read."""
        if self.encoder is not self.backbone:
            # Views of an earlier step would keep nodes of autograd alive, on the stream that they were made on.
            self.encoder.renew(_weights(self.trained.adapter))
        return self.encoder(batch.packed, self.adapters, self.depth, batch.hidden).float()


@dataclass(frozen=True)
class _Taken:
    """A step that was taken and not yet booked."""

    step: Step
    losses: Tensor
    """(K,)."""
    alive: Tensor
    """(K,) after the step."""
    examples: tuple[int, ...]
    tokens: tuple[int, ...]


def _summed(parts: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Of each cell, over the parts of a batch."""
    return tuple(map(sum, zip(*parts, strict=True)))


def as_trained(cell: TrainingCell, state: CellState, shape: Shape, best: bool = False) -> TrainedCell:
    """Named tensors of a state, or of the best step it remembers."""
    adapter, head = state.adapter.values, state.head.values
    if best and state.best is not None:
        adapter, head = state.best.adapter, state.best.head
    slots = (*cell.lower, Slot(cell.method, unflatten(parameters(cell.method, shape), adapter)))
    return TrainedCell(slots, unflatten(head_parameters(cell, shape), head))


def _own(encoder: PackedEncoder, cells: Sequence[TrainingCell], weights: RowAdamW) -> PackedEncoder:
    """The encoder of the one cell that trains all of it."""
    (cell,) = cells
    return encoder.with_weights(_weights(weights), cell.method.checkpoints_layers)


def _weights(weights: RowAdamW) -> dict[str, Tensor]:
    """The weights of the one cell of a bundle, by their names in the encoder."""
    return {name: view[0] for name, view in weights.bank.views.items()}


def _stacked(slots: Sequence[Slot], device: torch.device) -> Slot:
    """One slot of several cells."""
    tensors = {name: torch.stack([slot.tensors[name] for slot in slots]).to(device) for name in slots[0].tensors}
    return Slot(slots[0].method, tensors)
