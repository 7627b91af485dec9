"""`adapterx export`: a trained cell as the files of a library."""

from __future__ import annotations

import argparse
import sys

from adapterx import places
from adapterx.cli import common

HELP = "write a trained cell as peft or AdapterHub adapters"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("cell", metavar="CELL", help="a cell's name in the run, or how it begins")
    parser.add_argument("--format", required=True, choices=("peft", "adapterhub"), help="whose files to write")
    parser.add_argument("--out", required=True, type=places.expanded, metavar="DIR", help="a new directory")
    parser.add_argument(
        "--run", metavar="RUN", help="a run's name, its directory, or its recipe (default: the only run)"
    )
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write a cell's adapters, and print their directories."""
    from adapterx.publish.base import Leaving, write
    from adapterx.publish.registry import PUBLISHERS
    from adapterx.results import run_file
    from adapterx.store import Store

    if args.run is None:
        args.run = common.only_run(args)
    directory = common.run_directory(args)
    leaving = Leaving(Store(args.store or directory.parent.parent), run_file.read(directory), args.cell)
    for line in write(PUBLISHERS[args.format].prepare(leaving), args.out):
        sys.stdout.write(f"{line}\n")
    return 0
