"""`adapterx report`: the report of a run, written again."""

from __future__ import annotations

import argparse
import sys

from adapterx.cli import common

HELP = "write the report of a run again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's name, its directory, or its recipe")
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write a report, and print where it is."""
    from adapterx.store import Store

    directory = common.run_directory(args)
    from adapterx import report

    written = report.build(Store(args.store or directory.parent.parent), directory)
    sys.stdout.write(f"{written}\n")
    return 0
