"""The evidence as tables: ranks, variances, transfer maps, regret, languages, efficiency, cost, published numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from adapterx.report.analysis import Analysis
from adapterx.report.calibration import BINS
from adapterx.report.colours import diverging
from adapterx.report.costs import per_target
from adapterx.report.evidence import Evidence, LanguageStrip
from adapterx.report.maps import REGRETS, Gain
from adapterx.report.numbers import gap, metric_name, points, points_interval, unit_of_gaps, value, value_interval
from adapterx.report.scores import Setting, setting
from adapterx.report.statistics import Estimate, Missing
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, fold

UNSEEN = "\N{DOUBLE DAGGER}"
"""Marks a language that the backbone has not been pretrained on."""
PALE = 0.35
"""How much of its colour an entry has that is not marked."""
PLACE = ("backbone", "method", "intermediate", "transfer")


def tables(analysis: Analysis) -> list[Table]:
    """All that the run has something for."""
    of = analysis.evidence
    if of is None:
        return []
    found = [
        _ranks(analysis, of),
        _variances(of),
        *_maps(of),
        _english(of),
        _regret(of),
        *_strips(of),
        *_efficiency(of),
        _calibration(analysis),
        _cost(of),
        _published(analysis, of),
    ]
    return [one for one in found if one is not None and one.rows]


def _ranks(analysis: Analysis, of: Evidence) -> Table | None:
    if not of.ranks:
        return None
    scores = {(one.setting, one.metric): one.summary.headline for one in analysis.scores}
    rows = []
    for one in of.ranks:
        quantity = scores.get((one.setting, one.metric))
        score = TableEntry(DASH)
        if isinstance(quantity, Estimate):
            score = TableEntry(value(quantity.value, one.metric), value_interval(quantity, one.metric))
        rank = TableEntry(f"{one.rank}", f"[{one.low}, {one.high}]")
        rows.append([TableEntry(one.setting.target), *_place(one.setting), score, rank])
    columns = [*_labels("target", *PLACE), TableColumn("score"), TableColumn("rank")]
    kept, entries, constant = fold(columns, rows)
    note = (
        "In brackets the ranks that a setting may have, with 95% probability or more (Holm’s method, paired by item)."
    )
    return Table("ranks", f"Ranks of the settings on each target{constant}.", kept, entries, (note,))


def _variances(of: Evidence) -> Table | None:
    rows = [
        [TableEntry(one.target), TableEntry(one.what), *(_sd(part, one.metric) for part in parts)]
        for one in of.variances
        for parts in [(one.seed, one.item, one.both, one.language)]
    ]
    titles = ("seeds", "items", "seeds × items", "languages")
    columns = (*_labels("target", "of"), *(TableColumn(title) for title in titles))
    caption = "Where scatter comes from: standard deviations of one training’s mean over languages, in points."
    note = "Languages: between the true values of single languages. Seeds × items: which items a training gets right."
    return Table("variances", caption, columns, tuple(map(tuple, rows)), (note,)) if rows else None


def _sd(part: float | None, metric: str) -> TableEntry:
    return TableEntry(DASH, tone="faint") if part is None else TableEntry(points(part, metric, 2).lstrip("+"))


def _maps(of: Evidence) -> Iterable[Table]:
    """Intermediate by target, one table per backbone, method and transfer."""
    groups: dict[tuple[str, str, str], list[Gain]] = {}
    for one in of.maps.gains:
        groups.setdefault((one.setting.backbone, one.setting.method, one.setting.transfer), []).append(one)
    for number, (place, gains) in enumerate(groups.items()):
        targets = list(dict.fromkeys(one.setting.target for one in gains))
        by_place = {(one.setting.intermediate, one.setting.target): one for one in gains}
        limit = max((abs(one.gain.value) for one in gains), default=0.0)
        rows = [
            (TableEntry(name), *(_gain(by_place.get((name, target)), limit) for target in targets))
            for name in dict.fromkeys(one.setting.intermediate for one in gains)
        ]
        columns = (*_labels("intermediate"), *(TableColumn(target) for target in targets))
        caption = f"What intermediates gain over none, {' · '.join(place)}, in {_units(gains)}."
        note = "Bold: stands among all entries of all maps, of which 5% at most are chance (Benjamini and Hochberg)."
        yield Table(f"map-{number}", caption, columns, tuple(rows), (note,))


def _gain(one: Gain | None, limit: float) -> TableEntry:
    if one is None:
        return TableEntry(DASH, tone="faint")
    note = points_interval(one.gain, one.metric) + (" target training" if one.target_training else "")
    colours = diverging(one.gain.value if one.marked else PALE * one.gain.value, limit) if limit else None
    return TableEntry(
        points(one.gain.value, one.metric), note=note, tone="strong" if one.marked else "", colours=colours
    )


def _english(of: Evidence) -> Table | None:
    """What is forgotten of the languages that the target was trained in."""
    rows = [
        [
            *_place(one.setting),
            TableEntry(one.setting.target),
            _interval(one.english, one.metric),
            _interval(one.gain, one.metric),
        ]
        for one in of.maps.gains
        if one.english is not None
    ]
    if not rows:
        return None
    columns = [*_labels(*PLACE, "target"), TableColumn("trained in"), TableColumn("others")]
    kept, entries, constant = fold(columns, rows)
    caption = f"What intermediates change in the languages that the target was trained in, and in others{constant}."
    return Table("forgetting", caption, kept, entries, ("Below zero in the first: something was forgotten.",))


def _regret(of: Evidence) -> Table | None:
    rows = [
        [
            *map(TableEntry, (one.backbone, one.method, one.transfer, one.target, ", ".join(one.ranking))),
            *(TableEntry(f"{100 * one.regrets[k]:.1f}") for k in REGRETS),
        ]
        for one in of.maps.regrets
    ]
    if not rows:
        return None
    columns = [*_labels("backbone", "method", "transfer", "target", "ranking by other targets")]
    columns += [TableColumn(f"Regret@{k}") for k in REGRETS]
    kept, entries, constant = fold(columns, rows)
    caption = (
        f"What choosing intermediates by what they gain on other targets misses, in per cent of the best{constant}."
    )
    return Table("regret", caption, kept, entries)


def _strips(of: Evidence) -> Iterable[Table]:
    """The gap by language, in the order of what the backbone has read: one table per target and order of languages."""
    groups: dict[tuple[str, tuple[str, ...]], list[LanguageStrip]] = {}
    for one in of.strips:
        groups.setdefault((one.gap.arm.target, tuple(entry.language for entry in one.entries)), []).append(one)
    for number, ((target, _), strips) in enumerate(groups.items()):
        columns = [
            TableColumn(
                entry.language + ("" if entry.seen else UNSEEN),
                group="" if not entry.source else "source",
                note=f"{100 * entry.share:.2f}% of {strips[0].corpus.name}" if entry.seen else "not pretrained on",
            )
            for entry in strips[0].entries
        ]
        rows = []
        for one in strips:
            arm = one.gap.arm
            cells = [_language(entry.gap, one.gap.metric) for entry in one.entries]
            rows.append([*map(TableEntry, (arm.backbone, arm.method, one.gap.transfer)), *cells])
        kept, entries, constant = fold([*_labels("backbone", "method", "transfer"), *columns], rows)
        caption = f"{target}: the gap by language, those first that the backbone has read most of{constant}."
        notes = [f"Pretraining text of the architecture’s published models: {strips[0].corpus.source}."]
        if not all(entry.seen for entry in strips[0].entries):
            notes.append(f"{UNSEEN} The backbone was not pretrained on that language.")
        yield Table(f"strip-{number}", caption, kept, entries, tuple(notes), dense=len(columns) > 16)


def _language(quantity: Estimate | Missing, metric: str) -> TableEntry:
    if isinstance(quantity, Missing):
        return TableEntry(DASH, note=str(quantity), tone="missing")
    return TableEntry(
        points(quantity.value, metric), note=gap(quantity, metric), tone="strong" if quantity.sign else ""
    )


def _efficiency(of: Evidence) -> Iterable[Table]:
    for target, found in per_target(of.efficiencies).items():
        rows = [
            [
                *_place(one.setting),
                TableEntry(value(one.score.value, one.metric), value_interval(one.score, one.metric)),
                TableEntry(f"{one.trained_parameters:,.0f}", tone="strong" if one.small else ""),
                TableEntry(f"{one.seconds:,.1f}", tone="strong" if one.fast else ""),
            ]
            for one in found
        ]
        columns = [
            *_labels(*PLACE),
            TableColumn("score"),
            TableColumn("trained parameters"),
            TableColumn("seconds a seed"),
        ]
        kept, entries, constant = fold(columns, rows)
        caption = f"{target}: {metric_name(found[0].metric)} against what it costs{constant}."
        note = "Bold: no other setting has as good a score for less (the Pareto front)."
        yield Table(f"efficiency-{target}", caption, kept, entries, (note,))


def _calibration(analysis: Analysis) -> Table | None:
    """The expected calibration error of every setting, mean over seeds and languages."""
    errors: dict[Setting, list[tuple[float, float]]] = {}
    for one in analysis.results.cells:
        if one.status == "done" and one.calibration:
            facts = analysis.results.targets[one.cell.target]
            of = [[one.calibration.get(code) for code in codes] for codes in (facts.sources, facts.others)]
            means = [sum(filter(None, some)) / len(some) if some and None not in some else math.nan for some in of]
            errors.setdefault(setting(one.cell), []).append((means[0], means[1]))
    if not errors:
        return None
    rows = []
    for place, found in errors.items():
        means = [sum(column) / len(found) for column in zip(*found, strict=True)]
        entries = [TableEntry(DASH if math.isnan(mean) else f"{100 * mean:.1f}") for mean in means]
        rows.append([TableEntry(place.target), *_place(place), *entries])
    columns = [*_labels("target", *PLACE), TableColumn("trained in"), TableColumn("others")]
    kept, entries_, constant = fold(columns, rows)
    caption = f"Expected calibration error in points, {BINS} bins, mean over seeds and languages{constant}."
    return Table("calibration", caption, kept, entries_, ("How far confidence lies from the share of right answers.",))


def _cost(of: Evidence) -> Table | None:
    if not of.cost.seconds:
        return None
    peak = of.cost.peak_memory_bytes
    rows = [
        ("seconds, every stage once", f"{of.cost.seconds:,.0f}"),
        ("seconds one cell after another, nothing shared, at least", f"{of.cost.one_by_one:,.0f}"),
        ("peak memory, GB", DASH if peak is None else f"{peak / 1e9:.2f}"),
        ("stored, MB", f"{of.cost.bytes / 1e6:,.1f}"),
    ]
    entries = tuple((TableEntry(name), TableEntry(text)) for name, text in rows)
    columns = (*_labels("what"), TableColumn("value"))
    note = (
        "At least: at the pace of bundles. Trained alone, every stage would take longer. Each cell’s is in report.json."
    )
    return Table("grid-cost", "What the grid took.", columns, entries, (note,))


def _published(analysis: Analysis, of: Evidence) -> Table | None:
    if not of.published:
        return None
    tasks = list(dict.fromkeys(facts.task or name for name, facts in analysis.results.targets.items()))
    known = [task for task in tasks if any(one.told(task) for one in of.published)]
    rows = []
    for one in of.published:
        texts = [one.model, one.trained, *(one.told(task) or DASH for task in known)]
        average = one.overall if one.overall is not None else one.average
        told = DASH if average is None else f"{average:.1f}" + ("" if one.overall is not None else " (own tasks)")
        rows.append(tuple(map(TableEntry, (*texts, told, one.source))))
    columns = (*_labels("model", "trained on"), *map(TableColumn, known), TableColumn("average"), *_labels("source"))
    caption = "Published by others, in per cent: theirs, not measured here."
    note = (
        "Full fine-tuning, with other code, data versions and seeds. Averages are XTREME’s over nine tasks but for"
        " “own tasks”."
    )
    return Table("published", caption, columns, tuple(rows), (note,))


def _interval(quantity: Estimate | None, metric: str) -> TableEntry:
    if quantity is None:
        return TableEntry(DASH, tone="faint")
    tone = "strong" if quantity.sign else ""
    return TableEntry(points(quantity.value, metric), points_interval(quantity, metric), tone="strong" if tone else "")


def _place(of: Setting) -> list[TableEntry]:
    return [TableEntry(getattr(of, axis)) for axis in PLACE]


def _labels(*titles: str) -> list[TableColumn]:
    return [TableColumn(title, label=True) for title in titles]


def _units(gains: Sequence[Gain]) -> str:
    return " or ".join(dict.fromkeys(unit_of_gaps(one.metric) for one in gains))
