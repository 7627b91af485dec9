"""The files of an adapter directory: their names, and reading and writing them whole."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adapterx import reading
from adapterx.files.errors import FormatError
from adapterx.files.pickled import ENDING, PickledTensors
from adapterx.files.settings import LARGEST, listed
from adapterx.store.atomic import write_stream, write_text
from adapterx.wording import plain

CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
HUB_WEIGHTS = "adapter.safetensors"
HEAD_CONFIG = "head_config.json"
HUB_HEAD = "model_head.safetensors"
OWN_HEAD = "head.safetensors"
"""Beside a `peft` adapter, which has no place for a head on a bare encoder."""
METADATA = "adapterx.json"
SETUP = "adapter_setup.json"
FUSION_CONFIG = "adapter_fusion_config.json"
FUSION_WEIGHTS = "model_adapter_fusion.safetensors"

PICKLED = {
    PEFT_WEIGHTS: "adapter_model.bin",
    HUB_WEIGHTS: "pytorch_adapter.bin",
    HUB_HEAD: "pytorch_model_head.bin",
    FUSION_WEIGHTS: "pytorch_model_adapter_fusion.bin",
}
"""What the libraries call the same file where it is pickled."""

NAMES = (METADATA, CONFIG, HEAD_CONFIG, FUSION_CONFIG, OWN_HEAD)
"""Every file that is read, but for those of `WEIGHTS`."""
WEIGHTS = (FUSION_WEIGHTS, HUB_HEAD, PEFT_WEIGHTS, HUB_WEIGHTS)
"""Those that may be pickled instead, the adapter's own last."""
_NAME_BYTES = 255
"""Of a file's name, which is what file systems hold."""
_SHOWN = 3
_LONGEST_NAME = 200
"""Characters of a tensor's name in a message."""


def check_names(names: Collection[str], where: str) -> None:
    """Raise FormatError unless these file names make an adapter directory.

    Args:
        names: of the files in the directory; those of directories below it, written with a slash, are only told.
    """
    if FUSION_CONFIG in names or (CONFIG not in names and any(_is_below(name, FUSION_CONFIG) for name in names)):
        raise FormatError(
            f"{where} has a fusion but no {SETUP}, which names the adapters that it fuses: save all of it with "
            "save_adapter_setup(DIR, Fuse(…), head_setup=NAME, use_safetensors=True)"
        )
    pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")) and "/" not in name)
    if CONFIG not in names:
        below = sorted(name.partition("/")[0] for name in names if _is_below(name, CONFIG))
        more = f"; there are adapters in its directories {listed(below)}: name one, as in …/{below[0]}" if below else ""
        raise FormatError(f"{where} has no {CONFIG}, so it is not an adapter of peft or AdapterHub{more}")
    if not any(held(names, one) for one in (PEFT_WEIGHTS, HUB_WEIGHTS)):
        if pickled:
            raise FormatError(
                f"{where} has only {plain(pickled[0])}, which neither library writes: save the adapter again as "
                "safetensors (adapters: save_adapter(…, use_safetensors=True); peft: save_pretrained)"
            )
        raise FormatError(f"{where} has neither {PEFT_WEIGHTS} nor {HUB_WEIGHTS}: the adapter's weights are missing")


def held(names: Collection[str], wanted: str) -> str | None:
    """Which of these names holds the weights of one of `WEIGHTS`: safetensors where there are some, else the pickle."""
    return next((one for one in (wanted, PICKLED[wanted]) if one in names), None)


def weights_in(directory: Path, wanted: str) -> Path:
    """Where a directory holds the weights of one of `WEIGHTS`."""
    pickled = directory / PICKLED[wanted]
    safe = directory / wanted
    return pickled if pickled.exists() and not safe.exists() else safe


def names_in(directory: Path) -> list[str]:
    """The names in a directory, and in the directories right below it; FormatError where there is no directory."""
    if not directory.is_dir():
        raise FormatError(f"there is no directory {directory}")
    found = []
    for path in directory.iterdir():
        found += [f"{path.name}/{one.name}" for one in path.iterdir()] if path.is_dir() else [path.name]
    return found


def _is_below(name: str, wanted: str) -> bool:
    """Whether this is the path of such a file in a directory right below."""
    return name.count("/") == 1 and name.endswith(f"/{wanted}")


def is_name(text: str) -> bool:
    """Whether a text that stands in a file names an entry of its directory, never one elsewhere."""
    return (
        text.isprintable() and Path(text).name == text and text not in ("", "..") and len(text.encode()) <= _NAME_BYTES
    )


