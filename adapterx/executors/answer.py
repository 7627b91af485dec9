"""Answers of an adapter in a directory, to new items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.shape import Encoder
from adapterx.backbones.spec import Backbone
from adapterx.errors import AdapterxError
from adapterx.executors.origin import Origin, found, told
from adapterx.files.adapter_files import METADATA, SETUP
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed
from adapterx.formats import adapterhub_head, fused, setup
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableHead, unnamed, with_head
from adapterx.formats.metadata import Metadata
from adapterx.methods.method import Slot
from adapterx.tasks import catalog
from adapterx.tasks.catalog import UnknownTask
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import Example
from adapterx.tasks.items import read as read_items
from adapterx.wording import shown


class AnswerError(AdapterxError, ValueError):
    """An item that the adapter gives no answer to, worded for the user."""


@dataclass(frozen=True)
class Answering:
    """Adapters with a head, and the backbone they answer on."""

    backbone: Backbone
    info: BackboneInfo
    slots: tuple[Slot, ...]
    """The lowest first; a fusion above its members."""
    head: PortableHead
    """Its labels are the task's."""
    task: str
    max_length: int
    unanswerable: bool = False
    """Of extractive QA: whether "none" may be the answer."""
    remarks: tuple[str, ...] = ()
    """What to know before believing its answers."""


def prepare(
    name: str,
    revision: str | None,
    task: str,
    backbone: str | None,
    beside: Path,
    language: str | None = None,
    labels: Sequence[str] = (),
) -> Answering:
    """Read an adapter directory, local or on the Hub, and check that it can answer the task; loads no backbone.

    Args:
        backbone: the model to put it on, where its files do not say, or another copy of it.
        beside: where tasks of the user's own are looked for.
        language: of the texts; where adapters take turns, it says which is to act.
        labels: what the outputs of its head are, in their order; empty where its files say so.

    Raises ValueError or LookupError, worded for the user.
    """
    origin = found(name, revision, backbone)
    slots, head = read_whole(origin, language)
    fitting, remarks = fitted(head, task, beside, labels, origin.name)
    none = fitting.kind.passages and _unanswerable(task, beside)
    remarks = (*origin.remarks, *library_remarks(slots, origin), *remarks)
    return Answering(origin.backbone, origin.info, slots, fitting, task, origin.max_length, none, remarks)


def read_whole(origin: Origin, language: str | None) -> tuple[tuple[Slot, ...], PortableHead]:
    """The adapters of a directory, the lowest first, and their head, which knows its task where that is known."""
    parts = parts_of(origin.directory, origin.known, origin.encoder, language)
    return parts.slots, told(_found(parts.head, parts.head_at), origin.known, origin.directory)


def library_remarks(slots: Sequence[Slot], origin: Origin) -> tuple[str, ...]:
    """What to know of adapters that the engine does not compute; FormatError where their library cannot either."""
    made = [slot.method for slot in slots if slot.method.made_by_library]
    if not made:
        return ()
    from adapterx.reference.libraries import LibraryError
    from adapterx.reference.measure import check_fit

    try:
        check_fit(slots, origin.info)
    except LibraryError as error:
        raise FormatError(f"{origin.name} {error}") from None
    return (f"{origin.name} is computed by the model of `{made[0].kind}` itself, which is slower than the engine",)


def fitted(
    head: PortableHead, task: str, beside: Path, labels: Sequence[str], name: str
) -> tuple[PortableHead, tuple[str, ...]]:
    """The head as it serves a task, and what to know of its labels.

    Args:
        labels: of its outputs, as the user gives them; empty where its files say so.
        name: whose it is, for messages.
    """
    if labels:
        if len(labels) != len(head.labels):
            raise FormatError(f"--labels gives {len(labels)} names, the head of {name} has {len(head.labels)} outputs")
        head = replace(head, labels=tuple(labels))
    fitting = for_task(head, task, beside)
    if not head.labels or head.labels != unnamed(len(head.labels)) or head.labels == fitting.labels:
        return fitting, ()
    if not fitting.kind.by_label:
        return fitting, ()
    return fitting, (
        f"the files of {name} do not name the outputs of its head: they are taken for {listed(fitting.labels)}, the "
        f"labels of '{task}' in their order; --labels says otherwise",
    )


def _unanswerable(task: str, beside: Path) -> bool:
    """Whether questions of the task may have no answer; those of a task that is not at hand have one."""
    try:
        return catalog.find(task, beside).unanswerable
    except LookupError:
        return False


@dataclass(frozen=True)
class ReadParts:
    """What a directory holds."""

    slots: tuple[Slot, ...]
    """The adapters, the lowest first, a fusion above its members."""
    head: PortableHead | None
    headless: str
    """Why the head that there are files of could not be read, if it could not."""
    head_at: Path
    """Where the head lies, or would."""


