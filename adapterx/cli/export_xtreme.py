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
    from adapterx.publish.base import Leaving, write
    from adapterx.publish.registry import PUBLISHERS
    from adapterx.results import run_file
    from adapterx.store import Store

    directory = common.run_directory(args)
    store = Store(args.store or directory.parent.parent)
    leaving = Leaving(store, run_file.read(directory), args.cell, args.seed, args.partial)
    for line in write(PUBLISHERS["xtreme"].prepare(leaving), args.out):
        sys.stdout.write(f"{line}\n")
    return 0
