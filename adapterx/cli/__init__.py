"""The commands, a module each, which imports what it needs when it runs, so that `--help` answers at once.

Exit codes: 0 done; 1 some cells failed, or are refused; 2 something that a user can mend (the command, the recipe, a
file, the machine), told on stderr; 70 a defect of the program, whose traceback is in a log file; 129, 130 and 143 a
terminal that closed, an interrupt (Ctrl-C), and a termination request.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TextIO

from adapterx import __version__, crash, faults, stopping
from adapterx.cli import (
    common,
    compare,
    doctor,
    envelope,
    evaluate,
    export,
    export_xtreme,
    figures,
    fuse,
    plan,
    predict,
    publish,
    pull,
    report,
    results,
    run,
    show,
    tasks,
    translate,
    watch,
)
from adapterx.errors import AdapterxError
from adapterx.wording import plain


class Command(Protocol):
    """A module of this package: a command's help, its arguments, and what it does."""

    HELP: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the command; its exit code."""


COMMANDS: Mapping[str, Command] = {
    "plan": plan,
    "run": run,
    "report": report,
    "show": show,
    "compare": compare,
    "results": results,
    "watch": watch,
    "figures": figures,
    "export": export,
    "export-xtreme": export_xtreme,
    "publish": publish,
    "predict": predict,
    "evaluate": evaluate,
    "pull": pull,
    "fuse": fuse,
    "tasks": tasks,
    "translate": translate,
    "doctor": doctor,
}
READING = ("report", "show", "compare", "results", "watch", "figures")
"""Commands of stored runs; with `--json` their errors are JSON too (`cli/envelope.py`)."""
ENVELOPED = (*READING, "translate")
"""All whose errors are."""

_EXAMPLES = """\
examples:
  adapterx plan recipes/quickstart.yaml
  adapterx run recipes/quickstart.yaml train.epochs=2 'seeds=[1,2]'
  adapterx watch quickstart
  adapterx report quickstart
  adapterx show quickstart
  adapterx compare multi en --run quickstart
  adapterx results quickstart --sql 'SELECT language, avg(value) FROM scores GROUP BY language'
  adapterx figures quickstart --out figures
  adapterx export CELL --format adapterhub --out my-adapter
  adapterx export-xtreme xtreme xlmr-large.lora.mnli --seed 1 --out submission
  adapterx publish CELL --repo USER/NAME --dry-run
  adapterx predict my-adapter --task xnli items.jsonl
  adapterx pull someone/adapter@main/folder
  adapterx evaluate my-adapter --task xnli --against someone/adapter@main
  adapterx fuse one-adapter another --out merged --task xnli
  adapterx fuse one-adapter another --method fusion --train lingnli --task xnli --out fused
  adapterx tasks show xnli --language sw
  adapterx translate mnli --to de,sw --engine transformers:facebook/nllb-200-distilled-600M
  adapterx doctor
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    # argparse takes positional arguments in one row; overrides, and the file of `predict`, may also follow an option.
    if any(text.startswith("-") for text in rest):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(args, "overrides"):
        args.overrides += rest
    elif args.command == "predict" and args.file is None and len(rest) == 1:
        (args.file,) = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.command is None:
        parser.print_help()
        return 0
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot draw an arrow shows '?' instead
    try:
        with stopping.heeded(partial(_stopped, args.command), last=argv is None):
            return COMMANDS[args.command].run(args)
    except BrokenPipeError:
        # The reader of our output has gone (`adapterx plan … | head`).
        _mute(sys.stdout)
        return 0
    except stopping.Stopped as stopped:
        try:
            sys.stdout.flush()
            _tell(_stopped(args.command, stopped))
        except OSError:  # there is no terminal any more
            _mute(sys.stdout, sys.stderr)
        if argv is None:
            os._exit(stopped.code)  # taking down torch and its like would keep whoever asked waiting for seconds
        return stopped.code
    except Exception as error:
        if args.debug:
            raise
        given = sys.argv[1:] if argv is None else argv
        enveloped = args.command in ENVELOPED and args.json
        return _ended_by(error, given, getattr(args, "store", None), enveloped)


def _mute(*streams: TextIO) -> None:
    """Let Python write what these have not written yet to nowhere, when it flushes them at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _stopped(command: str, stopped: stopping.Stopped) -> str:
    """What a user is told of a command that was asked to end."""
    words = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}
    word = words.get(stopped.number, "the terminal closed")
    if command not in ("run", "translate"):
        return word
    note = stopped.note or ("finished stages are stored" if command == "run" else "")
    return "; ".join(part for part in (word, note, "run again to go on") if part)


def _ended_by(error: Exception, argv: Sequence[str], store: Path | None, enveloped: bool = False) -> int:
    """Tell what ended a command; its exit code.

    Args:
        enveloped: whether programs are told on stdout too.
    """
    code = common.MISTAKE
    if isinstance(error, AdapterxError):
        message = str(error)
    elif faults.is_out_of_memory(error):
        what = " ".join(str(error).split())
        message = f"the machine's memory does not suffice ({plain(what, 200) or 'nothing more is free'})"
    elif isinstance(error, OSError) or faults.code(error) is not None:
        message = faults.worded(error, store)
    elif isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8":
        name = plain(str(error.object), 200)
        message = f"{name}: no file has such a name in this locale, which is {error.encoding}; set PYTHONUTF8=1"
    else:
        message, code = crash.told(error, argv), crash.SOFTWARE
    _tell(message)
    if enveloped:
        envelope.tell(envelope.error(error, message))
    return code


def _tell(text: str) -> None:
    """Write to stderr, whatever its encoding; lines of several mistakes stay lines."""
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adapterx",
        description="One recipe, one command, a whole grid of adapters over frozen multilingual encoders.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"adapterx {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.HELP))
    _debug_argument(parser, False)
    return parser


def _debug_argument(parser: argparse.ArgumentParser, default: object) -> None:
    """`--debug`, of a parser and of every command below it."""
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _debug_argument(below, argparse.SUPPRESS)  # absent below, what stood above holds
