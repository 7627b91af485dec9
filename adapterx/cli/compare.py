"""`adapterx compare`: paired differences of any two cells or arms of a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapterx.cli import common, envelope
from adapterx.store.identity import JSON
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from rich.console import Group

    from adapterx.report.pairs import PairedDifference
    from adapterx.report.scores import Summary
    from adapterx.report.statistics import Quantity

HELP = "paired differences of any two cells or arms of a run"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", metavar="A", help="a cell, the beginning of some, or a name on an axis")
    parser.add_argument("second", metavar="B", help="what it is compared with")
    common.run_argument(parser)
    parser.add_argument("--languages", action="store_true", help="every language, not the means alone")
    parser.add_argument("--all-metrics", action="store_true", help="not the main metric alone")
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print A less B wherever both are."""
    from adapterx.report.pairs import paired_differences

    analysis = common.analysed(args)
    found = paired_differences(analysis, args.first, args.second)
    main = {name: facts.metrics[0] for name, facts in analysis.results.targets.items()}
    if not args.all_metrics:
        found = tuple(one for one in found if one.metric == main[one.target])
    if args.json:
        envelope.tell({"adapterx_compare": 1, "run": analysis.results.run.name, "pairs": [_json(one) for one in found]})
        return 0
    common.console().print(_table(found, languages=args.languages))
    several = len(found) > 1 and not args.languages
    note = "Intervals are 95 %, over items" + (" and trainings" if any(len(one.seeds) > 1 for one in found) else "")
    note += "; each by itself, not corrected for their number." if several or args.languages else "."
    sys.stdout.write(f"{note}\n")
    return 0


def _table(found: Sequence[PairedDifference], *, languages: bool) -> Group:
    """A row for each mean, and for each language; what all rows have in common stands above."""
    from rich.console import Group
    from rich.text import Text

    from adapterx.report.table import TableColumn, TableEntry, fold

    columns = [TableColumn(title, label=True) for title in ("A", "B", "target", "metric", "of")]
    columns += [TableColumn(title) for title in ("A’s", "B’s", "A − B", "95 %")]
    columns += [TableColumn(title, size=True) for title in ("seeds", "items")]
    rows = [
        [TableEntry(text, tone="strong" if _sure(difference) else "") for text in _row(one, name, sides, difference)]
        for one in found
        for name, sides, difference in _lines(one, languages=languages)
    ]
    kept, entries, constant = fold(columns, rows)
    laid_out = [Column(one.title, right=not one.label, folds=one.label, names=one.label) for one in kept]
    bold = {"A − B", "95 %"}
    texts = [
        [
            Text(entry.text, "bold" if entry.tone and column.title in bold else "")
            for column, entry in zip(kept, row, strict=True)
        ]
        for row in entries
    ]
    above = [Text(constant.strip().strip("()"), style="dim")] if constant else []
    return Group(*above, TextGrid(laid_out, texts, rule=True))


def _lines(
    one: PairedDifference, *, languages: bool
) -> list[tuple[str, tuple[Quantity | None, Quantity | None], Quantity]]:
    """The headline mean, then every language where they are asked for."""
    first, second = one.sides
    name = "other languages" if one.difference.others is not None else "all languages"
    found: list[tuple[str, tuple[Quantity | None, Quantity | None], Quantity]] = [
        (name, (first.headline, second.headline), one.difference.headline)
    ]
    if languages:
        for code, quantity in one.difference.languages.items():
            found.append((code, (first.languages.get(code), second.languages.get(code)), quantity))
    return found


def _row(
    one: PairedDifference, name: str, sides: tuple[Quantity | None, Quantity | None], difference: Quantity
) -> list[str]:
    from adapterx.report.numbers import metric_name, points, points_interval, value
    from adapterx.report.statistics import Estimate

    scores = [value(side.value, one.metric) if isinstance(side, Estimate) else "–" for side in sides]
    if isinstance(difference, Estimate):
        told = [points(difference.value, one.metric), points_interval(difference, one.metric)]
    else:
        told = ["–", str(difference)]
    seeds = str(len(one.seeds)) if one.seeds else "–"
    return [one.first, one.second, one.target, metric_name(one.metric), name, *scores, *told, seeds, f"{one.items:,}"]


def _sure(quantity: Quantity) -> bool:
    from adapterx.report.pairs import sure

    return sure(quantity)


def _json(one: PairedDifference) -> JSON:
    return {
        "a": one.first,
        "b": one.second,
        "target": one.target,
        "metric": one.metric,
        "seeds": list(one.seeds),
        "items": one.items,
        "scores": [_summary(side) for side in one.sides],
        "difference": _summary(one.difference),
    }


def _summary(summary: Summary) -> JSON:
    from adapterx.report.exports import summary_json

    return summary_json(summary)
