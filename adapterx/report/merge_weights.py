"""How merge weights were chosen: what each merged target took, and how it scored beside the default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adapterx.plan.cells import Cell
from adapterx.report.collect import Results
from adapterx.report.table import Table, TableColumn, TableEntry, fold
from adapterx.results import merge_weights
from adapterx.results.run_file import Run
from adapterx.store import JSON

PLACE = ("backbone", "method", "intermediate", "transfer", "target", "seed")
CAPTION = (
    "Merge weights, in the order of the members, and the mean over members of their dev scores (main metric, %) when"
    " merged so, before the target was trained"
)


@dataclass(frozen=True)
class TunedWeights:
    """The choice of one merged target."""

    cell: Cell
    weights: tuple[float, ...]
    dev: float
    """From 0 to 1, as is the next."""
    default: float
    """With the arithmetic's default weights."""
    tried: int


def weighed(results: Results) -> list[TunedWeights]:
    """The merged targets whose weights were tuned, in the order of the cells."""
    found = {}
    for planned in results.run.cells:
        for ref in planned.stages:
            chosen = merge_weights.chosen(results.stages[ref].result) if ref in results.stages else None
            if chosen is not None:
                found[ref] = TunedWeights(planned.cell, chosen.weights, chosen.dev, chosen.default, len(chosen.tried))
    return list(found.values())


def table(found: Sequence[TunedWeights], run: Run) -> Table | None:
    """One row per target; None where no weights were tuned."""
    if not found:
        return None
    columns = [
        *(TableColumn(title, label=True) for title in PLACE),
        TableColumn("weights", rule=True),
        TableColumn("dev"),
        TableColumn("default", note="dev score with the default weights, which are equal"),
        TableColumn("candidates", size=True),
    ]
    rows = [
        [
            *map(TableEntry, _labels(one.cell, run)),
            TableEntry(" : ".join(f"{weight:.3g}" for weight in one.weights)),
            *(TableEntry(f"{100 * score:.1f}") for score in (one.dev, one.default)),
            TableEntry(str(one.tried)),
        ]
        for one in found
    ]
    kept, entries, constant = fold(columns, rows)
    return Table("merge-weights", f"{CAPTION}{constant}.", kept, entries)


def _labels(cell: Cell, run: Run) -> list[str]:
    """The values of PLACE."""
    named = run.labelled(cell.intermediate, cell.target)
    return [named if key == "intermediate" else str(getattr(cell, key)) for key in PLACE]


def method(found: Sequence[TunedWeights]) -> tuple[str, ...]:
    """How weights were chosen, as paragraphs of the report's method; none where they were given."""
    if not found:
        return ()
    return (
        "Where merge weights were tuned, each candidate’s merged adapter answered the dev items of what its members"
        " had learnt, with every member’s own heads, and the best mean over members was taken, of equal ones the most"
        " even weights. The target’s data had no part in it.",
    )


def export(found: Iterable[TunedWeights]) -> JSON:
    """The same for programs."""
    return [
        {
            **{key: getattr(one.cell, key) for key in PLACE},
            "weights": list(one.weights),
            "dev": round(one.dev, 6),
            "dev_default": round(one.default, 6),
            "candidates": one.tried,
        }
        for one in found
    ]
