"""The report's tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from adapterx.report.analysis import Analysis
from adapterx.report.collect import CellResult, Results, TargetFacts
from adapterx.report.colours import diverging
from adapterx.report.contrasts import Contrast
from adapterx.report.gaps import Gap
from adapterx.report.languages import language
from adapterx.report.learning import Judgement
from adapterx.report.levels import Level
from adapterx.report.numbers import (
    MINUS,
    gap,
    metric_name,
    points,
    points_interval,
    unit_of_gaps,
    value,
    value_interval,
)
from adapterx.report.overall import learnt
from adapterx.report.scores import Score, Setting, setting
from adapterx.report.statistics import Estimate, Missing, Quantity
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, Tone, fold
from adapterx.results.run_file import Run
from adapterx.tasks.answers import TYPES
from adapterx.tasks.metrics import scoring, unit

UNSURE = 0.35
"""How much of its colour a gap has whose interval includes zero: it must not look like a finding."""
DENSE = 16
"""More languages than this make a table dense."""
OTHERS = "mean over the languages that the target was not trained in"
SOURCE = "mean over the languages that the target was trained in"
MARK = "\N{DAGGER}"
CONSTANT = f"{MARK} A cell answers everything alike in that language: the score is one of the labels, not of the texts."
TARGET_TRAINING = "Target training: the intermediate learns the target's own task, so what it gains is no transfer."


def results(analysis: Analysis) -> list[Table]:
    """Scores by setting and language: one table per target and metric."""
    found = []
    run = analysis.results.run
    for target, facts in analysis.results.targets.items():
        for metric in facts.metrics:
            rows = [one for one in analysis.scores if one.setting.target == target and one.metric == metric]
            constant = {
                one.setting: {code for its in analysis.judged(one.setting) for code in its.constant} for one in rows
            }
            found.append(_results(facts, metric, rows, run, constant))
    return found


def gaps(analysis: Analysis) -> Table | None:
    """Every gap with its intervals; None where nothing is compared."""
    if not analysis.gaps or analysis.results.run.compare is None:
        return None
    arm, baseline, _ = analysis.results.run.compare
    columns = [TableColumn(title, label=True) for title in ("backbone", "method", "transfer", "target")]
    columns += [
        TableColumn("others", group="mean over languages", rule=True, note=OTHERS),
        TableColumn("all", group="mean over languages", note="mean over all evaluated languages"),
        TableColumn("source", group="mean over languages", note=SOURCE),
        TableColumn("seeds", rule=True, size=True),
        TableColumn("languages", size=True),
        TableColumn("items", size=True, note="test items per language"),
    ]
    rows = []
    for one in analysis.gaps:
        labels = [one.arm.backbone, one.arm.method, one.transfer, _contrasted(one.arm.target, analysis)]
        means = [one.summary.others, one.summary.mean, one.summary.sources]
        sizes = [f"{size:,}" if size else DASH for size in (len(one.seeds), len(one.summary.languages), one.items)]
        rows.append([*texts(labels), *(_gap_entry(mean, one.metric) for mean in means), *texts(sizes)])
    kept, entries, constant = fold(columns, rows)
    caption = f"Gap {arm} − {baseline} in {_units(one.metric for one in analysis.gaps)}, with 95% intervals{constant}."
    notes = ("Source: the language the target was trained in. Bold: the interval excludes zero.",)
    opens = tuple(opened(one.arm, analysis.results.run) for one in analysis.gaps)
    return Table("gaps", caption, kept, entries, (*notes, *_target_training(analysis)), opens=opens)


def changes(analysis: Analysis) -> Table | None:
    """How gaps change with backbone size, of the contrasts that bear on the answer; None without two sizes."""
    overall = analysis.overall
    if overall is None or not analysis.sized:
        return None
    levels = analysis.levels
    columns = [TableColumn(title, label=True) for title in ("method", "transfer", "target")]
    columns += [TableColumn(f"gap, {level.name}", rule=not at) for at, level in enumerate(levels)]
    note = "" if len(levels) == 2 else "of the line fitted to all sizes, from the smallest to the largest"
    columns.append(TableColumn("change", rule=True, note=note))
    if len(levels) > 2:
        columns.append(TableColumn("slope", note="the change per doubling of the parameters, embeddings left out"))
    rows = []
    for one in overall.contrasts:
        labels = [one.method, one.transfer, _contrasted(one.target, analysis)]
        rows.append([*texts(labels), *over_sizes(one, levels)])
    kept, entries, constant = fold(columns, rows)
    for mean in overall.means:
        name = f"mean, {metric_name(mean.metric)}" if len({one.metric for one in overall.contrasts}) > 1 else "mean"
        labels = [name] + [""] * (sum(column.label for column in kept) - 1)
        entries += ((*texts(labels), *over_sizes(mean, levels)),)
    units = _units(one.metric for one in overall.contrasts)
    caption = f"The gap by backbone size, in {units}, with 95% intervals{constant}."
    notes = ["Means over languages other than the source. Bold: the interval excludes zero."]
    if len(levels) > 2:
        notes.append("Change: of a line fitted to the logarithm of the size, from the smallest to the largest.")
    return Table("changes", caption, kept, entries, (*notes, *_target_training(analysis)), len(overall.means))


def over_sizes(one: Contrast, levels: Sequence[Level]) -> list[TableEntry]:
    """A contrast's gap at every size, and its change."""
    at = {level.parameters: quantity for level, quantity in one.at}
    found = [_gap_entry(at.get(level.parameters), one.metric) for level in levels]
    return [
        *found,
        _gap_entry(one.change, one.metric),
        *([_gap_entry(one.slope, one.metric)] if len(levels) > 2 else []),
    ]


