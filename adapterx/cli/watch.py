"""`adapterx watch`: how far a run is, from any terminal."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.cli import common, envelope
from adapterx.store.identity import JSON
from adapterx.wording import plain

if TYPE_CHECKING:
    from adapterx.results.progress_file import RunProgressFile
    from adapterx.results.run_file import Run
    from adapterx.store import Store

HELP = "how far a run is, from any terminal"
SHOWN = 12
"""Trainings whose losses are shown."""
WORDS = {
    "running": "at work",
    "done": "has come to its end",
    "interrupted": "was interrupted; `adapterx run` goes on with it",
    "failed": "ended by an error; `adapterx run` goes on with it",
    "dead": "is not there any more: it was killed, or its machine was restarted; `adapterx run` goes on with it",
    "silent": "has not been heard of for minutes: it works on another machine, if it does",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument("--once", action="store_true", help="tell it once and end; so does --json")
    parser.add_argument(
        "--every", type=common.above_zero, default=2.0, metavar="SECONDS", help="between two looks (default 2)"
    )
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Show a run until it is over; 0 if all is well, 1 where it is dead or did not come to its end."""
    from adapterx.results import run_file
    from adapterx.store import Store

    if args.run is None:
        args.run = common.only_run(args)
    directory = common.run_directory(args)
    store, planned = Store(args.store or directory.parent.parent), run_file.read(directory)
    if args.json or args.once:
        found = _found(directory)
        if args.json:
            envelope.tell(_json(planned, store, found))
        else:
            sys.stdout.write("\n".join(_lines(planned, store, found, set())) + "\n")
        return _code(found)
    return _live(args, directory, store, planned)


def _live(args: argparse.Namespace, directory: Path, store: Store, planned: Run) -> int:
    """Look again and again: in one place of a terminal, in new lines elsewhere, where something has changed."""
    from rich.live import Live
    from rich.text import Text

    console, before, known = common.console(), "", set[str]()
    with Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else nullcontext() as live:
        while True:
            found = _found(directory)
            lines = list(_lines(planned, store, found, known))
            if isinstance(live, Live):
                live.update(Text("\n".join(lines)), refresh=True)
            elif (now := "\n".join(lines)) != before:
                sys.stdout.write(f"{now}\n\n")
                sys.stdout.flush()
                before = now
            if found is None or found.seen(time.time()) != "running":
                return _code(found)
            time.sleep(args.every)


def _found(directory: Path) -> RunProgressFile | None:
    from adapterx.results import progress_file

    try:
        return progress_file.read(directory)
    except ValueError as error:
        raise common.CommandError(str(error), directory / progress_file.NAME) from error


def _code(found: RunProgressFile | None) -> int:
    return 0 if found is None or found.seen(time.time()) in ("running", "done") else common.FAILED


def _cells(planned: Run, store: Store, known: set[str]) -> Mapping[str, int]:
    """How many cells are evaluated, failed, refused, or still to be done.

    Args:
        known: ids of evaluations that an earlier look has found; those of this one are added.
    """
    counts: Counter[str] = Counter()
    for one in planned.cells:
        if one.refused is not None or one.evaluation is None:
            counts["refused"] += 1
            continue
        ref = one.evaluation
        if ref.id in known or store.find(ref.id, ref.kind, ref.label) is not None:
            known.add(ref.id)
            counts["evaluated"] += 1
        elif any(store.failure(stage.kind, stage.label, stage.id) for stage in one.stages):
            counts["failed"] += 1
        else:
            counts["to do"] += 1
    return counts


def _lines(planned: Run, store: Store, found: RunProgressFile | None, known: set[str]) -> Iterator[str]:
    from adapterx.executors.progress import duration

    counts = _cells(planned, store, known)
    total = sum(counts.values())
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    yield f"{planned.name}: {total:,} cell{'' if total == 1 else 's'}, {told}"
    if found is None:
        yield "it has not begun to work, or was run by a version that told nobody"
        return
    now = time.time()
    seen = found.seen(now)
    process = f" (process {found.process})" if seen in ("running", "dead") else ""
    yield f"the run{process} {'is ' if seen == 'running' else ''}{WORDS[seen]}"
    elapsed = (now if seen == "running" else found.updated) - found.started
    left = "" if found.left is None or seen != "running" else f", about {duration(found.left)} left"
    failed = f", {found.failed} failed" if found.failed else ""
    yield f"{found.share:.0%} after {duration(elapsed)}{left}; {found.done} of {found.stages} stages done{failed}"
    if seen == "running" and found.what:
        yield plain(found.what, 200)
    rate = found.steps_per_second
    if seen == "running" and rate and found.cells:
        together = f" × {len(found.cells)} trainings" if len(found.cells) > 1 else ""
        yield f"{rate:.2f} steps a second{together}"
    if seen == "running":
        for one in found.cells[:SHOWN]:
            loss = "not finite" if one.loss is None or not math.isfinite(one.loss) else f"{one.loss:.4f}"
            yield f"  {plain(one.label, 120)}: step {one.step} of {one.steps}, loss {loss}"
        if len(found.cells) > SHOWN:
            yield f"  and {len(found.cells) - SHOWN} more"


def _json(planned: Run, store: Store, found: RunProgressFile | None) -> JSON:
    cells: dict[str, JSON] = dict(_cells(planned, store, set()))
    if found is None:
        return {"adapterx_watch": 1, "run": planned.name, "cells": cells, "seen": None, "progress": None}
    progress = asdict(found)
    progress["cells"] = [dict(cell) for cell in progress["cells"]]
    seen = found.seen(time.time())
    return {"adapterx_watch": 1, "run": planned.name, "cells": cells, "seen": seen, "progress": progress}
