"""What was found out about a machine, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from adapterx import __version__
from adapterx.doctor.disks import CacheSize, WritablePlace
from adapterx.doctor.examined import Examined
from adapterx.doctor.fits import BATCH, LENGTH, Fits
from adapterx.doctor.libraries import Library
from adapterx.pace.calibration import CURE, FoundCalibration, is_busy
from adapterx.terminal import Column, TextGrid
from adapterx.wording import size

ABSENT = "-"


def page(found: Examined, reasons: Sequence[str], advice: Sequence[str]) -> RenderableType:
    """Facts, then the table of backbones, then what stands in the way."""
    lines = [*_machine(found), *_formats(found), *_kept(found), *_hub(found), *_calibration(found.calibration)]
    grid = TextGrid(
        [Column("machine", names=True), Column("", folds=True)], [[Text(name), text] for name, text in lines]
    )
    parts: list[RenderableType] = [grid, Text(), _libraries(found)]
    parts += [Text(), *_fits(found), Text(), *_verdict(reasons, advice)]
    return Group(*parts)


def _machine(found: Examined) -> Iterator[tuple[str, Text]]:
    here, room = found.processor, found.memory
    instructions = (
        "unknown" if here.instructions is None else " ".join(here.instructions) or "none of those that matter"
    )
    yield "adapterx", Text(f"{__version__}, Python {found.python}")
    yield "processor", Text(f"{here.model}, {_count(here.cores, 'core')}, {_count(found.threads, 'thread')}")
    yield "instructions", Text(instructions)
    for gpu in found.gpus:
        capability = "unknown" if gpu.capability is None else f"{gpu.capability[0]}.{gpu.capability[1]}"
        yield (
            "GPU",
            Text(f"{gpu.name}, {_size(gpu.total)}, compute capability {capability}, driver {gpu.driver or 'unknown'}"),
        )
    if not found.gpus:
        yield "GPU", Text("none" if found.used is None else f"{found.used.name}, {_size(found.used.total)}")
    yield "runs on", Text("the GPU" if found.used else "the CPU")
    limit = "" if room.limit is None else f", a limit of {_size(room.limit)} for this process"
    swap = f", {_size(room.swap)} in swap space" if room.swap else ""
    yield "memory", Text(f"{_size(room.total)}, {_size(room.free)} free{limit}{swap}")


def _formats(found: Examined) -> Iterator[tuple[str, Text]]:
    for name, one in found.formats.items():
        words = f"fast, by {', '.join(one.by)}" if one.fast else "not fast here"
        yield name, Text(words, style="" if one.fast else "dim")


def _kept(found: Examined) -> Iterator[tuple[str, Text]]:
    yield "store", _place(found.store)
    yield "cache", _place(found.cache, found.caches.get("adapterx"))
    hub = found.caches.get("hub")
    yield "Hub's cache", Text("nobody can say where" if hub is None else f"{hub.path}: {_held(hub)}")


def _place(place: WritablePlace, held: CacheSize | None = None) -> Text:
    if place.error:
        return Text(place.error, style="red")
    inside = "" if held is None else f"{_held(held)}, "
    return Text(f"{place.path}: {inside}{_size(place.free)} free on its disk")


def _held(one: CacheSize) -> str:
    return f"{'' if one.complete else 'more than '}{size(one.size)}"


def _hub(found: Examined) -> Iterator[tuple[str, Text]]:
    if found.token is None:
        login = "no token: what is gated or private cannot be read"
    elif found.token == "file":  # noqa: S105  a place, no token
        login = "a token in the file that `hf auth login` writes"
    else:
        login = f"a token in the variable {found.token}"
    yield "Hub login", Text(login)
    yield "Hub offline", Text("yes, HF_HUB_OFFLINE is set" if found.offline else "no")


def _calibration(found: FoundCalibration) -> Iterator[tuple[str, Text]]:
    kept = found.calibration
    if kept is None:
        yield "calibration", Text(found.note or f"none here, so times go by a rule of thumb; {CURE}")
        return
    busy = f"; the machine was busy then (load {kept.load:.1f}), so {CURE} again" if is_busy(kept.load) else ""
    yield (
        "calibration",
        Text(
            f"of {kept.measured.isoformat()}, in {', '.join(sorted(kept.rates))}; its rates give the measured times to"
            f" {100 * kept.largest_error:.0f} %{busy}"
        ),
    )


def _libraries(found: Examined) -> TextGrid:
    columns = [Column("library", names=True), Column("version"), Column("without it", folds=True)]
    rows = [_row(one) for one in found.libraries if one.wanted.told or not one.usable]
    return TextGrid(columns, rows)


def _row(one: Library) -> list[Text]:
    name = Text(one.wanted.name)
    if one.usable:
        return [name, Text(one.version or ""), Text()]
    style = "red" if one.wanted.required else "yellow"
    if one.version is None:
        return [name, Text("absent", style=style), Text(f"{one.wanted.without}; {one.wanted.cure}")]
    return [name, Text(one.version, style=style), Text(f"cannot be imported ({one.error}): {one.wanted.without}")]


def _fits(found: Examined) -> Iterator[RenderableType]:
    if found.fits is None:
        yield Text(f"no table of backbones: {found.fits_error}", style="yellow")
        return
    yield Text(
        f"LoRA cells (rank 8 on query and value, batches of {BATCH} × {LENGTH} tokens) that train at once in"
        f" {size(found.fits.memory)}, by backbone and precision"
    )
    yield _table(found.fits)


def _table(fits: Fits) -> TextGrid:
    precisions = list(next(iter(fits.cells.values())))
    columns = [Column("backbone", names=True), *(Column(name, right=True) for name in precisions)]
    return TextGrid(
        columns,
        [
            [Text(name), *(Text(str(row[one]) if row[one] else ABSENT) for one in precisions)]
            for name, row in fits.cells.items()
        ],
    )


def _verdict(reasons: Sequence[str], advice: Sequence[str]) -> Iterator[Text]:
    for line in advice:
        yield Text.assemble(("advice: ", "yellow"), line)
    for line in reasons:
        yield Text.assemble(("stands in the way: ", "red"), line)
    if reasons:
        yield Text("The quickstart will not run.", style="red")
    else:
        yield Text("The quickstart will run: adapterx run recipes/quickstart.yaml", style="green")


def _size(count: int | None) -> str:
    return "unknown" if count is None else size(count)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