def by_language(analysis: Analysis) -> list[Table]:
    """The gap in every language, coloured: one table per target."""
    compare = analysis.results.run.compare
    if compare is None:
        return []
    limits: dict[str, float] = {}
    for one in analysis.gaps:
        for quantity in one.summary.languages.values():
            if isinstance(quantity, Estimate):
                units = unit_of_gaps(one.metric)
                limits[units] = max(limits.get(units, 0.0), abs(quantity.value))
    found: list[Table] = []
    for target, facts in analysis.results.targets.items():
        units = unit_of_gaps(facts.metrics[0])
        of_target = [one for one in analysis.gaps if one.arm.target == target]
        if of_target and units in limits:
            rows = [_language_row(one, facts, limits[units]) for one in of_target]
            labels = [TableColumn(title, label=True) for title in ("backbone", "method", "transfer")]
            columns, entries, constant = fold([*labels, *_language_columns(facts)], rows)
            arm, baseline = (analysis.results.run.labelled(side, target) for side in compare[:2])
            told = _units([facts.metrics[0]])
            caption = f"{target}: gap {arm} − {baseline} by language, in {told}{constant}."
            end = points(limits[units], facts.metrics[0])
            scale = (MINUS + end.lstrip("+"), f"{end} {units}")
            opens = tuple(opened(one.arm, analysis.results.run) for one in of_target)
            name = f"languages-{target}"
            found.append(Table(name, caption, columns, entries, dense=_dense(facts), scale=scale, opens=opens))
    return found


def _units(metrics: Iterable[str]) -> str:
    """What the gaps of some metrics are given in."""
    told = {"points": "percentage points", "ranks": "ranks"}
    return " or ".join(dict.fromkeys(told[unit_of_gaps(metric)] for metric in metrics))


def unfinished(results: Results) -> Table | None:
    """Cells that are not done, with their reasons; None where all are."""
    alike: dict[tuple[str, ...], list[CellResult]] = {}
    for cell in results.cells:
        if cell.status != "done":
            *place, _ = _labels(cell, results.run)
            alike.setdefault((*place, cell.status, _SEED.sub("", cell.message)), []).append(cell)
    if not alike:
        return None
    rows = []
    for cells in alike.values():
        *place, _ = _labels(cells[0], results.run)
        seeds, more = ", ".join(str(cell.cell.seed) for cell in cells), " (and alike)" if len(cells) > 1 else ""
        told = f"{cells[0].message}{more}" if cells[0].message else DASH
        rows.append((*texts([*place, seeds]), TableEntry(cells[0].status, tone="strong"), TableEntry(told)))
    titles = ("backbone", "method", "intermediate", "transfer", "target", "seed", "status", "message")
    columns = tuple(TableColumn(title, label=True) for title in titles)
    opens = tuple(cells[0].cell.label for cells in alike.values())
    caption = f"Cells without a usable result: {sum(map(len, alike.values()))}."
    return Table("unfinished", caption, columns, tuple(rows), opens=opens)


