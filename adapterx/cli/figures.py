"""`adapterx figures`: a run's figures and tables for a paper."""

from __future__ import annotations

import argparse
import sys

from adapterx import places
from adapterx.cli import common, envelope

HELP = "figures (PDF, SVG, PNG) and LaTeX tables of a run, for a paper"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument("--out", required=True, type=places.expanded, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--formats", type=_formats, default=("pdf", "svg", "png"), metavar="A,B", help="default: pdf,svg,png"
    )
    parser.add_argument("--dpi", type=common.at_least(30), default=300, metavar="N", help="of PNGs (default 300)")
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print their paths."""
    from adapterx.report.paper import write_paper

    written = write_paper(common.analysed(args), args.out, args.formats, args.dpi)
    if args.json:
        envelope.tell({"adapterx_figures": 1, "files": [str(path) for path in written]})
    else:
        sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


def _formats(text: str) -> tuple[str, ...]:
    known = ("pdf", "svg", "png")
    names = common.listed_names(text)
    if wrong := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: figures are written as {', '.join(known)}")
    return names
