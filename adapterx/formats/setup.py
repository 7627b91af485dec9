"""AdapterHub's composed setups: `adapter_setup.json` beside one directory per adapter, and one of the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from adapterx.files.adapter_files import SETUP, is_name, read_config, write_config
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed
from adapterx.formats.adapterhub import VERSION
from adapterx.formats.codec import adapterhub_codec
from adapterx.methods.base import MethodSpec
from adapterx.wording import shown

Composition: TypeAlias = Literal["Stack", "Fuse"]


@dataclass(frozen=True)
class Setup:
    """Adapters one upon the other (Stack), or side by side under a fusion, each in the directory of its name."""

    adapters: tuple[str, ...]
    """The lowest first."""
    head: str | None
    """The directory of the head."""
    kind: Composition = "Stack"


def write(directory: Path, setup: Setup) -> None:
    """Write adapter_setup.json, as `save_adapter_setup(…, head_setup=…)` does."""
    singles = [{"type": "single", "children": [name]} for name in setup.adapters]
    content = {"adapter_setup": {"type": setup.kind, "children": singles}, "head_setup": setup.head, "version": VERSION}
    write_config(directory / SETUP, content)


def read(directory: Path) -> Setup | None:
    """What a directory's adapter_setup.json composes, None where there is none; FormatError for other compositions."""
    path = directory / SETUP
    if not path.exists():
        return None
    content = read_config(path)
    head = content.get("head_setup")
    if not (head is None or _is_name(head)):
        raise FormatError(f"{path}: head_setup {shown(head)} is not supported; the name of one head is")
    composed: Any = content.get("adapter_setup")
    if (single := _single(composed)) is not None:
        return Setup((single,), head)
    given = composed.get("type") if isinstance(composed, dict) else composed
    kind: Composition | None = next((one for one in get_args(Composition) if one == given), None)
    children = composed.get("children") if kind else None
    names = [_single(child) for child in children] if isinstance(children, list) else []
    if kind is None or not names or None in names:
        raise FormatError(
            f"{path}: a setup of type {shown(given)} cannot be read; Stack and Fuse of single adapters can"
        )
    if len(set(names)) < len(names):
        raise FormatError(f"{path}: the adapters {listed(map(str, names))} are not all different")
    return Setup(tuple(name for name in names if name is not None), head, kind)


def check(methods: Sequence[MethodSpec], where: str) -> None:
    """Refuse stacks that the library computes in another way than this package."""
    if len(methods) < 2:
        return
    if len({type(method) for method in methods}) > 1:
        raise FormatError(f"{where}: adapters of different kinds cannot be stacked here")
    codec = adapterhub_codec(methods[0])
    if codec is not None and (why := codec.check_stack(methods)):
        raise FormatError(f"{where}: {why}")


def _single(block: Any) -> str | None:
    children = block.get("children") if isinstance(block, dict) and block.get("type") == "single" else None
    return children[0] if isinstance(children, list) and len(children) == 1 and _is_name(children[0]) else None


def _is_name(value: object) -> bool:
    """Whether this names a directory beside the file, never one elsewhere."""
    return isinstance(value, str) and is_name(value)
