"""`adapterx fuse`: adapters brought together. Heavy imports wait until it runs."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from adapterx.cli import common
from adapterx.limits import Limit, Sample
from adapterx.places import expanded
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.engine.train import Progress
    from adapterx.executors.fuse import Parts, Whole
    from adapterx.executors.fuse_bench import Asked, FusedScores
    from adapterx.methods.merge_weights import Trial
    from adapterx.methods.merging import Merging
    from adapterx.report.paired import Comparison
    from adapterx.store import JSON

HELP = "bring adapters together, with or without training, and score them all"
FUSION = "fusion"
_TRAINING = ("train_languages", "steps", "learning_rate", "batch_size", "limit_train")
"""Options that mean nothing without --train."""
_QUIET_SECONDS = 10.0
"""Between two lines about a training."""


class _Methods(Iterable[str]):
    """The ways of bringing adapters together; asked for only where a command names one, as it imports the methods."""

    def __iter__(self) -> Iterator[str]:
        from adapterx.methods.registry import ARITHMETIC

        yield from (name for name, one in ARITHMETIC.items() if not one.from_start)
        yield FUSION

    def __contains__(self, name: object) -> bool:
        return name in tuple(self)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "adapters", nargs="+", metavar="DIR", help="adapters' directories, or ids on the Hub (ID@REVISION/FOLDER)"
    )
    parser.add_argument(
        "--method",
        choices=_Methods(),
        metavar="METHOD",
        help="the arithmetic (default: linear for LoRA, average for bottlenecks), or fusion: AdapterFusion over "
        "bottlenecks, which needs --train; one of %(choices)s",
    )
    parser.add_argument(
        "--weights",
        type=_weights,
        metavar="W,W",
        help="one per adapter (default: equal), or 'tuned': those that are best on dev items of --task",
    )
    parser.add_argument(
        "--dev-languages",
        type=_languages,
        metavar="LANG,LANG",
        help="whose dev items tune weights (default en), such as those trained in",
    )
    parser.add_argument(
        "--density", type=float, default=0.5, metavar="D", help="share that ties and dare_* keep (default 0.5)"
    )
    parser.add_argument(
        "--backbone", metavar="MODEL", help="the model they were trained on (MODEL@REVISION on the Hub)"
    )
    parser.add_argument(
        "--format", choices=("peft", "adapterhub"), help="whose files to write (default: the first adapter's)"
    )
    parser.add_argument("--out", required=True, type=expanded, metavar="DIR", help="a new directory")
    parser.add_argument("--seed", type=common.at_least(0), default=0, help="of dare_* and of the training (default 0)")
    training = parser.add_argument_group("training, after merging or of a fusion")
    training.add_argument("--train", metavar="TASK", help="the task to train on")
    training.add_argument(
        "--train-languages", type=_languages, metavar="LANG,LANG", help="of the training examples, or all (default en)"
    )
    training.add_argument("--steps", type=common.at_least(1), metavar="N", help="optimiser steps (default: 3 epochs)")
    training.add_argument("--learning-rate", type=common.above_zero, metavar="R", help="the peak (default 1e-4)")
    training.add_argument("--batch-size", type=common.at_least(1), metavar="B", help="examples per step (default 32)")
    training.add_argument(
        "--limit-train", type=common.at_least(1), metavar="N", help="examples per language (default: all)"
    )
    common.label_argument(parser)
    scoring = parser.add_argument_group("scoring of the result beside each adapter that has a head")
    scoring.add_argument("--task", help="the task whose test items are scored (default: that of --train, if any)")
    scoring.add_argument("--limit", type=common.at_least(1), metavar="N", help="test items per language (default: all)")
    parser.add_argument(
        "--sample",
        choices=get_args(Sample),
        default="random",
        help="which items --limit, --limit-train and tuned weights take: a random sample, the same in every language"
        " (default), or the first of the data",
    )


def mistake(args: argparse.Namespace) -> str | None:
    """What is wrong with the options as they stand together, if anything."""
    fusion = args.method == FUSION
    unused = [f"--{name.replace('_', '-')}" for name in _TRAINING if getattr(args, name) is not None]
    tuned, task = args.weights == "tuned", args.task or args.train
    mistakes = {
        "a single adapter is what it is: name two or more": len(args.adapters) < 2,
        f"--density should be more than 0 and at most 1, not {args.density:g}": not 0 < args.density <= 1,
        "a fusion is learnt: name the task to train it on with --train TASK": fusion and args.train is None,
        "a fusion learns its weights: leave --weights out": fusion and args.weights is not None,
        f"{', '.join(unused)}: of a training, so name the task with --train TASK": unused and args.train is None,
        "--weights tuned chooses on the dev items of a task: name it with --task": tuned and not task,
        "--dev-languages says where weights are tuned: use it with --weights tuned": args.dev_languages and not tuned,
        "--limit is of the test items: name the task with --task TASK": args.limit and not task,
    }
    return next((message for message, wrong in mistakes.items() if wrong), None)


def run(args: argparse.Namespace) -> int:
    """Bring the adapters together, train and score the result as asked, and write it.

    Everything is checked before anything is trained. Raises what the packages below raise, worded for the user.
    """
    from adapterx.executors import fuse
    from adapterx.executors.fuse_bench import DEV_ITEMS, Bench

    if wrong := mistake(args):
        raise common.CommandError(wrong)
    console = common.console()
    parts = fuse.read(args.adapters, args.backbone, args.labels or ())
    for remark in parts.remarks:
        sys.stderr.write(f"{remark}\n")
    task = args.task or args.train
    bench = Bench(parts, Path.cwd()) if task else None
    asked = _asked(args, parts) if args.train else None
    tuned_in: tuple[str, ...] = (args.dev_languages or ("en",)) if args.weights == "tuned" else ()
    remarks = (*bench.check(asked, task, tuned_in), *bench.label_remarks(task)) if bench is not None else ()
    result, name = _start(parts, args)
    layout = args.format or ("adapterhub" if args.method == FUSION else parts.parts[0].layout)
    fuse.check_writable(parts, result, layout, args.out)
    if args.train is None:
        remarks = (*remarks, *fuse.remarks(parts, result))
    for remark in remarks:
        sys.stderr.write(f"{remark}\n")
    tuning: dict[str, JSON] | None = None
    if bench is not None:
        if tuned_in:
            merging, tried = bench.tuned(_merging(args, parts), task, tuned_in, args.seed, args.sample)
            console.print(_trials(tried))
            result = fuse.merged(parts, merging, args.seed)
            weights = list(merging.weights or ())
            tuning = {"task": task, "languages": list(tuned_in), "items": DEV_ITEMS, "weights": weights}
        if asked is not None:
            result = bench.trained(result, asked, _teller(sys.stderr.write))
    fuse.write(parts, result, layout, args.out, tuning)
    if bench is not None:
        _tell(bench.scores(result, name, task, Limit.of(args.limit, args.sample)), console, tuned_in)
    sys.stdout.write(f"{args.out}\n")
    return 0


def _start(parts: Parts, args: argparse.Namespace) -> tuple[Whole, str]:
    """What the adapters are together before any training, and what tables call it."""
    from adapterx.executors import fuse

    if args.method == FUSION:
        return fuse.under_fusion(parts), "fused"
    return fuse.merged(parts, _merging(args, parts), args.seed), "merged"


def _merging(args: argparse.Namespace, parts: Parts) -> Merging:
    """The arithmetic; where its weights are to be tuned, with equal ones."""
    from adapterx.methods.merging import Merging

    usual = parts.parts[0].adapter.method.merges[0].name
    return Merging(args.method or usual, None if args.weights == "tuned" else args.weights, args.density)


def _asked(args: argparse.Namespace, parts: Parts) -> Asked:
    from pydantic import ValidationError

    from adapterx.config.problems import dotted
    from adapterx.config.wording import findings
    from adapterx.executors.fuse import FuseError
    from adapterx.executors.fuse_bench import Asked
    from adapterx.recipe import Train

    given = {name: getattr(args, name) for name in ("steps", "learning_rate", "batch_size")}
    given = {"limit": args.limit_train, "sample": args.sample, "max_length": parts.max_length, **given}
    try:
        settings = Train.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        told = [f"{dotted(one.location)}: {one.message}" for one in findings(error.errors(include_url=False), Train)]
        raise FuseError("; ".join(told)) from None
    return Asked(args.train, args.train_languages or ("en",), settings.phase("target", "", ""), args.seed)


def _teller(write: Callable[[str], object]) -> Callable[[Progress], None]:
    """Tells of a training now and then, and of its last step."""
    spoken = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal spoken
        ((_, step, total, loss),) = progress.cells
        now = time.monotonic()
        if now - spoken >= _QUIET_SECONDS or step == total:
            spoken = now
            write(f"step {step} of {total}, loss {loss:.3f}\n")

    return tell


def _trials(tried: Sequence[Trial]) -> TextGrid:
    """A row per vector of weights that was tried, the best first."""
    from rich.text import Text

    from adapterx.methods.merge_weights import best

    winner = best(tried)
    rows = [
        [Text(" : ".join(f"{float(weight):.3g}" for weight in one.weights)), Text(f"{one.score:.1f}")]
        for one in (winner, *(trial for trial in tried if trial is not winner))
    ]
    return TextGrid((Column("weights", folds=True, names=True), Column("dev", right=True)), rows)


def _tell(found: FusedScores, console: Console, tuned_in: Sequence[str]) -> None:
    if found.comparison is not None:
        console.print(_table(found.comparison, found.names, tuned_in))
    for name, why in found.left_out.items():
        sys.stderr.write(f"{name} is not scored: {why}\n")


def _table(found: Comparison, names: Sequence[str], tuned_in: Sequence[str]) -> TextGrid:
    """A row per language after their mean, a column per adapter: scores with their intervals over items; how many last.

    Args:
        tuned_in: languages whose dev items have chosen weights, which is said of their scores.
    """
    from rich.text import Text

    from adapterx.report.numbers import value, value_interval

    rows = [
        [
            _named(line.name.strip(), tuned_in),
            *(f"{value(one.value, found.metric)} {value_interval(one, found.metric)}" for one in line.scores),
            f"{line.items:,}",
        ]
        for line in found.lines
    ]
    columns = (
        Column(found.metric, names=True),
        *(Column(name, right=True) for name in names),
        Column("items", right=True),
    )
    return TextGrid(columns, [[Text(text) for text in row] for row in rows])


def _named(language: str, tuned_in: Sequence[str]) -> str:
    return f"{language} (tuned)" if language in tuned_in else language


def _weights(text: str) -> tuple[float, ...] | Literal["tuned"]:
    if text == "tuned":
        return "tuned"
    wrong = argparse.ArgumentTypeError(f"should be numbers joined by commas, or 'tuned', not {text!r}")
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise wrong from None
    if not all(math.isfinite(number) for number in numbers):
        raise wrong
    return numbers


def _languages(text: str) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(code.strip() for code in text.split(",")))
    if not all(codes):
        raise argparse.ArgumentTypeError(f"should be codes joined by commas, such as en,de, not {text!r}")
    return codes
