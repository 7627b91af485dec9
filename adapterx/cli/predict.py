"""`adapterx predict`: an adapter's answers to new items."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from adapterx import places, reading
from adapterx.cli import common

HELP = "answer new items with an adapter"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "adapter", metavar="DIR", help="an adapter's directory, or its id on the Hub (ID@REVISION/FOLDER)"
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="items as JSON lines (default: standard input)")
    parser.add_argument("--task", required=True, help="the task that the head answers")
    parser.add_argument(
        "--language",
        type=_language,
        metavar="LANG",
        help="of the texts, repeated in every answer; where adapters take turns by language, it says which one acts",
    )
    parser.add_argument("--backbone", metavar="MODEL", help="the model it was trained on (MODEL@REVISION on the Hub)")
    common.label_argument(parser)
    parser.add_argument("--revision", help="commit, tag or branch of an adapter on the Hub")


def run(args: argparse.Namespace) -> int:
    """Print an answer per item, as JSON lines."""
    import json

    from adapterx.executors.answer import answers, prepare

    answering = prepare(
        args.adapter, args.revision, args.task, args.backbone, Path.cwd(), args.language, args.labels or ()
    )
    for remark in answering.remarks:
        sys.stderr.write(f"{remark}\n")
    escape = common.is_narrow()
    for answer in answers(answering, _lines(args.file), args.file or "standard input", args.language):
        sys.stdout.write(json.dumps(answer, ensure_ascii=escape, allow_nan=False) + "\n")
    return 0


def _lines(file: str | None) -> Iterator[str]:
    """The lines of a file, or of standard input. Only line feeds end a line: texts may hold other separators.

    A line longer than any item comes cut, so that a file without line feeds is never in memory.
    """
    from adapterx.tasks.items import LONGEST

    name = file or "standard input"
    try:
        source = contextlib.nullcontext(sys.stdin.buffer) if file is None else reading.items_file(places.expanded(file))
    except reading.UnreadableFile as error:
        raise common.CommandError(f"{name}: {error}; `< FILE` reads what is none") from None
    with source as stream:
        # UTF-8 takes four bytes for a character at most, so that what comes cut is still too long for an item.
        for number, line in enumerate(iter(lambda: stream.readline(4 * LONGEST + 8), b""), start=1):
            cut = len(line) > 4 * LONGEST
            try:
                first = number == 1 and not cut  # may begin with a byte order mark, or be of another encoding
                text = reading.decoded(line) if first else line.decode("utf-8", "replace" if cut else "strict")
            except reading.UnreadableFile as error:
                raise common.CommandError(f"{name}: {error}") from None
            except UnicodeDecodeError as error:
                raise common.CommandError(
                    f"{name}:{number}: is not UTF-8 text (byte {error.start} of the line)"
                ) from None
            yield text.removesuffix("\n")


def _language(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", text):
        raise argparse.ArgumentTypeError(f"should be a language code such as 'de', not {text!r}")
    return text
