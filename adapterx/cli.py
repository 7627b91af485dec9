"""The commands. Each imports what it needs when it runs, so that `--help` answers at once.

Exit codes: 0 done; 1 some cells failed, or are refused; 2 something that a user can mend (the command, the recipe, a
file, the machine), told on stderr; 70 a defect of the program, whose traceback is in a log file; 129, 130 and 143 a
terminal that closed, an interrupt (Ctrl-C), and a termination request.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from adapterx import __version__, crash, faults, fuse_command, places, reading, stopping, tasks_command
from adapterx.errors import AdapterxError
from adapterx.wording import plain

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.plan import BackboneInfo, Compare, LibraryAdapter, Look, Plan, TaskFacts
    from adapterx.recipe import Adapters, Backbone, Peft
    from adapterx.tasks.spec import TaskSpec

MISTAKE = 2

_EXAMPLES = """\
examples:
  adapterx plan recipes/quickstart.yaml
  adapterx run recipes/quickstart.yaml train.epochs=2 'seeds=[1,2]'
  adapterx report quickstart
  adapterx export CELL --format adapterhub --out my-adapter
  adapterx export-xtreme xtreme xlmr-large.lora.mnli --seed 1 --out submission
  adapterx predict my-adapter --task xnli items.jsonl
  adapterx fuse one-adapter another --out merged --task xnli
  adapterx fuse one-adapter another --method fusion --train lingnli --task xnli --out fused
  adapterx tasks show xnli --language sw