_SEED = re.compile(r"(?<=\.seed)\d+")
"""In a message, what differs between the seeds of a setting."""


def score_note(analysis: Analysis) -> str:
    """What all tables of scores have in common."""
    seeds = any(sum(one.statuses.values()) > 1 for one in analysis.scores)
    types = [scoring(name).answers for facts in analysis.results.targets.values() for name in facts.metrics]
    ordered = [one for one in dict.fromkeys((*TYPES, *types)) if one in types and one.plainest]
    also = "".join(f", or {one.plainest}" for one in ordered)
    return (
        "Source is the language that the target was trained in; majority, the score of always answering the most"
        f" frequent label{also}. In brackets, the 95% interval of the mean."
        + (" All scores are means over seeds." if seeds else "")
        + " The interval of every cell and language is in results.csv."
    )


def statuses(one: Score, judged: Sequence[Judgement] = ()) -> str:
    """3 done; or 2 done, 1 failed; or 2 done (1 learnt nothing, 1 constant in 3 of 24 languages).

    Args:
        judged: the judgements of the setting's cells.
    """
    text = ", ".join(f"{count} {status}" for status, count in one.statuses.items())
    nothing = sum(judgement.verdict == "nothing" for judgement in judged)
    partly = [judgement for judgement in judged if 0 < len(judgement.constant) < judgement.judged]
    notes = [f"{nothing} learnt nothing"] if nothing else []
    if partly:
        most = max(partly, key=lambda judgement: len(judgement.constant))
        up_to = "up to " if len({len(judgement.constant) for judgement in partly}) > 1 else ""
        notes.append(f"{len(partly)} constant in {up_to}{len(most.constant)} of {most.judged} languages")
    return f"{text} ({', '.join(notes)})" if notes else text


def _contrasted(target: str, analysis: Analysis) -> str:
    """A target as tables of gaps call it: which side of the gap learns its own task."""
    own = learnt(analysis.results.run, target)
    return f"{target} (target training: {', '.join(own)})" if own else target


def _target_training(analysis: Analysis) -> tuple[str, ...]:
    compared = {gap.arm.target for gap in analysis.gaps}
    return (TARGET_TRAINING,) if any(learnt(analysis.results.run, one) for one in compared) else ()


def _results(
    facts: TargetFacts,
    metric: str,
    scores: Sequence[Score],
    run: Run,
    constant: Mapping[Setting, Collection[str]],
) -> Table:
    """One target's scores.

    Args:
        constant: of each setting the languages in which a cell of it answers alike to everything.
    """
    titles = ("backbone", "method", "intermediate", "transfer")
    columns = [TableColumn(title, label=True) for title in titles]
    columns += [
        TableColumn("others", group="mean", rule=True, note=OTHERS),
        TableColumn("all", group="mean", note="mean over all evaluated languages"),
        *_language_columns(facts),
    ]
    rows = [
        [*texts(_score_labels(one, run)), *_score_entries(one, facts, constant.get(one.setting, ()))] for one in scores
    ]
    kept, entries, same = fold(columns, rows)
    majority = facts.majority.get(metric, {})
    means = [_mean([majority.get(name) for name in names]) for names in (facts.others, facts.languages)]
    values = [*means, *(majority.get(name) for name in facts.languages)]
    labels = sum(column.label for column in kept)
    last = [*texts(["majority"] + [""] * (labels - 1))]
    last += [TableEntry(DASH if one is None else value(one, metric), tone="faint") for one in values]
    caption = f"{facts.name}: {metric_name(metric)}, {unit(metric).words}{same}."
    shown = any((one.setting.intermediate, facts.name) in run.target_training for one in scores)
    notes = (*((TARGET_TRAINING,) if shown else ()), *((CONSTANT,) if any(constant.values()) else ()))
    name, rows_ = f"results-{facts.name}-{metric}", (*entries, tuple(last))
    opens = (*(opened(one.setting, run) for one in scores), "")
    return Table(name, caption, kept, rows_, notes, footer=1, dense=_dense(facts), opens=opens)


