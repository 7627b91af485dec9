"""Adapters from the Hub, fetched at a commit, and what they are in words."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapterx.executors.answer import library_remarks, parts_of
from adapterx.executors.origin import Origin, on_backbone, told
from adapterx.files.adapter_files import check_empty
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed
from adapterx.formats import fetch
from adapterx.formats.fetch import Located
from adapterx.methods.base import MethodSpec
from adapterx.wording import plain


@dataclass(frozen=True)
class Pulled:
    """An adapter that is here now."""

    directory: Path
    told: tuple[str, ...]
    """Lines about it."""


def pulled(name: str, backbone: str | None, out: Path | None) -> Pulled:
    """Fetch an adapter, and look at it where its backbone can be described.

    Args:
        name: as `fetch.parsed` reads it.
        backbone: the model it was trained on, where its files do not say.
        out: a new directory for a copy of its files.

    Raises FormatError for what is no adapter or does not fit its backbone, and HubError.
    """
    if out is not None:
        check_empty(out)
    located = fetch.fetched(fetch.parsed(name))
    lines = [f"{name} is at commit {located.commit}"]
    try:
        origin = on_backbone(name, located, backbone)
    except FormatError:
        raise
    except ValueError as error:  # of a backbone that cannot be reached, say; the adapter itself is here
        lines.append(f"it was not compared with its backbone: {error}")
    else:
        lines += _described(origin)
    if out is not None:
        _copy(located, out)
    return Pulled(out or located.directory, tuple(lines))


def _described(origin: Origin) -> Iterator[str]:
    """What an adapter is."""
    yield from origin.remarks
    languages = origin.known.languages if origin.known is not None else {}
    whole = parts_of(origin.directory, origin.known, origin.encoder, next(iter(languages), None), headless=True)
    for slot in whole.slots:
        yield f"{_in_words(slot.method)}: {sum(tensor.numel() for tensor in slot.tensors.values()):,} parameters"
    yield from library_remarks(whole.slots, origin)
    if languages:
        yield f"its lowest adapter takes turns with the language of the texts: {listed(languages)}"
    if whole.head is None:
        yield f"it has no head that can be used: {whole.headless}" if whole.headless else "it has no prediction head"
        return
    head = told(whole.head, origin.known, origin.directory)
    labels = f" of {listed(head.labels)}" if head.labels else ""
    yield f"its head answers {head.format}{labels}" + (f", as in '{plain(head.task)}'" if head.task else "")


def _in_words(method: MethodSpec) -> str:
    """A method, with its settings where they are this package's."""
    if method.made_by_library:
        return f"an adapter of `{method.kind}`"
    if method.mixed:
        return "a fusion of those"
    settings = method.model_dump(mode="json", exclude={"kind"}).items()
    words = [f"{key} {value}" for key, value in settings if value not in (None, False, 0, 0.0)]
    return f"{method.plural or method.kind} ({plain(', '.join(words), 200)})"


def _copy(located: Located, out: Path) -> None:
    """Copy an adapter's files into a new directory, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pull-") as scratch:
        new = Path(scratch) / "new"
        for name in located.files:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(located.directory / name, new / name)
        if out.is_dir():
            out.rmdir()
        shutil.move(new, out)
