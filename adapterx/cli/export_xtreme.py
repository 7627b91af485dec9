"""`adapterx export-xtreme`: predictions as a submission to XTREME."""

from __future__ import annotations

import argparse
import sys

from adapterx import places
from adapterx.cli import common

HELP = "write a setting's predictions as an XTREME submission"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument(
        "cell", nargs="?", default="", metavar="CELL", help="a cell's name, or how those of one setting begin"
    )
    parser.add_argument("--out", required=True, type=places.expanded, metavar="DIR", help="a new directory")
    parser.add_argument("--seed", type=int, metavar="N", help="the cells of this seed")
    parser.add_argument("--partial", action="store_true", help="write tasks that lack languages, too")
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write a setting's predictions, and print what they are of."""
    from adapterx.executors.export_xtreme import FOLDER, export
    from adapterx.results import run_file
    from adapterx.store import Store
    from adapterx.tasks.xtreme import TASKS

    directory = common.run_directory(args)
    store = Store(args.store or directory.parent.parent)
    made = export(store, run_file.read(directory), args.out, args.cell, args.seed, partial=args.partial)
    for one in made:
        languages = f"{len(one.languages)} of {len(one.task.languages)} languages"
        where, why = args.out / FOLDER / one.task.folder, " (collapsed)" if one.collapsed else ""
        sys.stdout.write(f"{where}: {one.task.title}, {languages}, {one.items:,} items, from {one.cell}{why}\n")
    if left := [task.title for task in TASKS.values() if task not in [one.task for one in made]]:
        sys.stdout.write(f"without {', '.join(left)}, of which these cells have no stored evaluation\n")
    return 0
