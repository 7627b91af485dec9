"""Several runs as one: their cells in one grid, where their recipes say the same of what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapterx.errors import AdapterxError
from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Results, TargetFacts, facts, same_items
from adapterx.results.run_file import Run

AXES = ("backbones", "methods", "intermediates", "transfers", "targets")
"""Maps of names to settings: a name that both have has to mean the same."""
SHARED = ("train", "lane")
"""Settings of all trainings."""


class UnmergeableRuns(AdapterxError):
    """Runs whose cells cannot stand in one table; the message says in what they differ, and what to do."""


def merged(parts: Sequence[Results]) -> Results:
    """One result of several runs; of a cell that several have, the first that is done. Raises UnmergeableRuns."""
    first, *others = parts
    for other in others:
        _check(first.run, other.run)
    cells: dict[Cell, CellResult] = {}
    planned = {}
    for part in parts:
        for one, plan in zip(part.cells, part.run.cells, strict=True):
            if one.cell not in cells or (cells[one.cell].status != "done" and one.status == "done"):
                cells[one.cell], planned[one.cell] = one, plan
    backbones = {name: size for part in reversed(parts) for name, size in part.run.backbones.items()}
    run = replace(
        first.run,
        name="+".join(dict.fromkeys(part.run.name for part in parts)),
        description=" ".join(dict.fromkeys(part.run.description for part in parts if part.run.description)),
        recipe=_recipe([part.run for part in parts]),
        overrides=tuple(dict.fromkeys(one for part in parts for one in part.run.overrides)),
        cells=tuple(planned[cell] for cell in cells),
        backbones=backbones,
        remarks=tuple(dict.fromkeys(one for part in parts for one in part.run.remarks)),
        state="+".join(part.run.state for part in parts),
    )
    targets = _targets(list(cells.values()), parts)
    kept = {ref for one in run.cells for ref in one.stages}
    return Results(
        run=run,
        cells=tuple(same_items(one, targets) for one in cells.values()),
        targets=targets,
        stages={ref: record for part in parts for ref, record in part.stages.items() if ref in kept},
        curves={ref: curve for part in parts for ref, curve in part.curves.items() if ref in kept},
        dev_scores={ref: curve for part in parts for ref, curve in part.dev_scores.items() if ref in kept},
        curveless=tuple(dict.fromkeys(ref for part in parts for ref in part.curveless if ref in kept)),
    )


def _targets(cells: Sequence[CellResult], parts: Sequence[Results]) -> dict[str, TargetFacts]:
    found = {}
    for name in dict.fromkeys(one.cell.target for one in cells):
        of_target = [one for one in cells if one.cell.target == name and one.scores is not None]
        known = [part.targets[name] for part in parts if name in part.targets]
        if of_target:
            sources = next((one.sources for one in known if one.sources), ())
            majority: dict[str, dict[str, float]] = {}
            for one in known:
                for metric, values in one.majority.items():
                    majority[metric] = {**values, **majority.get(metric, {})}
            found[name] = facts(name, of_target, sources, majority)
    return found


def _recipe(runs: Sequence[Run]) -> Mapping[str, Any]:
    """The first recipe with the axes of all."""
    told: dict[str, Any] = dict(runs[0].recipe)
    for axis in AXES:
        told[axis] = {name: one for run in reversed(runs) for name, one in _axis(run, axis).items()}
    told["seeds"] = list(dict.fromkeys(seed for run in runs for seed in _seeds(run)))
    told["name"] = "+".join(dict.fromkeys(run.name for run in runs))
    told["compare"] = next((compare for run in runs if (compare := run.recipe.get("compare"))), None)
    return told


def _seeds(run: Run) -> list[Any]:
    found = run.recipe.get("seeds")
    return found if isinstance(found, list) else []


def _axis(run: Run, axis: str) -> Mapping[str, Any]:
    found = run.recipe.get(axis)
    return found if isinstance(found, Mapping) else {}


def _check(one: Run, other: Run) -> None:
    """Raise for the first thing that both say differently."""
    difference = next(_differences(one, other), None)
    if difference is not None:
        raise UnmergeableRuns(
            f"{one.name} and {other.name} cannot be reported as one: {difference}; cells of one name would not be alike"
        )


def _differences(one: Run, other: Run) -> Iterator[str]:
    for axis in AXES:
        first, second = _axis(one, axis), _axis(other, axis)
        for name in first:
            if name in second and first[name] != second[name]:
                yield f"{axis}.{name} means something else in each (rename it in one of the recipes)"
    for key in SHARED:
        if one.recipe.get(key) != other.recipe.get(key):
            yield f"they differ in {key}"
    if one.limit != other.limit:
        yield "they are evaluated on other items (evaluate.limit, evaluate.sample)"
    keys = {name: size.key for name, size in one.backbones.items()}
    for name, size in other.backbones.items():
        if keys.get(name, size.key) != size.key:
            yield f"the backbone {name} has other weights in each"
