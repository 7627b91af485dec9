"""`adapterx pull`: an adapter from the Hub, on this machine and looked at."""

from __future__ import annotations

import argparse
import sys

from adapterx.cli import common
from adapterx.places import expanded

HELP = "fetch an adapter from the Hub and say what it is"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("adapter", metavar="REPO", help="its name on the Hub: ID, ID@REVISION, ID@REVISION/FOLDER")
    parser.add_argument("--backbone", metavar="MODEL", help="the model it was trained on, where its files do not say")
    parser.add_argument(
        "--out", type=expanded, metavar="DIR", help="a new directory to copy it to (default: the Hub's cache alone)"
    )


def run(args: argparse.Namespace) -> int:
    """Fetch the adapter, tell what it is on stderr, and print its directory."""
    from adapterx.executors.pull import pulled
    from adapterx.formats.fetch import is_here

    if is_here(args.adapter):
        raise common.CommandError(f"{args.adapter} is here already; pull takes the name of an adapter on the Hub")
    found = pulled(args.adapter, args.backbone, args.out)
    for line in found.told:
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(f"{found.directory}\n")
    return 0
