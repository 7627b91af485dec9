"""The arms that are compared, and what their gap is made of, as tables and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.plan.arms import Terms
from adapterx.report.analysis import Analysis
from adapterx.report.contrasts import Contrast, Verdict
from adapterx.report.numbers import gap, listed, metric_name, unit_of_gaps
from adapterx.report.published import corpus
from adapterx.report.separation import GapPart
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, fold
from adapterx.report.tables import language_name, over_sizes, texts

_SAID: dict[Verdict, str] = {"up": "holds", "down": "holds", "flat": "next to nothing", "bends": "goes up and down"}
"""What stands of a gap among all further ones."""


def tables(analysis: Analysis) -> list[Table]:
    """What each arm learns, on which terms; and the further gaps."""
    return [one for one in (_arms(analysis), _parts(analysis)) if one is not None]


def _arms(analysis: Analysis) -> Table | None:
    run = analysis.results.run
    if not run.arms:
        return None
    fields = ("examples", "steps", "batch", "candidates")
    rows = [texts([arm.name, arm.words, *(_of_terms(arm.terms, field) for field in fields)]) for arm in run.arms]
    titles = ("examples", "steps", "examples a step", "learning rates")
    columns = (
        TableColumn("arm", label=True),
        TableColumn("learns first", label=True),
        *(TableColumn(title, rule=not at) for at, title in enumerate(titles)),
    )
    notes = [f"Unequal beside what is learnt: {difference}." for difference in run.unequal]
    notes += ["Examples: different ones, of all tasks and languages."] * bool(rows)
    notes += _unread(analysis)
    return Table("arms", "What the arms learn before the target.", columns, tuple(map(tuple, rows)), tuple(notes))


def _of_terms(terms: Sequence[Terms], field: str) -> str:
    """10,000; of several backbones or methods 100, 300; a dash where nothing is trained."""
    values = dict.fromkeys(getattr(one, field) for one in terms)
    return ", ".join("?" if value is None else f"{value:,.0f}" for value in values) or DASH


def _unread(analysis: Analysis) -> list[str]:
    """Which evaluated languages the backbones were not pretrained on, as far as that is known."""
    codes = sorted({code for facts in analysis.results.targets.values() for code in facts.languages})
    found = []
    for architecture in dict.fromkeys(one.architecture for one in analysis.results.run.backbones.values()):
        known = corpus(architecture)
        if known is None:
            found.append(f"What {architecture} was pretrained on is not known here.")
            continue
        unread = [f"{language_name(code)} ({code})" for code in codes if not known.share(code)]
        of = listed(unread) if unread else "none of those evaluated"
        found.append(f"Languages that {known.name}, the text of {architecture}’s pretraining, lacks: {of}.")
    return found


def _parts(analysis: Analysis) -> Table | None:
    """One row for each further gap and setting, and below them one for its mean."""
    of = analysis.separation
    if of is None or not of.parts:
        return None
    levels = analysis.levels if analysis.sized else analysis.levels[:1]
    names = ("what", "arm − baseline", "backbone", "method", "transfer", "target")
    columns = [TableColumn(title, label=True) for title in names]
    gaps = [f"gap, {level.name}" for level in levels] if analysis.sized else ["gap"]
    columns += [TableColumn(title, rule=not at) for at, title in enumerate(gaps)]
    moves = (["change"] + ["slope"] * (len(levels) > 2)) if analysis.sized else []
    columns += [*(TableColumn(title) for title in moves), TableColumn("among all of these", label=True)]
    rows = []
    for part in of.parts:
        told = [
            *zip(part.contrasts, part.verdicts, strict=True),
            *zip(part.means, part.mean_verdicts, strict=True),
        ]
        for one, verdict in told:
            backbone = one.backbone or (DASH if analysis.sized or not one.target else levels[0].name)
            place = [part.name, f"{part.arm} − {part.baseline}", backbone, *_place(one, part)]
            found = over_sizes(one, levels) if analysis.sized else over_sizes(one, levels)[:1]
            rows.append([*texts(place), *found, TableEntry(_SAID.get(verdict, "open"))])
    kept, entries, constant = fold(columns, rows)
    notes = [
        "Means over languages other than the source, with 95% intervals; bold: the interval excludes zero by itself.",
        "Among all of these: whether a gap, or its change over sizes, stands when their number is allowed for (Holm).",
    ]
    return Table("parts", f"What the gap is made of{constant}.", kept, entries, tuple(notes))


def _place(one: Contrast, part: GapPart) -> list[str]:
    if one.target:
        return [one.method, one.transfer, one.target]
    metrics = {contrast.metric for contrast in part.contrasts}
    return [DASH, DASH, "mean" if len(metrics) == 1 else f"mean, {metric_name(one.metric)}"]


def separated(analysis: Analysis) -> str:
    """What the recipe's gap is made of, where further arms lead from its baseline to its arm; empty otherwise."""
    of, compare = analysis.separation, analysis.results.run.compare
    if of is None or compare is None or not of.chain:
        return ""
    parts = {one.name: one for one in of.parts}
    ways = [parts[name] for name in of.chain]
    metrics = {tuple(one.metric for one in part.whole) for part in ways}
    if len(metrics) != 1 or not (shared := metrics.pop()):
        return ""
    said = []
    for at, metric in enumerate(shared):
        told = [f"{part.name} (“{part.arm}” over “{part.baseline}”) {_value(part.whole[at])}" for part in ways]
        of_metric = f" in {metric_name(metric)}" if len(shared) > 1 else ""
        said.append(f"{listed(told)} {unit_of_gaps(metric)}{of_metric}")
    arm, baseline, _ = compare
    return f"The gap of “{arm}” over “{baseline}” comes apart into {'; '.join(said)}."


def _value(one: Contrast) -> str:
    """Its gap at each size."""
    if len(one.at) == 1:
        return gap(one.at[0][1], one.metric)
    return listed([f"{gap(quantity, one.metric)} with {level.name}" for level, quantity in one.at])


def remarks(analysis: Analysis) -> list[tuple[str, str]]:
    """What to know of arms whose terms differ."""
    run = analysis.results.run
    if not run.unequal:
        return []
    return [("arms", f"they differ in more than what they learn: {'; '.join(run.unequal)}")]
