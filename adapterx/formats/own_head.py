"""A head beside a `peft` adapter: `head_config.json` and `head.safetensors`, files of our own.

`peft` keeps a classifier inside the file of the adapter that it was trained with (`formats.peft`), and only numbers its
labels; other heads, and those of a stack, have no place there. The configuration gives format, labels and task; the
tensors are `dense.{weight,bias}` (not for tagging and extractive QA) and
`output.{weight,bias}`: scores = output(tanh(dense(h))) of the first token, or output(h) of each word's first subword,
or of <s> and each token of a passage, as the first and as the last one of an answer.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import HEAD_CONFIG, OWN_HEAD, read_config, read_tensors, write_config, write_tensors
from adapterx.files.errors import FormatError
from adapterx.files.settings import texts
from adapterx.formats.adapter import PortableHead, head_shapes
from adapterx.tasks.kinds import portable
from adapterx.wording import shown


def write(directory: Path, head: PortableHead, *, inside: bool = False) -> None:
    """Write a head beside its adapter.

    Args:
        inside: whether the library's own file has its tensors, so that only what it is called is left to say.
    """
    write_config(directory / HEAD_CONFIG, {"format": head.format, "labels": list(head.labels), "task": head.task})
    if not inside:
        write_tensors(directory / OWN_HEAD, head.tensors)


def read(directory: Path, encoder: Encoder) -> PortableHead:
    """Read the head of an adapter directory; FormatError for one that does not fit the encoder."""
    format_, labels, task = _config(directory)
    shapes = head_shapes(format_, len(labels), encoder.shape.hidden)
    tensors = read_tensors(directory / OWN_HEAD, shapes, f"a {format_} head for {encoder.shape.hidden} features")
    return PortableHead(format_, labels, tensors, task)


def named(directory: Path, head: PortableHead) -> PortableHead:
    """A head that the library's own file holds, with what head_config.json calls its task and labels.

    Raises FormatError where the two are of different heads.
    """
    format_, labels, task = _config(directory)
    if (format_, len(labels)) != (head.format, len(head.labels)):
        raise FormatError(
            f"{directory / HEAD_CONFIG} is of a {format_} head with {len(labels)} labels, the weights beside it are of"
            f" {head.format} with {len(head.labels)}: save the adapter again, or delete the file"
        )
    return replace(head, labels=labels, task=task)


def _config(directory: Path) -> tuple[str, tuple[str, ...], str]:
    """Format, labels and task."""
    path = directory / HEAD_CONFIG
    config = read_config(path)
    labels, task = texts(config.get("labels")), config.get("task", "")
    known = portable()
    found = next((one for name, one in known.items() if name == config.get("format")), None)
    if found is None:
        raise FormatError(f"{path}: format {shown(config.get('format'))} is not known; {', '.join(known)} are")
    format_, none = found.name, not found.labelled
    if labels is None or bool(labels) == none or len(set(labels)) < len(labels):
        wanted = "empty" if none else "a list of names, each once"
        raise FormatError(f"{path}: labels {shown(config.get('labels'))} should be {wanted}")
    if not isinstance(task, str):
        raise FormatError(f"{path}: task {shown(task)} should be the name of a task")
    return format_, tuple(labels), task