def opened(place: Setting, run: Run) -> str:
    """The label of a setting's first cell."""
    return next((one.cell.label for one in run.cells if setting(one.cell) == place), "")


def _language_columns(facts: TargetFacts) -> list[TableColumn]:
    first_other = len(facts.sources)
    return [
        TableColumn(
            name,
            group="source" if name in facts.sources else "other languages",
            note=language_name(name),
            rule=index in (0, first_other),
            language=name,
        )
        for index, name in enumerate(facts.languages)
    ]


def language_name(code: str) -> str:
    """English name of a language code, the code itself where CLDR has none."""
    return language(code).name


def _dense(facts: TargetFacts) -> bool:
    return len(facts.languages) > DENSE


def _score_labels(one: Score, run: Run) -> list[str]:
    place = one.setting
    return [place.backbone, place.method, run.labelled(place.intermediate, place.target), place.transfer]


def _labels(result: CellResult, run: Run) -> list[str]:
    cell = result.cell
    named = run.labelled(cell.intermediate, cell.target)
    return [cell.backbone, cell.method, named, cell.transfer, cell.target, str(cell.seed)]


def _score_entries(one: Score, facts: TargetFacts, constant: Collection[str]) -> list[TableEntry]:
    spread = "seeds " + " to ".join(value(end, one.metric) for end in one.seed_range) if one.seed_range else ""
    entries = [_mean_entry(one.summary.others, one.metric, spread), _score_entry(one.summary.mean, one.metric)]
    for name in facts.languages:
        entry = _score_entry(one.summary.languages[name], one.metric)
        entries.append(replace(entry, text=f"{entry.text}{MARK}", note=CONSTANT) if name in constant else entry)
    return entries


def _mean_entry(quantity: Quantity | None, metric: str, spread: str) -> TableEntry:
    if quantity is None:
        return TableEntry(DASH, tone="faint")
    if isinstance(quantity, Missing):
        return TableEntry(quantity.count, note=quantity.why, tone="missing")
    return TableEntry(value(quantity.value, metric), value_interval(quantity, metric), note=spread)


def _score_entry(quantity: Quantity, metric: str) -> TableEntry:
    if isinstance(quantity, Missing):
        return TableEntry(DASH, note=str(quantity), tone="missing")
    return TableEntry(value(quantity.value, metric), note=value_interval(quantity, metric))


def _gap_entry(quantity: Quantity | None, metric: str = "") -> TableEntry:
    if quantity is None:
        return TableEntry(DASH, tone="faint")
    if isinstance(quantity, Missing):
        return TableEntry(str(quantity), tone="missing")
    value, interval = points(quantity.value, metric), points_interval(quantity, metric)
    return TableEntry(value, interval, tone="strong" if quantity.sign else "")


def _language_row(one: Gap, facts: TargetFacts, limit: float) -> list[TableEntry]:
    row = texts([one.arm.backbone, one.arm.method, one.transfer])
    for name in facts.languages:
        quantity = one.summary.languages[name]
        if isinstance(quantity, Missing):
            row.append(TableEntry(DASH, note=str(quantity), tone="missing"))
        else:
            tone: Tone = "strong" if quantity.sign else ""
            colours = diverging(quantity.value if quantity.sign else UNSURE * quantity.value, limit)
            text, note = points(quantity.value, one.metric), gap(quantity, one.metric)
            row.append(TableEntry(text, note=note, tone=tone, colours=colours))
    return row


def texts(texts: Iterable[str]) -> list[TableEntry]:
    return [TableEntry(text) for text in texts]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