"""


class CommandError(AdapterxError):
    """A mistake on the command line, worded for the user."""


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
            return _COMMANDS[args.command](args)
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
        return _ended_by(error, sys.argv[1:] if argv is None else argv, getattr(args, "store", None))


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
    if command != "run":
        return word
    return f"{word}; {stopped.note or 'finished stages are stored'}; run again to go on"


def _ended_by(error: Exception, argv: Sequence[str], store: Path | None) -> int:
    """Tell what ended a command; its exit code."""
    if isinstance(error, AdapterxError):
        _tell(str(error))
    elif faults.is_out_of_memory(error):
        what = " ".join(str(error).split())
        _tell(f"the machine's memory does not suffice ({plain(what, 200) or 'nothing more is free'})")
    elif isinstance(error, OSError) or faults.code(error) is not None:
        _tell(faults.worded(error, store))
    elif isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8":
        name = plain(str(error.object), 200)
        _tell(f"{name}: no file has such a name in this locale, which is {error.encoding}; set PYTHONUTF8=1")
    else:
        _tell(crash.told(error, argv))
        return crash.SOFTWARE
    return MISTAKE


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
    plan = commands.add_parser("plan", help="show what a recipe comes to: its stages, what is stored, what it costs")
    _recipe_arguments(plan)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.add_argument("--all", action="store_true", help="list every stage of a long plan")
    run = commands.add_parser("run", help="train, evaluate and report what is not stored yet")
    _recipe_arguments(run)
    run.add_argument(
        "--checkpoint-every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how much work a killed run may lose (default 60)",
    )
    run.add_argument("--workers", type=_count, default=1, metavar="N", help="threads that prepare batches (default 1)")
    run.add_argument(
        "--memory", type=_gigabytes, metavar="GB", help="memory that a bundle may take (default: most of what is free)"
    )
    run.add_argument("--deterministic", action="store_true", help="the same bits from a GPU each time, a little slower")
    report = commands.add_parser("report", help="write the report of a run again")
    report.add_argument("run", metavar="RUN", help="a run's name, its directory, or its recipe")
    _store_argument(report)
    _export_arguments(commands.add_parser("export", help="write a trained cell as peft or AdapterHub adapters"))
    _export_xtreme_arguments(
        commands.add_parser("export-xtreme", help="write a setting's predictions as an XTREME submission")
    )
    _predict_arguments(commands.add_parser("predict", help="answer new items with an adapter"))
    fuse_command.arguments(
        commands.add_parser("fuse", help="bring adapters together, with or without training, and score them all")
    )
    tasks_command.arguments(commands.add_parser("tasks", help="list the tasks; `tasks show NAME` prints examples"))
    _debug_argument(parser, False)
    return parser


def _debug_argument(parser: argparse.ArgumentParser, default: object) -> None:
    """`--debug`, of a parser and of every command below it."""
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _debug_argument(below, argparse.SUPPRESS)  # absent below, what stood above holds


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="a cell's name in the run, or how it begins")
    parser.add_argument("--format", required=True, choices=("peft", "adapterhub"), help="whose files to write")
    parser.add_argument("--out", required=True, type=places.expanded, metavar="DIR", help="a new directory")
    parser.add_argument(
        "--run", metavar="RUN", help="a run's name, its directory, or its recipe (default: the only run)"
    )
    _store_argument(parser)


def _export_xtreme_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument(
        "cell", nargs="?", default="", metavar="CELL", help="a cell's name, or how those of one setting begin"
    )
    parser.add_argument("--out", required=True, type=places.expanded, metavar="DIR", help="a new directory")
    parser.add_argument("--seed", type=int, metavar="N", help="the cells of this seed")
    parser.add_argument("--partial", action="store_true", help="write tasks that lack languages, too")
    _store_argument(parser)


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("adapter", metavar="DIR", help="an adapter's directory, or its id on the Hub")
    parser.add_argument("file", nargs="?", metavar="FILE", help="items as JSON lines (default: standard input)")
    parser.add_argument("--task", required=True, help="the task that the head answers")
    parser.add_argument(
        "--language",
        type=_language,
        metavar="LANG",
        help="of the texts, repeated in every answer; where adapters take turns by language, it says which one acts",
    )
    parser.add_argument("--backbone", metavar="MODEL", help="the model it was trained on (MODEL@REVISION on the Hub)")
    parser.add_argument("--revision", help="commit, tag or branch of an adapter on the Hub")


def _recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=places.expanded, metavar="RECIPE", help="the recipe, a YAML file")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="setting=value", help="train.epochs=2 'seeds=[1,2]'"
    )
    _store_argument(parser)


def _store_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", type=places.expanded, metavar="DIR", help="finished stages ($ADAPTERX_STORE, or adapterx-store here)"
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"should be 0 or more, not {number}")
    return number


def _language(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", text):
        raise argparse.ArgumentTypeError(f"should be a language code such as 'de', not {text!r}")
    return text


def _gigabytes(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"should be more than 0, not {text}")
    return number


def _plan(args: argparse.Namespace) -> int:
    from adapterx.plan import states
    from adapterx.store import Store

    plan = _planned(args)
    current = states(plan, Store(_store_root(args)))
    if args.json:
        import json

        from adapterx.plan.export import to_json

        sys.stdout.write(json.dumps(to_json(plan, current), indent=1, ensure_ascii=_is_narrow()) + "\n")
    else:
        from adapterx.plan.render import render

        _console().print(render(plan, current, every=args.all))
    if not plan.stages:
        return MISTAKE
    return 1 if plan.refused else 0


def _run(args: argparse.Namespace) -> int:
    plan = _planned(args)
    from adapterx.executors import local
    from adapterx.plan import states
    from adapterx.plan.render import left_out, refusals
    from adapterx.store import Store

    store = Store(_store_root(args))
    if plan.unseen and any(state.name != "stored" for state in states(plan, store).values()):
        # A run downloads these files anyway. What they hold is known before anything learns from it.
        _console().print("downloading what is not here yet, to compare what is trained on with what is scored")
        plan = _planned(args, fetch=True)
    for line in (*refusals(plan), *left_out(plan)):
        _console().print(line)
    if not plan.stages:
        raise CommandError("nothing can be run; an earlier run of this name is left as it is")

    return local.run(
        plan,
        store,
        overrides=args.overrides,
        console=_console(),
        recipe_dir=args.recipe.parent,
        effort=local.Effort(args.checkpoint_every, args.workers, args.memory, args.deterministic),
        debug=args.debug,
    )


def _report(args: argparse.Namespace) -> int:
    from adapterx.store import Store

    directory = _run_directory(args)
    from adapterx import report

    written = report.build(Store(args.store or directory.parent.parent), directory)
    sys.stdout.write(f"{written}\n")
    return 0


def _export(args: argparse.Namespace) -> int:
    from adapterx.executors.export import export
    from adapterx.report import run as runs
    from adapterx.store import Store

    if args.run is None:
        args.run = _only_run(args)
    directory = _run_directory(args)
    made = export(Store(args.store or directory.parent.parent), runs.read(directory), args.cell, args.format, args.out)
    for part in made.adapters:
        sys.stdout.write(f"{args.out / part}\n")
    return 0


def _export_xtreme(args: argparse.Namespace) -> int:
    from adapterx.executors.export_xtreme import FOLDER, export
    from adapterx.report import run as runs
    from adapterx.store import Store
    from adapterx.tasks.xtreme import TASKS

    directory = _run_directory(args)
    store = Store(args.store or directory.parent.parent)
    made = export(store, runs.read(directory), args.out, args.cell, args.seed, partial=args.partial)
    for one in made:
        languages = f"{len(one.languages)} of {len(one.task.languages)} languages"
        where, why = args.out / FOLDER / one.task.folder, " (collapsed)" if one.collapsed else ""
        sys.stdout.write(f"{where}: {one.task.title}, {languages}, {one.items:,} items, from {one.cell}{why}\n")
    if left := [task.title for task in TASKS.values() if task not in [one.task for one in made]]:
        sys.stdout.write(f"without {', '.join(left)}, of which these cells have no stored evaluation\n")
    return 0


def _predict(args: argparse.Namespace) -> int:
    import json

    from adapterx.executors.answer import answers, prepare

    answering = prepare(args.adapter, args.revision, args.task, args.backbone, Path.cwd(), args.language)
    escape = _is_narrow()
    for answer in answers(answering, _lines(args.file), args.file or "standard input", args.language):
        sys.stdout.write(json.dumps(answer, ensure_ascii=escape, allow_nan=False) + "\n")
    return 0


def _fuse(args: argparse.Namespace) -> int:
    if wrong := fuse_command.mistake(args):
        raise CommandError(wrong)
    fuse_command.run(args, _console())
    return 0


def _tasks(args: argparse.Namespace) -> int:
    tasks_command.run(args, _console())
    return 0


def _is_narrow() -> bool:
    """Whether the output's encoding lacks characters: in data they are escaped then, never replaced."""
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


