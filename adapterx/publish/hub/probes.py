"""Items whose scores are stored, as token ids: what a published adapter must answer in any library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.describe import describe
from adapterx.backbones.load import load, load_tokenizer
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.spec import Backbone
from adapterx.engine.predict import TrainedCell, predict
from adapterx.limits import Limit
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.publication import Publication
from adapterx.results import predictions
from adapterx.store import Store
from adapterx.tasks import data as tasks
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.spec import TaskSpec

if TYPE_CHECKING:
    pass

ITEMS = 20
_LANGUAGES = 5

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class ProbedItem:
    """One item."""

    language: str
    id: str
    sequences: tuple[tuple[int, ...], ...]
    """Token ids, special ones included."""
    reads: tuple[tuple[int, ...], ...]
    """Of each sequence, the positions that the head reads."""
    scores: Scores
    """(lines, classes): what was stored."""
    texts: tuple[str, ...] = ()
    """What the first sequence is of, where a tokenizer reads it as one text or a pair."""


def probes(store: Store, publication: Publication, backbone: Backbone, count: int = ITEMS) -> list[ProbedItem]:
    """The first items of up to five languages of a cell's evaluation, with their stored scores.

    What is stored of extractive QA is no score of a head, so its items are scored anew, and must then give the stored
    answers.

    Args:
        backbone: the run's own, or its public equal.

    Raises PublishError where the data are not at hand, and what reading them raises.
    """
    cell, spec = publication.cell, publication.uses[-1].spec
    assert cell is not None
    if spec is None:
        raise PublishError(
            f"the task '{publication.uses[-1].task}' is not at hand, so that nothing can be checked against its stored"
            " answers: publish from the directory of the recipe and its task"
        )
    tokenizer = load_tokenizer(backbone)
    path = store.read(cell.evaluation, predictions.NAME)
    languages = publication.uses[-1].languages[:_LANGUAGES]
    each = -(-count // len(languages))
    found: list[ProbedItem] = []
    for language in languages:
        examples = list(islice(_examples(publication, spec, language), each))
        stored = _stored(path, language, [one.id for one in examples])
        if spec.kind.passages:
            found += _asked_anew(publication.adapters, backbone, spec, examples, stored, language)
            continue
        encoded = spec.kind.encode(examples, tokenizer, publication.adapters.metadata.max_length)
        scores = [logits for _, logits in stored]
        found += _probes(encoded, examples, scores, language, pairs=spec.kind.reading == "sequence")
    return found[:count]


def _examples(publication: Publication, spec: TaskSpec, language: str) -> Iterator[Example]:
    """The evaluated items, in their order."""
    cell, run = publication.cell, publication.run
    assert cell is not None and run is not None
    settings: Any = cell.evaluation.settings
    targets: Any = run.recipe["targets"]
    source = targets[cell.planned.cell.target].get("source") or next(iter(spec.sources))
    limit = Limit.of(settings.get("limit"), "random" if "sample" in settings else "first")
    return tasks.stream(spec, source, language, "test", limit)


def _stored(path: Path, language: str, ids: Sequence[str]) -> list[tuple[Any, Scores]]:
    """Answer and scores of each item, the scores in one row. Raises PublishError for an item that is not there."""
    from pyarrow import parquet

    table = parquet.read_table(
        path, columns=["id", "prediction", "logits"], filters=[("language", "=", language), ("id", "in", list(ids))]
    )
    known = {row["id"]: row for row in table.to_pylist()}
    if missing := [id for id in ids if id not in known]:
        raise PublishError(
            f"item {missing[0]} in {language} is not among the stored predictions: its data have changed since;"
            " `adapterx run` the recipe again"
        )
    return [(known[id]["prediction"], np.array(known[id]["logits"], np.float32)) for id in ids]


def _probes(
    encoded: Encoded, examples: Sequence[Example], scores: Sequence[Scores], language: str, *, pairs: bool
) -> Iterator[ProbedItem]:
    """Every example whose scores are all numbers; the lacking choices of some items have none."""
    for number, (example, own) in enumerate(zip(examples, scores, strict=True)):
        sequences, reads = _tokens(encoded, number)
        lines = int(np.diff(encoded.example_labels)[number])
        if not np.isfinite(own).all():
            continue
        texts = tuple(getattr(example, "texts", ())) if pairs else ()
        yield ProbedItem(language, example.id, sequences, reads, own.reshape(max(1, lines), -1), texts)


def _tokens(encoded: Encoded, number: int) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """The sequences of an example, and the places in each that are read."""
    first, last = encoded.example_sequences[number : number + 2].tolist()
    read = encoded.read_tokens[slice(*encoded.example_reads[number : number + 2].tolist())].tolist()
    sequences, reads = [], []
    for place in range(first, last):
        start, end = encoded.sequence_offsets[place : place + 2].tolist()
        sequences.append(tuple(encoded.tokens[start:end].tolist()))
        reads.append(tuple(position - start for position in read if start <= position < end))
    return tuple(sequences), tuple(reads)


def _asked_anew(
    adapters: AdapterSet,
    backbone: Backbone,
    spec: TaskSpec,
    examples: Sequence[Example],
    stored: Sequence[tuple[Any, Scores]],
    language: str,
) -> Iterator[ProbedItem]:
    """Items with the scores of their reads; PublishError where these come to other answers than the stored ones."""
    encoded, scores = scored(adapters, backbone, examples)
    said, _ = spec.kind.decode(encoded, scores, spec.unanswerable)
    wrong = sum(answer != own for answer, (own, _) in zip(said, stored, strict=True))
    if wrong:
        raise PublishError(
            f"{wrong} of {len(said)} items in {language} are answered otherwise than in the run: the data or the"
            " backbone have changed since; `adapterx run` the recipe again"
        )
    for number, (example, own) in enumerate(zip(examples, scores, strict=True)):
        sequences, reads = _tokens(encoded, number)
        yield ProbedItem(language, example.id, sequences, reads, own)


def scored(
    adapters: AdapterSet, backbone: Backbone, examples: Sequence[Example]
) -> tuple[Encoded, list[NDArray[np.float32]]]:
    """Scores of examples by adapterx itself, of the adapters as they are."""
    loaded = load(backbone, describe(backbone))
    encoded = adapters.head.kind.encode(examples, loaded.tokenizer, adapters.metadata.max_length)
    head, tensors = adapters.head.named(adapters.metadata.task or "head")
    slots = tuple(slot for one in adapters.contents for slot in one.slots)
    encoder = PackedEncoder(loaded.model, loaded.info.key)
    ((scores,),) = predict(encoder, [(TrainedCell(slots, tensors), head)], [encoded])
    return encoded, scores


def made_up(adapters: AdapterSet, backbone: Backbone, examples: Sequence[Example]) -> list[ProbedItem]:
    """Items that no run has evaluated, with the scores that adapterx gives them."""
    encoded, scores = scored(adapters, backbone, examples)
    kind = adapters.head.kind
    lines = [kind.own_scores(one, found) for one, found in zip(examples, scores, strict=True)]
    return list(_probes(encoded, examples, [one.reshape(-1) for one in lines], "", pairs=kind.reading == "sequence"))
