"""`adapterx evaluate`: what an adapter scores on a task, with intervals. Heavy imports wait until it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from adapterx.cli import common
from adapterx.limits import Limit, Sample
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from adapterx.executors.assess import Assessed, Assessment
    from adapterx.report.paired import Comparison, PairedLine
    from adapterx.report.statistics import Estimate

HELP = "score any adapter on a task, with intervals, and against another"
VERSION = 1
"""Of what --json prints."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "adapter", metavar="DIR", help="an adapter's directory, or its id on the Hub (ID@REVISION/FOLDER)"
    )
    parser.add_argument("--task", required=True, help="the task whose test items are scored")
    parser.add_argument(
        "--languages", type=common.listed_names, metavar="LANG,LANG", help="whose test items (default: all there are)"
    )
    parser.add_argument("--against", metavar="DIR", help="an adapter to compare it with, item by item")
    parser.add_argument("--limit", type=common.at_least(1), metavar="N", help="test items per language (default: all)")
    parser.add_argument(
        "--sample",
        choices=get_args(Sample),
        default="random",
        help="which items --limit takes: a random sample, the same in every language (default), or the first",
    )
    parser.add_argument("--backbone", metavar="MODEL", help="the model it was trained on (MODEL@REVISION on the Hub)")
    common.label_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every metric of the task")


def run(args: argparse.Namespace) -> int:
    """Print the scores of the adapter, beside those of the other where one is named."""
    import json

    from adapterx.config.fields import ALL_LANGUAGES
    from adapterx.executors.assess import Assessment, Question
    from adapterx.report.paired import compared

    question = Question(
        task=args.task,
        languages=args.languages or ALL_LANGUAGES,
        limit=Limit.of(args.limit, args.sample),
        backbone=args.backbone,
        labels=args.labels or (),
    )
    names = [args.adapter] if args.against is None else [args.adapter, args.against]
    assessment = Assessment(names, question, Path.cwd())
    for remark in assessment.remarks:
        sys.stderr.write(f"{remark}\n")
    assessed = assessment.answers()
    for one in assessed:
        if one.constant:
            sys.stderr.write(f"{one.origin.name}: {one.constant}\n")
    found = compared([one.stored for one in assessed])
    if args.json:
        told = _to_json(assessment, assessed, found)
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=common.is_narrow(), allow_nan=False) + "\n")
    else:
        common.console().print(_table(found[0], _titles(assessed)))
    return 0


def _titles(assessed: Sequence[Assessed]) -> list[str]:
    """Short names where these tell the adapters apart."""
    short = [one.origin.label for one in assessed]
    return short if len(set(short)) == len(short) else [one.origin.name for one in assessed]


def _table(found: Comparison, titles: Sequence[str]) -> TextGrid:
    """A row for the mean and for each language, a score and its interval for each adapter."""
    from rich.text import Text

    columns = [Column(found.metric, names=True), Column("items", right=True)]
    for title in titles:
        columns += [Column(title, right=True), Column("95 %", right=True)]
    if len(titles) > 1:
        columns += [Column("difference", right=True), Column("95 %", right=True)]
    return TextGrid(columns, [[Text(text) for text in _row(line, found.metric)] for line in found.lines])


def _row(line: PairedLine, metric: str) -> list[str]:
    from adapterx.report.numbers import points, points_interval, value, value_interval

    texts = [line.name.strip(), f"{line.items:,}"]
    for estimate in line.scores:
        texts += [value(estimate.value, metric), value_interval(estimate, metric)]
    if line.difference is not None:
        texts += [points(line.difference.value, metric), points_interval(line.difference, metric)]
    return texts


def _to_json(assessment: Assessment, assessed: Sequence[Assessed], found: Sequence[Comparison]) -> dict[str, Any]:
    """Scores as they are computed, shares from 0 to 1."""
    from adapterx.report.statistics import LEVEL, METHOD_OF_A_CELL

    limit = assessment.question.limit
    return {
        "adapterx_evaluate": VERSION,
        "task": assessment.spec.name,
        "source": assessment.part.source,
        "limit": None if limit is None else {"items": limit.items, "sample": limit.sample},
        "intervals": {"method": METHOD_OF_A_CELL, "level": LEVEL},
        "adapters": [_adapter(one) for one in assessed],
        "metrics": [
            {
                "metric": one.metric,
                "lines": [_line(line) for line in one.lines],
                "majority": dict(one.majority),
            }
            for one in found
        ],
        "remarks": list(assessment.remarks),
    }


def _adapter(one: Assessed) -> dict[str, Any]:
    origin = one.origin
    backbone = {"model": origin.backbone.model, "key": origin.info.key, "load": origin.backbone.load}
    return {
        "name": origin.name,
        "commit": origin.located.commit,
        "backbone": backbone,
        "max_length": origin.max_length,
        "constant": one.constant,
    }


def _line(line: PairedLine) -> dict[str, Any]:
    return {
        "language": line.name.strip(),
        "items": line.items,
        "scores": [_estimate(one) for one in line.scores],
        "difference": None if line.difference is None else _estimate(line.difference),
    }


def _estimate(one: Estimate) -> dict[str, float]:
    return {"value": one.value, "low": one.low, "high": one.high}
