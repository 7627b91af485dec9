"""How learning rates were chosen: which candidates each arm had, which ones won, and what that took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapterx.plan.cells import Cell
from adapterx.report.collect import Results
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, fold
from adapterx.results.run_file import Run, StageRef
from adapterx.results.tuning import Candidate, candidates
from adapterx.store import JSON, Record

PLACE = ("phase", "backbone", "method", "intermediate", "transfer", "target")
CAPTION = (
    "Learning rates chosen by successive halving, by stage: how many seeds chose each candidate."
    " Dev data of the training languages alone decided"
)


@dataclass(frozen=True)
class Tuned:
    """The stages of one arm that differ in their seed alone."""

    place: tuple[str, ...]
    """The values of PLACE; a dash where an intermediate has none."""
    chosen: Mapping[float, int]
    """Seeds that chose it, by candidate, in ascending order of the rates; a diverged stage chose none."""
    seeds: int
    diverged: int
    """Candidates that diverged, over all seeds."""
    tied: int
    """Seeds whose choice had the same dev score as a candidate that left, and only came before it in the list."""
    spent: float
    """Steps that the candidates took, as a share of training each to its end."""

    @property
    def at_edge(self) -> int:
        """Seeds that chose the smallest or the largest candidate, so that a better one may lie beyond."""
        rates = list(self.chosen)
        return self.chosen[rates[0]] + self.chosen[rates[-1]]


def tuned(results: Results) -> list[Tuned]:
    """The tuned stages, in the order of the cells; those of one place with other candidates (in no run) fall apart."""
    groups: dict[tuple[tuple[str, ...], tuple[float, ...]], dict[StageRef, Record]] = {}
    for planned in results.run.cells:
        for ref in planned.stages:
            record = results.stages.get(ref)
            if record is None or not candidates(record.result):
                continue
            cell = planned.cell
            upper = (cell.transfer, cell.target) if ref.kind == "target" else (DASH, DASH)
            place = (ref.kind, cell.backbone, cell.method, _learnt(ref, cell), *upper)
            rates = sorted(one.learning_rate for one in candidates(record.result))
            groups.setdefault((place, tuple(rates)), {})[ref] = record
    return [_tuned(place, rates, list(records.values())) for (place, rates), records in groups.items()]


def table(found: Sequence[Tuned], run: Run) -> Table | None:
    """One row per arm, one column per learning rate; None where nothing was tuned."""
    if not found:
        return None
    rates = sorted({rate for one in found for rate in one.chosen})
    columns = [TableColumn(title, label=True) for title in PLACE]
    columns += [TableColumn(f"{rate:g}", group="learning rate", rule=rate == rates[0]) for rate in rates]
    columns += [
        TableColumn("seeds", rule=True, size=True),
        TableColumn("diverged", size=True, note="candidates whose loss or gradient was not finite, over all seeds"),
        TableColumn("spent, %", note="steps of all candidates, as a share of training each of them to its end"),
    ]
    rows = []
    for one in found:
        counts = [TableEntry(str(one.chosen[rate])) if rate in one.chosen else _absent() for rate in rates]
        rows.append(
            [
                *map(TableEntry, one.place[:3]),
                TableEntry(run.labelled(one.place[3], one.place[5])),
                *map(TableEntry, one.place[4:]),
                *(
                    TableEntry(entry.text, tone="strong") if entry.text not in ("0", DASH) else entry
                    for entry in counts
                ),
                *map(TableEntry, (str(one.seeds), str(one.diverged), f"{100 * one.spent:.0f}")),
            ]
        )
    kept, entries, constant = fold(columns, rows)
    return Table("tuning", f"{CAPTION}{constant}.", kept, entries, (_note(found),))


def method(found: Sequence[Tuned]) -> tuple[str, ...]:
    """How rates were chosen, as paragraphs of the report's method; none where nothing was tuned."""
    if not found:
        return ()
    return (
        "Where several learning rates were tried, each seed chose for itself: one training per rate, all with the same"
        " initialisation, order of data and length and each with its own full schedule, of which the worst on dev data"
        " of the training languages left at every rung (successive halving, Jamieson & Talwalkar 2016). Test data had"
        " no part in the choice, and scores are those of the rate chosen.",
    )


def export(found: Iterable[Tuned]) -> JSON:
    """The same for programs."""
    return [
        {
            **{key: None if value == DASH else value for key, value in zip(PLACE, one.place, strict=True)},
            "chosen": [{"learning_rate": rate, "seeds": count} for rate, count in one.chosen.items()],
            "seeds": one.seeds,
            "diverged_candidates": one.diverged,
            "tied": one.tied,
            "spent": round(one.spent, 6),
        }
        for one in found
    ]


def _tuned(place: tuple[str, ...], rates: tuple[float, ...], records: Sequence[Record]) -> Tuned:
    every = [one for record in records for one in candidates(record.result)]
    won = Counter(one.learning_rate for one in every if one.outcome == "won")
    spent = sum(one.steps for one in every) / sum(one.total_steps for one in every)
    diverged = sum(one.outcome == "diverged" for one in every)
    tied = sum(_tied(candidates(record.result)) for record in records)
    return Tuned(place, {rate: won[rate] for rate in rates}, len(records), diverged, tied, spent)


def _tied(tried: Sequence[Candidate]) -> bool:
    """Whether a candidate left with the score that the winner had then."""
    scores: Mapping[str, float] = next((one.dev for one in tried if one.outcome == "won"), {})
    lasts = (list(one.dev.items())[-1:] for one in tried if one.outcome in ("pruned", "lost"))
    return any(scores.get(step) == score for last in lasts for step, score in last)


def _absent() -> TableEntry:
    return TableEntry(DASH, note="not a candidate", tone="faint")


def _note(found: Sequence[Tuned]) -> str:
    edge, choices = sum(one.at_edge for one in found), sum(sum(one.chosen.values()) for one in found)
    note = "Every stage of a phase and method had the same candidates, compared at the same shares of its training."
    if edge:
        note += f" {edge} of {choices} choices lie at an end of their list: a better rate may lie beyond it."
    if tied := sum(one.tied for one in found):
        note += f" {tied} of {choices} had the same dev score as a candidate that left, and came before it in the list."
    return note


def _learnt(ref: StageRef, cell: Cell) -> str:
    """The cell's intermediate; of an intermediate training its own name, which a member's cells do not bear."""
    return ref.label.split(".")[2] if ref.kind == "intermediate" else cell.intermediate
