"""`adapterx tasks`: the catalog, and examples as a model sees them. Heavy imports wait until it runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterx.cli import common
from adapterx.terminal import Column, TextGrid
from adapterx.wording import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from adapterx.tasks.encoded import Encoded
    from adapterx.tasks.spec import TaskSpec

HELP = "list the tasks; `tasks show NAME` prints examples"
SPLITS = ("train", "dev", "test")
_READ = "bold cyan"
_LABEL = "green"
_MARK = "▁"
"""Stands where a word begins, in XLM-R's vocabulary."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    show = actions.add_parser("show", help="print examples of a task as a model sees them")
    show.add_argument("name", metavar="NAME", help="a task of the catalog, or of a YAML file in this directory")
    show.add_argument("--language", metavar="LANG", help="default: the task's first")
    show.add_argument("--split", choices=SPLITS, help="default: the first that there is")
    show.add_argument("--source", metavar="SOURCE", help="default: the task's first")
    show.add_argument("-n", type=common.at_least(1), default=3, metavar="N", help="how many examples (default 3)")
    show.add_argument(
        "--backbone", default="embedded/e5-small", metavar="MODEL", help="whose tokenizer (MODEL@REVISION on the Hub)"
    )
    show.add_argument("--max-length", type=common.at_least(1), default=128, metavar="N", help="tokens per sequence")


def run(args: argparse.Namespace) -> int:
    """List the tasks, or show examples. Raises what the tasks and backbones raise, worded for the user."""
    console = common.console()
    if args.action == "show":
        for line in _shown(args):
            console.print(line, soft_wrap=False)
    else:
        console.print(_listed(Path.cwd()))
    return 0


def _listed(here: Path) -> RenderableType:
    """A row per task: those of YAML files in the directory, then those of the catalog."""
    from rich.console import Group
    from rich.text import Text

    from adapterx.tasks.catalog import TaskError, own
    from adapterx.tasks.data import find, names
    from adapterx.tasks.sources.errors import DataError

    titles = ("task", "format", "languages", "train", "dev", "test", "sources", "licence")
    columns = [
        Column(title, right=title in SPLITS, folds=title in ("sources", "licence"), names=title == "task")
        for title in titles
    ]
    rows, wrong = [], []
    mine = own(here)
    for name in (*mine, *(name for name in names() if name not in mine)):
        try:
            spec = find(name, here)
        except (TaskError, DataError) as error:
            wrong.append(Text(str(error), style="red"))
            continue
        languages = spec.languages[0] if len(spec.languages) == 1 else f"{len(spec.languages)}"
        sources = ", ".join(f"{source}{_state(spec, source)}" for source in spec.sources)
        texts = (f"{name} *" if name in mine else name, spec.format, languages, *_sizes(spec), sources, spec.licence)
        rows.append([Text(plain(text, longest=None)) for text in texts])
    notes = ["Sizes are per language (the first one's), of the first source whose files are here."]
    if mine:
        notes.append("* of your own, in this directory.")
    return Group(TextGrid(columns, rows), *(Text(note, style="dim italic") for note in notes), *wrong)


def _sizes(spec: TaskSpec) -> list[str]:
    """Examples per split, of the first source that tells without the network."""
    for source in spec.sources:
        found = [_size(spec, source, split) for split in SPLITS]
        if None not in found:
            return [f"{size:,}" if size else "–" for size in found]
    return ["?"] * len(SPLITS)


def _size(spec: TaskSpec, source: str, split: str) -> int | None:
    from adapterx.tasks.data import known_size

    try:
        found = [known_size(spec, source, language, split) for language in _languages(spec, source)]
    except (OSError, ValueError):
        return None
    return next((size for size in found if size != 0), 0)


def _languages(spec: TaskSpec, source: str) -> tuple[str, ...]:
    """The first language, and those of splits that it has no part in."""
    return tuple(dict.fromkeys([spec.languages[0], *spec.sources[source].own_languages]))


def _state(spec: TaskSpec, source: str) -> str:
    """Whether a source can be read here and now; what is generated always can."""
    from adapterx.tasks.data import at_hand

    chosen = spec.sources[source]
    if chosen.generated:
        return ""
    if not chosen.remote:
        missing = any(_size(spec, source, split) is None for split in SPLITS)
        return " (no files)" if missing else " (here)"
    here = all(at_hand(spec, source, language, split) for language in _languages(spec, source) for split in SPLITS)
    return " (downloaded)" if here else " (not downloaded)"


