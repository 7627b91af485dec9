"""`adapterx publish`: adapters as repositories of the Hub, with cards."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx import places
from adapterx.cli import common
from adapterx.store.store import RUN

if TYPE_CHECKING:
    from adapterx.publish.hub.session import PublishOptions, Session

HELP = "publish adapters on the Hub, checked in their own library, with cards"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what", metavar="CELL|DIR|RUN", help="a cell's name or how it begins, an adapter's directory, or a whole run"
    )
    parser.add_argument("--run", metavar="RUN", help="the run of a cell: its name, directory or recipe")
    parser.add_argument(
        "--repo", metavar="USER/NAME", help="the repository; of a run USER, or USER/PREFIX for the names of all"
    )
    parser.add_argument("--format", choices=("peft", "adapterhub"), help="whose files (default: what fits)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="of stored weights (float32)")
    parser.add_argument(
        "--base-model",
        action="append",
        default=[],
        metavar="ID[@REVISION]",
        help="the public equal of a local backbone; BACKBONE=ID where a run has several",
    )
    parser.add_argument(
        "--upload-base", metavar="USER/NAME", help="publish the embedded backbone too, as the model that adapters name"
    )
    parser.add_argument("--licence", metavar="NAME", help="the Hub's name of a licence (default: from base and data)")
    parser.add_argument("--merged-seeds", choices=("best", "each"), help="one repository for all seeds, or for each")
    parser.add_argument("--private", action="store_true", default=None, help="make private repositories")
    parser.add_argument("--pr", action="store_true", default=None, help="offer changes as pull requests")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--dry-run", action="store_true", help="write what would be uploaded, and upload nothing")
    actions.add_argument("--status", action="store_true", help="tell what is up, changed or missing")
    actions.add_argument("--verify", action="store_true", help="download what is up, compare it, and have it answer")
    actions.add_argument("--cards-only", action="store_true", help="update cards and scores, no weights")
    actions.add_argument("--delete", action="store_true", help="delete the repositories that were published")
    parser.add_argument("--yes", action="store_true", help="really delete")
    parser.add_argument("--out", type=places.expanded, metavar="DIR", help="where folders are written")
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Publish, or tell what is published."""
    from adapterx.publish.hub import actions

    if args.delete and not args.yes:
        raise common.CommandError("--delete takes published repositories off the Hub for good: add --yes to mean it")
    # The newest clients ask for a storage that mirrors and test servers lack, and do as well without it.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    session = _session(args)
    chosen = next((name for name in actions.ACTIONS if getattr(args, name, False)), "upload")
    code = 0
    for line in actions.act(session, chosen):
        sys.stdout.write(f"{line.text}\n")
        sys.stdout.flush()
        code = max(code, common.FAILED if line.failed else 0)
    return code


def _session(args: argparse.Namespace) -> Session:
    """What is to be published, and how."""
    from adapterx.publish.hub import session

    asked = _asked(args)
    given = places.expanded(args.what)
    if given.is_dir() and not (given / RUN).is_file():
        return session.of_directory(given, asked, common.store_root(args))
    cell = "" if _names_a_run(args, given) else args.what
    if cell:
        args.run = args.run or common.only_run(args)
    else:
        args.run = args.what
    beside = places.expanded(args.run).parent if str(args.run).endswith((".yaml", ".yml")) else Path.cwd()
    directory = common.run_directory(args)
    return session.of_run(directory, args.store or directory.parent.parent, cell, asked, beside)


def _names_a_run(args: argparse.Namespace, given: Path) -> bool:
    """Whether the first argument is a run's directory, recipe or name, rather than a cell's."""
    if (given / RUN).is_file() or given.suffix in (".yaml", ".yml"):
        return True
    return args.run is None and (common.store_root(args) / "runs" / args.what / RUN).is_file()


def _asked(args: argparse.Namespace) -> PublishOptions:
    """The options, as far as they are given."""
    from adapterx.publish.hub.session import PublishOptions

    settings = {
        "format": args.format,
        "dtype": args.dtype,
        "licence": args.licence,
        "merged_seeds": args.merged_seeds,
        "private": args.private,
        "pull_request": args.pr,
    }
    return PublishOptions(
        repository=args.repo,
        settings={name: value for name, value in settings.items() if value is not None},
        bases=tuple(args.base_model),
        upload_base=args.upload_base,
        out=args.out,
    )