def parts_of(
    directory: Path, known: Metadata | None, encoder: Encoder, language: str | None, headless: bool = False
) -> ReadParts:
    """The adapters of a directory and their head.

    Args:
        language: of the texts; where adapters take turns, it says which is to act.
        headless: whether adapters will do whose head cannot be read.
    """
    composed = setup.read(directory)
    if composed is not None and known is not None and known.adapters != composed.adapters:
        raise FormatError(
            f"{directory / METADATA} names the adapters {', '.join(known.adapters)}, {SETUP} beside it "
            f"{', '.join(composed.adapters)}: export the cell again, or delete {METADATA}"
        )
    if composed is not None and composed.kind == "Fuse":
        fusion = fused.read(directory, composed, encoder)
        return ReadParts(fusion.slots, fusion.head, "", directory)
    parts = known.adapters if known is not None else (".",) if composed is None else composed.adapters
    if known is not None and known.languages:
        if language is None or language not in known.languages:
            lacking = "name it with --language" if language is None else f"there is none for '{language}'"
            raise FormatError(
                f"the adapters of {directory} take turns with the language of the texts: {lacking}, one of"
                f" {', '.join(known.languages)}"
            )
        parts = (known.languages[language], *parts[1:])
    adapters = [formats.read(directory / part, encoder, headless) for part in parts]
    if composed is not None:
        setup.check([adapter.method for adapter in adapters], str(directory))
        if composed.head not in (None, parts[-1]):
            where = directory / str(composed.head)
            adapters[-1] = with_head(adapters[-1], partial(adapterhub_head.read, where, encoder), headless)
    last = adapters[-1]
    slots = tuple(slot for adapter in adapters for slot in adapter.slots)
    return ReadParts(slots, last.head, last.headless, directory / parts[-1])


def _found(head: PortableHead | None, where: Path) -> PortableHead:
    if head is None:
        raise FormatError(
            f"{where} has no prediction head: export the cell with `adapterx export`, or save the adapter together "
            "with its head (adapters: save_adapter(…, with_head=True, use_safetensors=True), or save_adapter_setup(…, "
            "head_setup=NAME, use_safetensors=True))"
        )
    return head


def for_task(head: PortableHead, task: str, beside: Path) -> PortableHead:
    """The head with the task's labels in the task's order, if it can serve the task; FormatError if it cannot.

    A head that was trained on a task of this name keeps its own labels where the task, or the file of its labels, is
    not at hand.
    """
    try:
        spec = catalog.find(task, beside)
    except UnknownTask:
        if task == head.task:
            return head
        raise
    if spec.label_file is not None and not spec.labels and task == head.task:
        return head
    if spec.format != head.format:
        raise FormatError(f"the head answers {head.format}, but the task '{task}' is {spec.format}")
    found = head.ordered(spec.labels)
    if found is None:
        raise FormatError(
            f"the head's labels are {listed(head.labels)}, those of the task '{task}' {listed(spec.labels)}: one head "
            "cannot serve both"
        )
    return found


def answers(answering: Answering, lines: Iterable[str], where: str, language: str | None) -> Iterator[dict[str, Any]]:
    """One answer per item, in order: `id`, `language` if given, `label`, and `scores`, the probability of each label.

    Tags are lists with one entry per word, answers of extractive QA are texts: see `TaskKind.said` of each kind.

    Args:
        lines: JSON lines, as `adapterx.tasks.items` reads them.
        where: the file's name, for messages.

    Raises ItemError before the backbone is loaded, BackboneError, and AnswerError for scores that are not finite.
    """
    head = answering.head
    examples = read_items(lines, where, head.kind, head.labels)
    if not examples:
        return
    encoded, scores = _scores(answering, examples)
    for example, of_example in zip(examples, scores, strict=True):
        if not np.isfinite(head.kind.own_scores(example, of_example)).all():
            raise AnswerError(
                f"{where}: the scores of item {shown(example.id)} are not finite: the adapter, its head or the backbone"
                " has weights that overflow"
            )
    named = {} if language is None else {"language": language}
    said = head.kind.said(encoded, scores, head.labels, answering.unanswerable)
    for id, answer in zip(encoded.ids, said, strict=True):
        yield {"id": id, **named, **answer}


def _scores(answering: Answering, examples: Sequence[Example]) -> tuple[Encoded, list[NDArray[np.float32]]]:
    from adapterx import reference
    from adapterx.backbones.load import load
    from adapterx.backbones.packed import PackedEncoder
    from adapterx.engine.predict import TrainedCell, predict
    from adapterx.executors.device import choose

    loaded = load(answering.backbone, answering.info, choose().device)
    head, tensors = answering.head.named(answering.task)
    encoded = answering.head.kind.encode(examples, loaded.tokenizer, answering.max_length)
    cell = TrainedCell(answering.slots, tensors)
    if any(slot.method.made_by_library for slot in answering.slots):
        (scores,) = reference.predict(loaded.model, cell, head, [encoded], 0)
        return encoded, scores
    ((scores,),) = predict(PackedEncoder(loaded.model, answering.info.key), [(cell, head)], [encoded])
    return encoded, scores
