"""Backbones whose weights are pickles: written once as safetensors, then read like any other.

`pytorch_model.bin`, or `pytorch_model.bin.index.json` with its shards, becomes a plain checkpoint under the cache:
`config.json`, `tokenizer.json`, and the tensors that adapterx reads, under their own names and in their own number
formats, in files of about `GROUP_BYTES` with an index. Before torch opens a file, `pickle_files` has followed its
opcodes, and the shapes are those of the configuration. torch then reads it with `weights_only=True`, mapped into
memory, shard after shard and group after group, so that next to nothing of it is in memory at once. A shard of torch
before 1.6 cannot be mapped: it is read into memory whole, one at a time.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterx import places
from adapterx.backbones import manifest, sizes
from adapterx.backbones.checkpoint import (
    CONFIG,
    INDEX,
    LARGEST_TOKENIZER,
    MASKED_LM,
    TOKENIZER,
    check_regular,
    file_hash,
    weight_files,
)
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.pickle_files import PickledFile, outlined
from adapterx.backbones.pickle_tensors import loaded
from adapterx.reading import MEGABYTE, UnreadableFile, read_json
from adapterx.store import JSON, lock
from adapterx.store.atomic import sweep, write_bytes, write_json, write_stream
from adapterx.wording import plain

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

GROUP_BYTES = 512 * MEGABYTE
"""Bytes of tensors that are written as one file; a larger tensor has one to itself."""
VERSION = 1
"""Raised whenever the written checkpoint would differ, so that an old conversion is never reused."""
_PROGRESS = "progress.json"
"""While a conversion is made: what it is made from, and the SHA-256 of each group that is written."""
_MADE_FROM, _SHA256 = "made_from", "sha256"
_SPARE = 16 * MEGABYTE
"""Room on a disk beside the tensors."""


@dataclass(frozen=True)
class TensorGroup:
    """Tensors of one pickled file that are written as one of safetensors."""

    source: PickledFile
    names: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(self.source.tensors[name].bytes for name in self.names)


def kept(key: str) -> Path | None:
    """The conversion of the backbone of a key, where there is a whole one: the pickles need not be there any more."""
    directory = _place(key)
    return directory if manifest.damage(directory) is None else None


def checkpoint(source: Path, config: Mapping[str, Any], key: str, model: str) -> Path:
    """Directory of the converted checkpoint under the cache; converted on first use, checked to be whole on every use.

    Two processes may ask at once: one converts, the other waits. A conversion cut short goes on with the groups that
    are whole, if the pickles are still the same; one damaged since is mended. Raises BackboneError for pickles that
    hold anything but this backbone, or where the disk has no room, and UnusablePlace if nothing can be written there.

    Args:
        source: the directory with the pickles.
        config: its settings, which `sizes.check` accepts.
        key: names the content: `BackboneInfo.key`.
        model: whose it is, for messages.
    """
    directory = _place(key)
    if manifest.damage(directory) is not None:
        with lock.hold(directory.with_name(f"{directory.name}.lock"), plain(model, None)):
            why = manifest.damage(directory)
            if why:
                logger.warning("%s is damaged (%s); it is made anew", directory, why)
            if why is not None:
                _convert(source, config, directory, model)
    return directory


def check(source: Path, config: Mapping[str, Any], model: str) -> list[TensorGroup]:
    """What of the pickles is kept. Raises BackboneError unless they hold tensors, among them those of the encoder.

    Needs no torch and reads the opcodes alone.
    """
    files = [outlined(path, model) for path in weight_files(source, model)]
    found: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    for file in files:
        for name, tensor in file.tensors.items():
            bare = name.removeprefix("roberta.")
            if bare in found:
                other = found[bare][0]
                raise BackboneError(
                    f"the weights of {plain(model, None)} hold {plain(bare)} twice, in {other} and in {file.path.name}"
                )
            found[bare] = (file.path.name, tensor.storage.kind, tensor.shape)
    sizes.check_tensors(config, found, [file.path.name for file in files], model)
    wanted = {name for name, _ in sizes.tensors(config)} | (found.keys() & MASKED_LM.keys())
    chosen = [(file, [name for name in file.tensors if name.removeprefix("roberta.") in wanted]) for file in files]
    for file, names in chosen:
        _check_own_numbers(file, names, model)
    return [TensorGroup(file, tuple(part)) for file, names in chosen for part in _parts(file, names)]


def _check_own_numbers(file: PickledFile, names: Sequence[str], model: str) -> None:
    """Refuse tensors that are views of the same numbers: what is written would be larger than what is read."""
    where = f"the weights of {plain(model, None)}"
    taken: Counter[str] = Counter()
    for name in names:
        tensor = file.tensors[name]
        if tensor.storage.kind not in sizes.FLOATS:
            raise BackboneError(
                f"{where} are not floating-point numbers: {plain(name)} in {file.path.name} holds {tensor.storage.kind}"
            )
        taken[tensor.storage.key] += tensor.bytes
        if taken[tensor.storage.key] > tensor.storage.bytes:
            raise BackboneError(f"{where} share numbers: {plain(name)} in {file.path.name} overlaps another tensor")


def _parts(file: PickledFile, names: Sequence[str]) -> Iterator[list[str]]:
    """Names in their order, in runs of about GROUP_BYTES."""
    part: list[str] = []
    room = GROUP_BYTES
    for name in names:
        bytes = file.tensors[name].bytes
        if part and bytes > room:
            yield part
            part, room = [], GROUP_BYTES
        part.append(name)
        room -= bytes
    if part:
        yield part


def _place(key: str) -> Path:
    name = key.replace(":", "-", 1).replace("/", "--")
    return places.cache() / "backbones" / "pickled" / f"{name}-c{VERSION}"


def _convert(source: Path, config: Mapping[str, Any], directory: Path, model: str) -> None:
    groups = check(source, config, model)
    made_from: dict[str, JSON] = {
        "version": VERSION,
        "group_bytes": GROUP_BYTES,
        "files": {path.name: file_hash(path) for path in weight_files(source, model)},
    }
    names = [f"model-{number:05}-of-{len(groups):05}.safetensors" for number in range(1, len(groups) + 1)]
    done = _done(directory, made_from, names)
    missing = {name: group for name, group in zip(names, groups, strict=True) if name not in done}
    _check_room(directory, sum(group.bytes for group in missing.values()), model)
    total = sum(group.bytes for group in groups)
    logger.warning(
        "%s has pickled weights only: reading them without running code, and keeping them as safetensors (%s) in %s",
        plain(model, None), _amount(total), directory,
    )  # fmt: skip
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        if path.name not in done:
            path.unlink()
    write_json(directory / _PROGRESS, {_MADE_FROM: made_from, _SHA256: done})
    for name, digest in _written(directory, missing, model):
        done[name] = digest
        write_json(directory / _PROGRESS, {_MADE_FROM: made_from, _SHA256: done})
    _finish(source, directory, made_from, dict(zip(names, groups, strict=True)), model)


def _done(directory: Path, made_from: Mapping[str, JSON], names: Sequence[str]) -> dict[str, JSON]:
    """SHA-256 of the groups that an earlier conversion of the same pickles has left whole."""
    for record in (_PROGRESS, manifest.NAME):
        try:
            found = read_json(directory / record)
            if found[_MADE_FROM] == made_from:
                listed = found[_SHA256]
                return {
                    name: listed[name]
                    for name in names
                    if name in listed and (directory / name).is_file() and file_hash(directory / name) == listed[name]
                }
        except (OSError, UnreadableFile, KeyError, TypeError):
            continue
    return {}


def _check_room(directory: Path, needed: int, model: str) -> None:
    """Raise BackboneError where the disk cannot hold what is to be written; the directory above is there."""
    free = shutil.disk_usage(directory.parent).free
    if needed + _SPARE > free:
        raise BackboneError(
            f"{plain(model, None)} has pickled weights only, and keeping them as safetensors needs "
            f"{_amount(needed + _SPARE)} in {directory.parent}, where {_amount(free)} are free: make room, or choose "
            f"another place with {places.CACHE}"
        )


def _amount(bytes: int) -> str:
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.1f} MB"


def _written(directory: Path, groups: Mapping[str, TensorGroup], model: str) -> Iterator[tuple[str, str]]:
    """Write groups, those of one source one after another; the name and SHA-256 of each that is written."""
    opened: PickledFile | None = None
    tensors: Mapping[str, Tensor] = {}
    for name, group in groups.items():
        if opened is not group.source:
            tensors = {}  # one shard goes before the next one comes
            opened, tensors = group.source, _loaded(group.source, model)
        _write(directory / name, tensors, group)
        yield name, file_hash(directory / name)


def _write(path: Path, source: Mapping[str, Tensor], group: TensorGroup) -> None:
    from safetensors.torch import save_file

    tensors = {name: _own(source[name]) for name in group.names}
    write_stream(path, lambda temporary: save_file(tensors, temporary, metadata={"format": "pt"}))


def _loaded(file: PickledFile, model: str) -> Mapping[str, Tensor]:
    """The tensors of a file that has been followed."""
    where = f"the weights of {plain(model, None)} cannot be read: {file.path.name}"
    try:
        return loaded(file)
    except OSError as error:
        raise BackboneError(f"{where}: {error.strerror or 'the system does not give it'}") from error
    except UnreadableFile as error:
        raise BackboneError(f"{where} {error}") from None


def _own(tensor: Tensor) -> Tensor:
    """The tensor as safetensors takes it: its numbers in order, and no others behind them."""
    import torch

    tensor = tensor.detach()
    alone = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if alone else tensor.clone(memory_format=torch.contiguous_format)


def _finish(
    source: Path, directory: Path, made_from: Mapping[str, JSON], groups: Mapping[str, TensorGroup], model: str
) -> None:
    """Make the groups a plain checkpoint; the manifest comes last."""
    for name in (CONFIG, TOKENIZER):
        check_regular(source / name, model, LARGEST_TOKENIZER)
        write_bytes(directory / name, (source / name).read_bytes())
    weight_map: dict[str, JSON] = {one: name for name, group in groups.items() for one in group.names}
    total = sum(group.bytes for group in groups.values())
    write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    hashes: dict[str, JSON] = {name: file_hash(directory / name) for name in (CONFIG, TOKENIZER, INDEX, *groups)}
    write_json(directory / manifest.NAME, {_MADE_FROM: dict(made_from), _SHA256: hashes})
    sweep(directory)
    (directory / _PROGRESS).unlink(missing_ok=True)