def _shown(args: argparse.Namespace) -> Iterator[Text]:
    """Examples decoded from the arrays that training and evaluation get."""
    from rich.text import Text

    from adapterx.backbones.spec import Backbone
    from adapterx.tasks import data

    spec = data.find(args.name, Path.cwd())
    source, language, split = _chosen(spec, args)
    from adapterx.backbones.load import load_tokenizer  # seconds, so only now
    from adapterx.tasks.kinds.encoding import encode

    whole = data.stream(spec, source, language, split)
    examples = spec.kind.preview(whole, args.n)
    size = data.sizes(spec, source, language, split)
    model, _, revision = args.backbone.partition("@") if "/" in args.backbone else (args.backbone, "", "")
    if model.startswith("embedded/"):
        model, revision = args.backbone, ""
    tokenizer = load_tokenizer(Backbone(model=model, revision=revision or None))
    encoded = encode(examples, spec, tokenizer, args.max_length)
    head = Text.assemble((spec.name, "bold"), f" · {spec.format} · {language} · {split} ({source})")
    head.append(f" · {'?' if size is None else f'{size:,}'} examples")
    named = f"{len(spec.labels):,} of {spec.label_file}" if spec.label_file else ", ".join(spec.labels)
    yield head.append(f" · labels: {named}" if named else "")
    for why, count in _left_out(spec, source, language, split).items():
        yield Text(f"{count:,} left out for {why}", style="yellow")
    yield Text(spec.kind.legend, style="dim")
    for number in range(len(encoded)):
        yield Text()
        yield from _example(spec, encoded, number, tokenizer)


def _left_out(spec: TaskSpec, source: str, language: str, split: str) -> Mapping[str, int]:
    """How many items a source that leaves some out does leave out, by reason."""
    from adapterx.tasks.data import counted

    leaves_out = spec.sources[source].leaves_out
    return counted(spec, source, language, split).left_out if leaves_out else {}


def _chosen(spec: TaskSpec, args: argparse.Namespace) -> tuple[str, str, str]:
    """Source, language and split, by default the first of each that holds examples."""
    from adapterx.config.problems import did_you_mean
    from adapterx.tasks import data
    from adapterx.tasks.catalog import UnknownTask

    source = args.source or next(iter(spec.sources))
    language = args.language or spec.languages[0]
    for given, known, noun in ((source, spec.sources, "source"), (language, spec.languages, "language")):
        if given not in known:
            hint = did_you_mean(given, known) or f"it has {', '.join(known)}"
            raise UnknownTask(f"the task '{spec.name}' has no {noun} '{given}' ({hint})")
    splits = (args.split,) if args.split else SPLITS
    for split in splits:
        if data.sizes(spec, source, language, split) != 0:
            return source, language, split
    named = [data.origin(spec, source, language, split) for split in splits]
    empty = f": there is nothing in {', '.join(filter(None, named))}" if any(named) else ""
    raise UnknownTask(f"the task '{spec.name}' ({source}) has no {' or '.join(splits)} data in '{language}'{empty}")


def _example(spec: TaskSpec, encoded: Encoded, number: int, tokenizer: Any) -> Iterator[Text]:
    """One example: its id and label, then each of its sequences."""
    from rich.text import Text

    found = spec.kind.shown(encoded, number, spec.labels)
    title = Text(found.lead, style=_LABEL)
    title.append(encoded.ids[number], style="bold")
    if found.answer:
        title.append("  ").append(found.answer, style=_LABEL)
    yield title
    for one in found.sequences:
        line = Text("  ").append(one.lead, style=_LABEL)
        pieces = tokenizer.convert_ids_to_tokens(encoded.tokens[one.tokens.start : one.tokens.stop].tolist())
        for token, piece in zip(one.tokens, pieces, strict=True):
            _append(line, piece, token in one.marked, one.marked.get(token, ""))
        yield line.append(f"  ({len(one.tokens)} tokens)", style="dim")


def _append(line: Text, piece: str, read: bool, label: str) -> None:
    """A token, a space where a word begins; where the head reads it stands in «»."""
    if piece.startswith(_MARK):
        line.append(" ")
        piece = piece.removeprefix(_MARK) or (_MARK if read else "")
    if not read:
        line.append(piece)
        return
    line.append(f"«{piece}»", style=_READ)
    if label:
        line.append(f"/{label}", style=_LABEL)
