"""Small trainings and evaluations by the engine, timed: what a calibration rests on."""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.load import load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.spec import Backbone
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.options import ROWS
from adapterx.engine.predict import TrainedCell, predict
from adapterx.engine.state import CellState
from adapterx.methods.head import Head
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import initial
from adapterx.pace.workload import Workload
from adapterx.plan import Evaluation, Training, counted
from adapterx.recipe import Sampling
from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings

_METHOD = Lora()
_HEAD = Head("task", "pair-classification", 3)
_SPREAD = 0.25
"""Lengths differ by up to this share of their mean, as real ones differ."""
_TAKEN, _ENOUGH = 8, 2.0
"""Repetitions of which the fastest counts: so many, or as many as begin within so many seconds, at least two."""
_FIRST_WORD = 4
"""The first token that is not special."""


@dataclass(frozen=True)
class Point:
    """One shape of work."""

    length: int
    """Mean tokens of a sequence."""
    batch: int
    """Sequences of a step and cell; of an evaluation, those that fill two passes where 0."""
    cells: int = 1

    @property
    def trains(self) -> bool:
        return self.batch > 0

    def named(self, encoder: str) -> str:
        """The point in words."""
        cells = "1 cell" if self.cells == 1 else f"{self.cells} cells"
        what = f"training, batch {self.batch}" if self.trains else "evaluation"
        return f"{encoder}: {what}, length {self.length}, {cells}"


POINTS = (
    Point(16, 8),
    Point(16, 32),
    Point(96, 16),
    Point(384, 6),
    Point(16, 8, cells=8),
    Point(16, 0),
    Point(96, 0),
    Point(384, 0),
)
SHORT = (Point(96, 16), Point(96, 0))
"""Of a precision whose other rates are taken from the first one's."""


@dataclass(frozen=True)
class BenchEncoder:
    """An encoder to be timed."""

    name: str
    info: BackboneInfo
    packed: PackedEncoder


def embedded(precision: str, device: str) -> BenchEncoder:
    """The embedded backbone, 12 layers 384 wide."""
    return _loaded("12 × 384", "embedded/e5-small", precision, device)


def wide(precision: str, device: str, directory: Path) -> BenchEncoder:
    """Two layers as wide as those of XLM-R base, with random weights, which are written to a directory first."""
    write(directory, 2)
    return _loaded("2 × 768", str(directory), precision, device)


def _loaded(name: str, model: str, precision: str, device: str) -> BenchEncoder:
    loaded = load(Backbone(model=model, load=precision), None, device)
    return BenchEncoder(name, loaded.info, PackedEncoder(loaded.model))


def measured(encoder: BenchEncoder, point: Point, rows: int | None = None) -> tuple[Workload, float]:
    """What a step, or an evaluation, computes, and its seconds.

    Args:
        rows: token rows of an evaluation, by default those of two passes.
    """
    if point.trains:
        return _work(encoder.info, point), _step_seconds(encoder, point)
    examples = (rows or 2 * ROWS[encoder.packed.device.type]) // point.length
    whole = _work(encoder.info, point, examples)
    return whole, _sweep_seconds(encoder, point, examples)


def _work(info: BackboneInfo, point: Point, examples: int = 0) -> Workload:
    """The same in counts, as a plan counts it."""
    part = TaskPart("task", "pair-classification", ("a", "b", "c"), "made", ("en",), "", point.length)
    adapter = _METHOD.parameters(info)
    if point.trains:
        settings = TrainSettings(1e-4, point.batch, steps=1, max_length=info.max_positions)
        training = Training((part,), Sampling(), settings, 1, None)
        found = counted.training(info, _METHOD, training, None, (), adapter, kept=False)
        assert found is not None
    else:
        found = counted.evaluation(info, _METHOD, Evaluation(part, None), examples, (), adapter)
    return found.shared + found.own * point.cells


def _step_seconds(encoder: BenchEncoder, point: Point) -> float:
    """Seconds of a training step of all cells."""
    shape = shape_of(encoder.packed)
    most = _TAKEN * 16 + 1
    settings = TrainSettings(1e-4, point.batch, steps=most, warmup_ratio=0.0, max_length=encoder.info.max_positions)

    def cell(seed: int) -> TrainingCell:
        pool = Pool("en", _texts(point.length, 4 * point.batch, seed))
        return TrainingCell(
            name=f"cell {seed}",
            key=f"cell {seed}",
            seed=seed,
            method=_METHOD,
            settings=settings,
            tasks=(TaskData(_HEAD, None, (pool,)),),
            probabilities=np.ones(1),
            initial=initial(parameters(_METHOD, shape), seed),
        )

    cells = [cell(1 + number) for number in range(point.cells)]
    bundle = Bundle(encoder.packed, cells, [CellState.start(one, shape) for one in cells])

    def steps() -> None:
        for _ in range(bundle.lag):
            bundle.step()
        bundle.book()

    try:
        return _repeated(steps) / bundle.lag
    finally:
        bundle.close()


def _sweep_seconds(encoder: BenchEncoder, point: Point, examples: int) -> float:
    """Seconds of an evaluation of all cells."""
    shape = shape_of(encoder.packed)
    heads = initial(_HEAD.parameters(shape.hidden), 1)
    slots = [Slot(_METHOD, initial(parameters(_METHOD, shape), 1 + number)) for number in range(point.cells)]
    cells = [(TrainedCell((slot,), heads), _HEAD) for slot in slots]
    pools = [_texts(point.length, examples, seed=0)]
    return _repeated(lambda: predict(encoder.packed, cells, pools))


def _repeated(do: Callable[[], object]) -> float:
    """Seconds of a call, the first one left out: the least, as whatever else the machine does only adds to them."""
    do()
    found: list[float] = []
    while len(found) < _TAKEN and (len(found) < 2 or sum(found) < _ENOUGH):
        started = time.perf_counter()
        do()
        found.append(time.perf_counter() - started)
    return min(found)


def _texts(length: int, count: int, seed: int) -> Encoded:
    """Random tokens in sequences of about a length, read at their first token."""
    random = np.random.default_rng(seed)
    low, high = length * (1 - _SPREAD), length * (1 + _SPREAD)
    lengths = np.rint(np.linspace(low, high, count)).astype(np.int64)  # so that their mean is the one that is counted
    random.shuffle(lengths)
    bounds = offsets(lengths.tolist())
    tokens = random.integers(_FIRST_WORD, len(_PIECES) - 1, size=int(bounds[-1])).astype(np.int32)
    tokens[bounds[:-1]], tokens[bounds[1:] - 1] = 0, 2
    one_each = np.arange(count + 1)
    return Encoded(
        ids=tuple(map(str, range(count))),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=one_each,
        read_tokens=bounds[:-1],
        example_reads=one_each,
        labels=random.integers(3, size=count),
        example_labels=one_each,
    )


_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase, "<mask>")


def write(directory: Path, layers: int) -> None:
    """Write a checkpoint of wide layers with random weights, and a tokenizer of letters."""
    import torch
    import transformers

    torch.manual_seed(0)
    library: Any = transformers  # its classes carry no types
    config = library.XLMRobertaConfig(
        vocab_size=len(_PIECES),
        hidden_size=768,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    library.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(directory)
    write_tokenizer(directory)


def write_tokenizer(directory: Path) -> None:
    """Write a tokenizer of letters, with XLM-R's special tokens."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    backend = Tokenizer(models.Unigram([(piece, -float(place)) for place, piece in enumerate(_PIECES)], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special: Any = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    library: Any = transformers  # its classes carry no types
    library.PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(directory)
