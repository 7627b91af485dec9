"""`adapterx results`: every score of a run, or an answer to a question in SQL."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapterx.cli import common, envelope
from adapterx.store.identity import JSON
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from adapterx.report.sql import SqlAnswer

HELP = "the scores of a run, or an answer in SQL over them"
SHOWN = 60
"""Rows that a terminal is shown; `--csv` and `--json` have all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument("--sql", metavar="QUERY", help="over the tables cells, scores, stages and predictions")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated, all rows")
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print scores, or what a question came to."""
    from adapterx.report.exports import results_csv
    from adapterx.report.sql import SqlAnswer, ask
    from adapterx.store import Store

    analysis = common.analysed(args)
    if args.sql is not None:
        directory = common.run_directory(args)
        found = ask(analysis, Store(args.store or directory.parent.parent), args.sql)
    else:
        head, *rows = csv.reader(results_csv(analysis).splitlines())
        found = SqlAnswer(tuple(head), tuple(map(tuple, rows)))
    if args.json:
        rows_ = [{name: _plain(value) for name, value in zip(found.columns, row, strict=True)} for row in found.rows]
        envelope.tell({"adapterx_results": 1, "run": analysis.results.run.name, "rows": rows_})
    elif args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.columns)
        writer.writerows(found.rows)
    else:
        common.console().print(_table(found))
        if len(found.rows) > SHOWN:
            sys.stdout.write(f"{len(found.rows) - SHOWN:,} more rows; --csv has all\n")
    return 0


def _table(found: SqlAnswer) -> TextGrid:
    from rich.text import Text

    numeric = [
        all(isinstance(row[at], int | float | Decimal) or row[at] is None for row in found.rows)
        for at in range(len(found.columns))
    ]
    columns = [
        Column(title, right=right, folds=not right, names=not right)
        for title, right in zip(found.columns, numeric, strict=True)
    ]
    return TextGrid(columns, [[Text(_shown(value)) for value in row] for row in found.rows[:SHOWN]], rule=True)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> JSON:
    """A value of SQL as JSON: what JSON lacks is a text, what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, datetime | date | time | timedelta | bytes):
        return str(value)
    return value if value is None or isinstance(value, str | int | bool) else str(value)
