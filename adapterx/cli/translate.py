"""`adapterx translate`: a task's data in other languages. Heavy imports wait until it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from adapterx.cli import common, envelope
from adapterx.limits import Limit, Sample
from adapterx.places import expanded
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from adapterx.tasks.spec import TaskSpec
    from adapterx.translate.engines.base import EngineOptions
    from adapterx.translate.run import Translation

HELP = "write a task's training data in other languages, by a translation engine"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "task", metavar="TASK", help="a task of the catalog, or the YAML of one (its name, or its path)"
    )
    parser.add_argument(
        "--to", required=True, type=common.listed_names, metavar="LANG,LANG", help="into which languages"
    )
    parser.add_argument(
        "--engine",
        required=True,
        metavar="ENGINE",
        help="command:PROGRAM ARGS, dictionary:FILE, transformers:MODEL[@REVISION] or argos",
    )
    parser.add_argument(
        "--split",
        type=common.listed_names,
        metavar="SPLIT,SPLIT",
        help="default: those of train and dev that there are",
    )
    parser.add_argument("--from", dest="language", metavar="LANG", help="from which (default: the task's first)")
    parser.add_argument("--source", metavar="SOURCE", help="default: the task's first")
    parser.add_argument(
        "--via", metavar="LANG", help="translate into this language first; back again with --to the language it is from"
    )
    parser.add_argument("--limit", type=common.at_least(1), metavar="N", help="items of each split (default: all)")
    parser.add_argument(
        "--sample",
        choices=get_args(Sample),
        default="random",
        help="which items --limit takes: a random sample (default), or the first",
    )
    parser.add_argument(
        "--same-items", action="store_true", help="leave out of all languages what is untranslatable into one"
    )
    parser.add_argument("--name", help="of the task that is written (default: TASK-translated)")
    parser.add_argument(
        "--out",
        type=expanded,
        metavar="DIR",
        help="a new directory, or one to go on in (default: translated/TASK-ENGINE)",
    )
    parser.add_argument(
        "--batch", type=common.at_least(1), default=32, metavar="N", help="texts translated at once (default 32)"
    )
    _engine_arguments(parser.add_argument_group("of the engines"))
    envelope.json_argument(parser)


def _engine_arguments(group: Any) -> None:
    """Options that some engines have."""
    group.add_argument(
        "--markers",
        type=_markers,
        metavar="OPEN,CLOSE",
        help="what is put around an answer in its passage (default: the engine's own); none: it is looked for",
    )
    group.add_argument(
        "--codes", type=_codes, default={}, metavar="LANG=CODE,…", help="what a model calls a language: zh=zho_Hant"
    )
    group.add_argument("--beams", type=common.at_least(1), metavar="N", help="transformers: of the search (default 4)")
    group.add_argument(
        "--max-tokens",
        type=common.at_least(8),
        metavar="N",
        help="transformers: longer texts are cut at ends of sentences (default 256, or what the model reads)",
    )
    group.add_argument("--device", metavar="DEVICE", help="transformers: cpu, cuda, cuda:1 (default: a GPU if any)")
    group.add_argument(
        "--timeout", type=common.above_zero, metavar="SECONDS", help="command: for which it may be silent (default 600)"
    )


def _markers(text: str) -> tuple[tuple[str, str], ...]:
    """Marks as the command line gives them; none is ()."""
    from adapterx.translate.marking import overlapping

    if text.strip() == "none":
        return ()
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) != 2 or not all(parts) or overlapping((parts[0], parts[1])):
        raise argparse.ArgumentTypeError(f"should be two marks that differ, such as '<a>,</a>', or none, not {text!r}")
    return ((parts[0], parts[1]),)


def _codes(text: str) -> dict[str, str]:
    """A language and its code at each comma."""
    found = {}
    for part in text.split(","):
        language, _, code = (one.strip() for one in part.partition("="))
        if not language or not code or language in found:
            raise argparse.ArgumentTypeError(f"should be LANG=CODE at each comma, a language once, not {text!r}")
        found[language] = code
    return found


def run(args: argparse.Namespace) -> int:
    """Translate, and print what became of the items, and the path of the task's YAML."""
    from adapterx.translate.engines import registry
    from adapterx.translate.request import requested
    from adapterx.translate.run import TranslationRun

    spec = _task(args.task)
    name = args.engine.partition(":")[0]
    request = requested(
        spec,
        args.to,
        args.out or Path("translated") / f"{spec.name}-{name}",
        source=args.source,
        language=args.language,
        splits=args.split,
        via=args.via,
        limit=Limit.of(args.limit, args.sample),
        batch=args.batch,
        same_items=args.same_items,
        name=args.name,
    )
    engine = registry.make(args.engine, _options(args))
    try:
        done = TranslationRun(request, engine, _tell)()
    finally:
        engine.close()
    for language in done.lacking:
        _tell(f"nothing could be translated into {language}: {request.out}/untranslatable-{language}.jsonl says why")
    if args.json:
        envelope.tell({**done.provenance, "task": str(done.task), "out": str(request.out)})
    else:
        common.console().print(_table(done))
        sys.stdout.write(f"{done.task}\n")
    return common.FAILED if done.lacking else 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _task(named: str) -> TaskSpec:
    """The task of a name, here or in the catalog, or that a path leads to."""
    from adapterx.tasks.data import find

    if named.endswith((".yaml", ".yml")):
        path = expanded(named)
        if not path.is_file():
            raise common.CommandError(f"{path}: no such file; give a task's YAML, or a name of `adapterx tasks`", path)
        return find(path.stem, path.parent)
    return find(named, Path.cwd())


def _options(args: argparse.Namespace) -> EngineOptions:
    from adapterx.translate.engines.base import EngineOptions

    return EngineOptions(
        batch=args.batch,
        timeout=args.timeout,
        beams=args.beams,
        max_tokens=args.max_tokens,
        device=args.device,
        codes=args.codes,
        markers=args.markers,
    )


def _table(done: Translation) -> RenderableType:
    """A row for each language and split."""
    from rich.console import Group
    from rich.text import Text

    counts: Any = done.provenance["counts"]
    with_spans = any("spans" in count for splits in counts.values() for count in splits.values())
    titles = ["language", "split", "items", "written", "left out", "unchanged texts", "other script"]
    titles += ["answers"] if with_spans else []
    columns = [Column(title, right=title not in ("language", "split", "answers")) for title in titles]
    rows = [
        [Text(cell) for cell in _row(language, split, count, with_spans)]
        for language, splits in counts.items()
        for split, count in splits.items()
    ]
    shared: Any = done.provenance["in_all_languages"]
    told = ", ".join(f"{count:,} of {split}" for split, count in shared.items())
    return Group(TextGrid(columns, rows), Text(f"Items that all languages have: {told}.", style="dim italic"))


def _row(language: str, split: str, count: Mapping[str, Any], with_spans: bool) -> list[str]:
    left = count["untranslatable"] + count["left_out"]
    # Nothing is said of the texts of items that are as they were.
    texts = [count["unchanged"], count["other_script"]] if count["texts"] else ["", ""]
    numbers = [count["items"], count["written"], left, *texts]
    spans = ", ".join(f"{number:,} {how}" for how, number in count.get("spans", {}).items())
    return [
        language,
        split,
        *(f"{number:,}" if number != "" else "" for number in numbers),
        *([spans] if with_spans else []),
    ]