def check_empty(directory: Path) -> None:
    """Raise FormatError where writing would change what is there."""
    if directory.exists() and not directory.is_dir():
        raise FormatError(f"{directory} is a file; name a new directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise FormatError(f"{directory} is not empty, and nothing is ever overwritten: name a new directory")


def write_config(path: Path, content: Mapping[str, Any]) -> None:
    """JSON with sorted keys, as both libraries write it; labels stay in the order of their numbers.

    AdapterHub's `get_labels` takes the order in which they stand for that of the outputs.
    """
    write_text(path, json.dumps(_ordered(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _ordered(value) if isinstance(value, Mapping) and key != "label2id" else value
        for key, value in sorted(content.items())
    }


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object, every number in it finite; FormatError names the file that is missing, too large or is none."""
    try:
        content = reading.read_json(path)
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: save the adapter again") from None
    except reading.UnreadableFile as error:
        raise FormatError(f"{path} {error}") from None
    if not isinstance(content, dict):
        raise FormatError(f"{path} is not a JSON object")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Safetensors, in the order of names. What is written can be read by whomever the umask lets read files."""
    ordered = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    # Not by itself: the library makes files that nobody but their owner may read.
    write_stream(path, lambda temporary: save_file(ordered, temporary, metadata={"format": "pt"}))


def read_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], what: str, ignored: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of a file as float32: exactly those that are expected, in their shapes, or none at all.

    Args:
        shapes: expected shape by name in the file.
        what: whose tensors they are, for messages.
        ignored: names of tensors that are somebody else's.

    Raises FormatError naming the file and what is missing, unexpected, misshapen, or too large to compute with.
    """
    with _opened(path) as file:
        found = {name: shape for name, shape in file.shapes.items() if name not in ignored}
        _check(path, found, shapes, what)
        return {name: _usable(path, name, file.tensor(name)) for name in shapes}


def _usable(path: Path, name: str, tensor: Tensor) -> Tensor:
    """The tensor as float32; FormatError where it holds anything but numbers to compute with."""
    if not tensor.is_floating_point():
        raise FormatError(f"{path}: {_told(name)} holds {tensor.dtype}, not floating-point numbers")
    try:
        tensor = tensor.to(torch.float32)
    except RuntimeError:
        raise FormatError(f"{path}: {_told(name)} holds {tensor.dtype}, which cannot be made float32") from None
    # Of a number that is not one, no comparison is true.
    if tensor.numel() and not bool((tensor.abs() <= LARGEST).all()):
        what = "numbers that are not finite" if not bool(tensor.isfinite().all()) else f"numbers beyond {LARGEST:g}"
        raise FormatError(f"{path}: {_told(name)} holds {what}: its training has diverged, or the file is damaged")
    return tensor


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The names in a file of tensors, and the shape of each."""
    with _opened(path) as file:
        return dict(file.shapes)


def read_all(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file as float32, each once where it has several names; errors as of `read_tensors`.

    The name is the one that a library gives a parameter that several modules have: the first.
    """
    with _opened(path) as file:
        return {name: _usable(path, name, file.tensor(name)) for name in file.shapes if name not in file.aliases}


class _TensorFile(Protocol):
    """A file of named tensors, open."""

    shapes: Mapping[str, tuple[int, ...]]
    aliases: Collection[str]

    def tensor(self, name: str) -> Tensor: ...


class _SafeTensors:
    """A safetensors file."""

    def __init__(self, opened: Any) -> None:
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(opened.get_slice(name).get_shape())
            for name in opened.keys()  # noqa: SIM118  no mapping
        }
        self.aliases: Collection[str] = ()
        self.tensor = opened.get_tensor


@contextmanager
def _opened(path: Path) -> Iterator[_TensorFile]:
    """A file of tensors, open; FormatError for one that is missing, no regular file, or damaged."""
    kind = "file of pickled tensors" if path.suffix == ENDING else "safetensors file"
    try:
        reading.regular(path)
        if path.suffix == ENDING:
            yield PickledTensors(path)
            return
        with safe_open(path, framework="pt") as file:
            yield _SafeTensors(file)
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: save the adapter again") from None
    except reading.UnreadableFile as error:
        raise FormatError(f"{path} {error}") from None
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path} is not a whole {kind}: {plain(str(error), 200)}") from error


def _check(path: Path, found: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    advice = "check that the adapter was trained on this backbone, and save it again"
    if missing := [name for name in shapes if name not in found]:
        raise FormatError(f"{path} lacks {_list(missing)} of {what}; {advice}")
    if unexpected := [name for name in found if name not in shapes]:
        raise FormatError(f"{path} has {_list(unexpected)}, which {what} has no place for; {advice}")
    for name, shape in shapes.items():
        if found[name] != shape:
            raise FormatError(f"{path}: {_told(name)} is {found[name]}, but {what} needs {shape}; {advice}")


def _told(name: str) -> str:
    return plain(name, _LONGEST_NAME)


def _list(names: list[str]) -> str:
    shown = ", ".join(_told(name) for name in sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
