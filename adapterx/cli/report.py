"""`adapterx report`: the report of a run, or of several as one, written again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from adapterx import places
from adapterx.cli import common, envelope

HELP = "write the report of a run again, or of several as one"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", nargs="+", metavar="RUN", help="a run's name, its directory, or its recipe; several merge"
    )
    parser.add_argument(
        "--out",
        type=places.expanded,
        metavar="DIR",
        help="where the folder `report` goes (default: the run's directory; of several, one named after them)",
    )
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write a report, and print where it is."""
    from adapterx import report
    from adapterx.store import Store

    directories = [_directory(args, name) for name in dict.fromkeys(args.run)]
    stores = [Store(args.store or directory.parent.parent) for directory in directories]
    beside = common.beside(args.run[0])
    if len(directories) == 1 and args.out is None:
        page = report.build(stores[0], directories[0], beside)
    elif len(directories) == 1:
        page = report.write(report.analyse(stores[0], directories[0]), args.out, beside)
    else:
        from adapterx.report.collect import collect
        from adapterx.report.merge import merged

        whole = merged([collect(store, directory) for store, directory in zip(stores, directories, strict=True)])
        page = report.write(report.statistics(whole), args.out or directories[0].with_name(whole.run.name), beside)
    if args.json:
        envelope.tell({"adapterx_report": 1, "report": str(page)})
    else:
        sys.stdout.write(f"{page}\n")
    return 0


def _directory(args: argparse.Namespace, name: str) -> Path:
    return common.run_directory(argparse.Namespace(run=name, store=args.store))
