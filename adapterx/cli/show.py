"""`adapterx show`: what is stored of a run, or of one of its cells."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adapterx.cli import common, envelope
from adapterx.store.identity import JSON
from adapterx.terminal import Column, TextGrid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from adapterx.report import Analysis

HELP = "what is stored of a run, or of one of its cells"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name, its directory, or its recipe")
    parser.add_argument("cell", nargs="?", metavar="CELL", help="a cell's name in the run, or how it begins")
    envelope.json_argument(parser)
    common.store_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the cells of a run with their results; of one cell its stages, scores and some answers."""
    from adapterx.report.cell_details import cell_details

    analysis = common.analysed(args)
    if args.cell is None:
        if args.json:
            envelope.tell(_run_json(analysis))
        else:
            for part in _run(analysis):
                common.console().print(part, highlight=False)
        return 0
    from adapterx.report import texts

    label = _found(args.cell, [one.cell.label for one in analysis.results.cells])
    read = texts.read(analysis.results, common.beside(args.run))
    details = cell_details(analysis, read)
    cell = next(one for one in _listed(details["cells"]) if one["label"] == label)
    stages = [_listed(details["stages"])[place] for place in cell["stages"]]
    target = details["targets"].get(cell["target"], {}) if isinstance(details["targets"], dict) else {}
    if args.json:
        envelope.tell(_cell_json(analysis, cell, stages, target))
    else:
        for part in _cell(cell, stages, target):
            common.console().print(part, highlight=False)
    return 0


def _found(name: str, labels: Sequence[str]) -> str:
    """The cell that a name, or the beginning of one, means."""
    from adapterx.config.problems import did_you_mean

    if name in labels:
        return name
    beginning = [label for label in labels if label.startswith(name)]
    if len(beginning) == 1:
        return beginning[0]
    if beginning:
        some = ", ".join(beginning[:3]) + (", …" if len(beginning) > 3 else "")
        raise common.CommandError(f"{len(beginning)} cells begin with '{name}': {some}", hint="give more of the name")
    hint = did_you_mean(name, labels) or "`adapterx show RUN` lists them"
    raise common.CommandError(f"no cell '{name}' in this run ({hint})", hint=hint)


def _run(analysis: Analysis) -> Iterator[RenderableType]:
    from rich.text import Text

    from adapterx.report import summary

    run = analysis.results.run
    yield Text(run.name, style="bold")
    if run.description:
        yield Text(run.description, style="dim")
    yield summary(analysis)
    yield Text()
    columns = [Column("cell", folds=True, names=True), Column("status"), Column("main score", right=True)]
    yield TextGrid(columns, [[Text(text) for text in row] for row in _cell_rows(analysis)], rule=True)


def _cell_rows(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    from adapterx.report.numbers import value
    from adapterx.report.scores import Grid

    grid = Grid(analysis.results)
    for one in analysis.results.cells:
        facts = analysis.results.targets.get(one.cell.target)
        languages = (facts.others or facts.languages) if facts else ()
        mean = grid.mean_of_cell(one, facts.metrics[0], languages) if facts and one.scores else None
        yield one.cell.label, one.status, "–" if mean is None or not facts else value(mean.value, facts.metrics[0])


def _run_json(analysis: Analysis) -> JSON:
    run = analysis.results.run
    return {
        "adapterx_show": 1,
        "run": run.name,
        "description": run.description,
        "statuses": dict(Counter(one.status for one in analysis.results.cells)),
        "cells": [
            {"cell": one.cell.label, "status": one.status, "message": one.message} for one in analysis.results.cells
        ],
        "recipe": run.recipe,
        "overrides": list(run.overrides),
    }


def _cell_json(
    analysis: Analysis, cell: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], target: Mapping[str, Any]
) -> JSON:
    names = ("language", "metric", "value", "low", "high", "items")
    texts, labels = target.get("texts", {}), target.get("labels", [])
    return {
        "adapterx_show": 1,
        "run": analysis.results.run.name,
        **{key: value for key, value in cell.items() if key not in ("stages", "scores", "items")},
        "stages": [dict(stage) for stage in stages],
        "scores": [dict(zip(names, score, strict=True)) for score in cell["scores"]],
        "labels": labels,
        "answers": {
            code: [
                {
                    "id": id,
                    "texts": texts.get(code, {}).get(id),
                    "right_answer": gold,
                    "answer": given,
                    "right": bool(right),
                }
                for id, gold, given, right in items
            ]
            for code, items in cell["items"].items()
        },
    }


def _cell(
    cell: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], target: Mapping[str, Any]
) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble((cell["label"], "bold"), f"  {cell['status']}")
    for told in (cell["message"], cell["verdict"]):
        if told:
            yield Text(told, style="yellow")
    titles = ("stage", "name", "id", "status", "trained", "steps", "seconds")
    columns = [
        Column(title, right=title in titles[4:], folds=title == "name", names=title in titles[:2]) for title in titles
    ]
    rows = [
        [
            stage["kind"],
            stage["label"],
            stage["id"],
            stage.get("status", "not stored"),
            *("–" if (value := stage.get(key)) is None else f"{value:,.0f}" for key in ("trained", "steps", "seconds")),
        ]
        for stage in stages
    ]
    yield TextGrid(columns, [[Text(text) for text in row] for row in rows], rule=True)
    if cell["scores"]:
        yield Text()
        yield _scores(cell)
    yield from _answers(cell, target)


def _scores(cell: Mapping[str, Any]) -> TextGrid:
    from rich.text import Text

    columns = [Column("language", names=True), Column("metric", names=True), Column("score", right=True)]
    columns += [Column("95 % over items", right=True), Column("items", right=True)]
    rows = [
        [code, metric, f"{value:.1f}", f"[{low:.1f}, {high:.1f}]", f"{items:,}"]
        for code, metric, value, low, high, items in cell["scores"]
    ]
    return TextGrid(columns, [[Text(text) for text in row] for row in rows], rule=True)


def _answers(cell: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[RenderableType]:
    """A wrong and a right answer of each language, with texts where they are here."""
    from rich.text import Text

    labels, texts = target.get("labels", []), target.get("texts", {})

    def named(answer: Any) -> str:
        if isinstance(answer, list):
            return " ".join(named(one) for one in answer)
        return str(labels[answer]) if isinstance(answer, int) and answer < len(labels) else str(answer)

    if cell["items"] and target.get("without"):
        yield Text(f"\nAnswers stand without texts: {target['without']}", style="dim")
    for code, items in cell["items"].items():
        shown = {right: item for *item, right in reversed(items)}
        for right, (id, gold, given) in sorted(shown.items()):
            line = Text.assemble(
                (f"{code} {id} ", "dim"), ("right: " if right else "wrong: ", "green" if right else "red")
            )
            line.append(named(given)).append("" if right else f", not {named(gold)}")
            words = " | ".join(texts.get(code, {}).get(id, ()))
            yield line.append(f"  {words}" if words else "", style="dim")


def _listed(value: JSON) -> list[Any]:
    assert isinstance(value, list)
    return value
