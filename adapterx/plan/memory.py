"""Memory at the peak of a training or an evaluation, by what it is for, as the fused engine allocates it.

What counts on a CPU is anonymous memory: pages that no file backs, which the system can neither drop nor read again.
Weights in a checkpoint's own format are mapped from it. They stand apart where every pass reads them, and are left out
where copies of them are read instead. On a GPU it is the device's memory.

A step keeps, for its backward pass, what the gradients of norms, activations, attention and adapters ask for; products
with frozen weights keep nothing. The most is in use when that pass begins: everything is kept still, and the gradients
of the highest whole layer come on top. Everything here is a prediction; `tools/memory_prediction.py` compares it with
what is measured on a CPU, on points on which the constants below were chosen, too. On a GPU nothing of it has been
measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import precision
from adapterx.machine.kernels import Kernels
from adapterx.plan.lengths import Drawn, TextLengths
from adapterx.tasks.kinds import kind

PROCESS = "the program"
IMPORTED = 350_000_000
"""Bytes of a process that has imported torch and transformers; measured."""
TOKENIZER, BUILDING = 1_225, 2_850
"""Bytes of a tokenizer for each token that it knows, and at most while it is built; measured."""
CONTEXT = 1_000_000_000
"""Bytes of a CUDA context with the workspaces of its libraries; a guess."""
PASS_ROWS = {False: 2048, True: 32_768}
"""Token rows of a pass without gradients, on a CPU and on a GPU (`engine.options.ROWS`)."""
SEARCHED = 4_000_000_000
"""Bytes of vectors of several cells (`executors.search.BYTES`)."""
SPREAD = {False: 1.75, True: 1.1}
"""What an allocator needs for blocks of many sizes, in their sum, on a CPU (False) and on a GPU. That of a CPU is
measured: what is freed in a step of one size is seldom fit for the next. That of a GPU is a guess."""
BLOCK = 128 << 20
"""Bytes from which on a block has pages of its own, so that nothing is lost around it (`adapterx.allocator`)."""


@dataclass(frozen=True)
class PeakMemory:
    """Bytes in use at once, by what they are for; the parts add up."""

    parts: Mapping[str, int]
    mapped: int = 0
    """Of a checkpoint's file, read in every pass, beside them."""

    @property
    def bytes(self) -> int:
        """All of them, the program's own included, mapped ones left out."""
        return sum(self.parts.values())

    @property
    def needed(self) -> int:
        """What has to be free when a run begins: all but the program's own, and what is mapped."""
        return self.bytes - self.parts.get(PROCESS, 0) + self.mapped

    def told(self) -> str:
        """The sum in words: `1.1 GB of weights + 0.4 GB of activations = 1.5 GB`."""
        own = {name: size for name, size in self.parts.items() if name != PROCESS}
        if self.mapped:
            own["weights mapped from their file"] = self.mapped
        large = {name: size for name, size in own.items() if size >= 0.05e9}
        rest = sum(own.values()) - sum(large.values())
        named = [f"{size / 1e9:.1f} GB of {name}" for name, size in sorted(large.items(), key=lambda one: -one[1])]
        named += [f"{rest / 1e9:.1f} GB of others"] if rest >= 0.05e9 and named else []
        return " + ".join(named) + f" = {self.needed / 1e9:.1f} GB"


@dataclass(frozen=True)
class LoadedWith:
    """What is the same for everything that is done with one backbone on one machine."""

    info: BackboneInfo
    load: str
    kernels: Kernels
    rows: int | None = None
    """Rows of the token embeddings, where they are fewer than the vocabulary."""
    mixed: bool = False
    """Whether weights in float32, which are trained, are multiplied in bfloat16 where the device does."""

    @property
    def number(self) -> int:
        """Bytes of a number of the hidden states."""
        return 2 if self.halves else precision(self.load).hidden_bytes(self.kernels)

    @property
    def halves(self) -> bool:
        """Whether products of float32 weights are computed in 16 bits."""
        return self.mixed and self.kernels.bfloat16

    @property
    def embeddings(self) -> int:
        """Parameters of the embeddings."""
        info = self.info
        return info.embedding_parameters - (info.vocabulary - (self.rows or info.vocabulary)) * info.hidden

    @property
    def embedding_bytes(self) -> int:
        """Of the embeddings, but for those that are read from the mapped file, in its own format."""
        of = precision(self.load)
        if of.exact and not self.kernels.gpu:
            return of.rest_bytes * (self.rows or 0) * self.info.hidden
        return of.rest_bytes * self.embeddings

    @property
    def vocabulary(self) -> int:
        """Tokens that have an embedding."""
        return self.rows or self.info.vocabulary

    @property
    def program(self) -> dict[str, int]:
        """What there is before a backbone is loaded."""
        if self.kernels.gpu:
            return {PROCESS: 0, "the CUDA context": CONTEXT}
        return {PROCESS: IMPORTED, "the tokenizer": TOKENIZER * self.info.vocabulary}

    def loading(self) -> PeakMemory:
        """While the tokenizer is built, before there are weights."""
        if self.kernels.gpu:
            return PeakMemory(self.program)
        return PeakMemory({PROCESS: IMPORTED, "building the tokenizer": BUILDING * self.info.vocabulary})

    def weights(self, backward: float) -> PeakMemory:
        """Frozen weights in use.

        Args:
            backward: share of the layers' products whose input gradients are computed.
        """
        info, of = self.info, precision(self.load)
        layers = info.layer_parameters
        copied = of.copied_bytes(layers, self.kernels)
        widest = of.scratch_bytes(self.kernels) * info.hidden * info.intermediate
        copies = int(copied * layers * (1 + backward)) + widest
        if self.kernels.gpu or not of.exact:
            return PeakMemory({"weights": of.weights(self.embeddings, layers), "copies of weights": copies})
        # Adjacent projections are put side by side, which makes those the program's own.
        joint = self.joint
        return PeakMemory(
            {"weights": joint + self.embedding_bytes, "copies of weights": copies}, 0 if copied else 4 * layers - joint
        )

    @property
    def joint(self) -> int:
        """Bytes of query, key and value projections in float32."""
        return 4 * 3 * self.info.layers * self.info.hidden * (self.info.hidden + 1)