def _lines(file: str | None) -> Iterator[str]:
    """The lines of a file, or of standard input. Only line feeds end a line: texts may hold other separators.

    A line longer than any item comes cut, so that a file without line feeds is never in memory.
    """
    from adapterx.tasks.items import LONGEST

    name = file or "standard input"
    try:
        source = contextlib.nullcontext(sys.stdin.buffer) if file is None else reading.items_file(places.expanded(file))
    except reading.UnreadableFile as error:
        raise CommandError(f"{name}: {error}; `< FILE` reads what is none") from None
    with source as stream:
        # UTF-8 takes four bytes for a character at most, so that what comes cut is still too long for an item.
        for number, line in enumerate(iter(lambda: stream.readline(4 * LONGEST + 8), b""), start=1):
            cut = len(line) > 4 * LONGEST
            try:
                first = number == 1 and not cut  # may begin with a byte order mark, or be of another encoding
                text = reading.decoded(line) if first else line.decode("utf-8", "replace" if cut else "strict")
            except reading.UnreadableFile as error:
                raise CommandError(f"{name}: {error}") from None
            except UnicodeDecodeError as error:
                raise CommandError(f"{name}:{number}: is not UTF-8 text (byte {error.start} of the line)") from None
            yield text.removesuffix("\n")


def _planned(args: argparse.Namespace, fetch: bool = False) -> Plan:
    """The plan of the recipe on the command line; CommandError with every mistake in it.

    Args:
        fetch: whether data that are not downloaded yet are, so that all of them can be compared.
    """
    from adapterx.plan import build
    from adapterx.recipe import SettingError, locate, read
    from adapterx.recipe.overrides import without_effect

    try:
        recipe = read(args.recipe, args.overrides)
        if not fetch:
            for why in without_effect(recipe.train, args.overrides):
                sys.stderr.write(f"{why}\n")
        compare, look = _data(args, fetch)
        return build(recipe, args.recipe.parent, _describe(), _catalog(), _measure, compare, look)
    except SettingError as error:
        raise CommandError(str(locate(args.recipe, args.overrides, error.findings))) from error


def _describe() -> Callable[[Backbone], BackboneInfo]:
    from adapterx.backbones.describe import describe

    return describe


def _catalog() -> TaskFacts[TaskSpec]:
    from adapterx.tasks import data

    return data


def _data(args: argparse.Namespace, fetch: bool) -> tuple[Compare, Look]:
    """What a plan asks of the data of a recipe; both questions are answered by one reading."""
    from adapterx.tasks.contamination import Relations
    from adapterx.tasks.contents import Contents
    from adapterx.tasks.looks import Looks

    contents = Contents(args.recipe.parent, _store_root(args))
    return Relations(contents, fetch), Looks(contents)


def _measure(method: Peft | Adapters, info: BackboneInfo) -> LibraryAdapter:
    """Asked only where a recipe has methods of libraries: they are slow to import, and torch with them."""
    from adapterx.reference.measure import measure

    return measure(method, info)


def _run_directory(args: argparse.Namespace) -> Path:
    """The directory of the run that RUN names."""
    from adapterx.recipe import did_you_mean, read

    given = places.expanded(args.run)
    if (given / "run.json").is_file():
        return given.resolve()
    name: str = args.run
    if given.suffix in (".yaml", ".yml"):
        name = read(given).name
    runs = _store_root(args) / "runs"
    if (runs / name / "run.json").is_file():
        return (runs / name).resolve()
    known = sorted(path.parent.name for path in runs.glob("*/run.json"))
    hint = did_you_mean(name, known)
    raise CommandError(f"no run '{name}' in {runs.parent}" + (f" ({hint})" if hint else ""))


def _only_run(args: argparse.Namespace) -> str:
    runs = sorted(path.parent.name for path in (_store_root(args) / "runs").glob("*/run.json"))
    if len(runs) == 1:
        return runs[0]
    known = f"name one of {', '.join(runs)} with --run" if runs else "`adapterx run` a recipe first"
    raise CommandError(f"{_store_root(args)} has {len(runs) or 'no'} runs: {known}")


def _store_root(args: argparse.Namespace) -> Path:
    given: Path | None = args.store
    return given or places.store()


def _console() -> Console:
    """A console that is 100 columns wide where there is no terminal to fit."""
    from rich.console import Console

    fitted = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fitted else 100, highlight=False)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "plan": _plan,
    "run": _run,
    "report": _report,
    "export": _export,
    "export-xtreme": _export_xtreme,
    "predict": _predict,
    "fuse": _fuse,
    "tasks": _tasks,
}