@dataclass(frozen=True)
class RowBytes:
    """What a step takes for each token row of its batch."""

    row: float = 0.0
    """Kept in all layers but the last."""
    slot: float = 0.0
    """Kept by attention in all layers but the last, for padding too."""
    read: float = 0.0
    """Kept in the last layer of a row that heads read."""
    unread: float = 0.0
    """Kept in the last layer of every row, for padding too: keys and values."""
    passing: float = 0.0
    """In use for a moment."""
    evaluated: float = 0.0
    """In use for a moment of a pass without gradients."""

    def kept(self, drawn: Drawn) -> float:
        """Of a whole batch."""
        return self.row * drawn.rows + self.slot * drawn.slots + self.read * drawn.reads + self.unread * drawn.slots


@dataclass(frozen=True)
class HeadSize:
    """A head, as far as its memory depends on it."""

    format: str
    outputs: int


@dataclass(frozen=True)
class StageMemory:
    """What a stage takes, for any number of cells like it in one bundle."""

    setting: LoadedWith
    lengths: TextLengths
    bytes: RowBytes
    weights: PeakMemory
    """Frozen ones, with their copies."""
    cell: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each cell, however large a batch."""
    arriving: int = 0
    """Bytes of each cell's gradients as they come from the backward pass, before they are gathered."""
    casts: int = 0
    """Bytes of trained weights in 16 bits, which a step keeps."""
    shared: Mapping[str, int] = field(default_factory=dict)
    """Bytes that all cells have in common, however large a batch."""
    vectors: int = 0
    """Bytes of those of all texts that a search reads in a pass."""
    head: HeadSize | None = None
    batch: float = 0.0
    """Examples of the stage in a step, all its candidates together; 0 for an evaluation."""
    trainings: int = 1
    """Candidates of the stage."""
    steps: float = 1.0
    recorded: bool = False
    """Whether a step is recorded on a GPU, in a pool of its own."""

    def with_tokens(self, tokens: int) -> StageMemory:
        """The same with the embeddings of so many tokens alone."""
        setting = replace(self.setting, rows=tokens)
        own = self.weights.parts["weights"] + setting.embedding_bytes - self.setting.embedding_bytes
        weights = replace(self.weights, parts={**self.weights.parts, "weights": own})
        return replace(self, setting=setting, weights=weights)

    def of(self, cells: int = 1, parts: int = 1) -> PeakMemory:
        """At the peak, in a bundle of so many stages like this one.

        Args:
            parts: into how many each batch is cut.
        """
        base = {**self.setting.program, **self.weights.parts, **self.shared}
        for name, size in self.cell.items():
            base[name] = base.get(name, 0) + cells * self.trainings * size
        # Of several cells as many as fit (`executors.search.passes`).
        vectors = max(self.vectors, min(cells * self.vectors, SEARCHED))
        moments = [
            self.setting.loading(),
            PeakMemory({**base, "vectors": vectors, "a pass": self._pass()}, self.weights.mapped),
        ]
        if self.batch:
            moments.append(PeakMemory({**base, **self._step(cells, parts)}, self.weights.mapped))
        return max(moments, key=lambda one: one.bytes)

    def rows(self) -> int:
        """Token rows of the largest step."""
        return self.lengths.drawn(self.batch, self.steps).rows if self.batch else 0

    def _step(self, cells: int, parts: int) -> dict[str, int]:
        kernels = self.setting.kernels
        drawn = self.lengths.drawn(max(1.0, self.batch / parts) * cells, self.steps, kernels.gpu)
        spread = SPREAD[kernels.gpu]
        kept, passing = spread * self.bytes.kept(drawn), spread * self.bytes.passing * drawn.rows
        if self.head is not None:
            count = cells * self.trainings
            of, reads = kind(self.head.format), max(1, drawn.reads // count)
            stay, moment = (4 * one for one in of.head_numbers(self.setting.info.hidden, self.head.outputs, reads))
            own = 1.0 if moment >= BLOCK else spread
            kept += own * count * stay
            passing = max(passing, own * moment)
        found = {"activations": int(kept), "gradients of activations": int(passing)}
        if self.recorded:
            found["the recorded step"] = sum(found.values())
        return {**found, "gradients on their way": cells * self.trainings * self.arriving, "casts": self.casts}

    def _pass(self) -> int:
        drawn = self.lengths.longest_first(PASS_ROWS[self.setting.kernels.gpu])
        return int(SPREAD[self.setting.kernels.gpu] * self.bytes.evaluated * drawn.rows)
