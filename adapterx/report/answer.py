"""The answer in words: what a run was made to say, and nothing that its intervals leave open."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.report.analysis import Analysis
from adapterx.report.arm_tables import separated
from adapterx.report.collect import TargetFacts
from adapterx.report.contrasts import Contrast, Verdict
from adapterx.report.numbers import count, gap, listed, metric_name, unit_of_gaps, value, value_interval
from adapterx.report.overall import Overall
from adapterx.report.scores import Score
from adapterx.report.sizes import moved, noun, small, strength
from adapterx.report.statistics import Estimate, Missing
from adapterx.report.undecided import advice
from adapterx.tasks.metrics import unit

THESE = "Of these trained models only, one seed each: "
"""What one seed allows to speak of."""
SPELT_OUT = 3
"""So many contrasts, or settings of a target, are named in the answer; more are counted."""


def question(analysis: Analysis) -> str:
    """What the run was made to answer."""
    compare = analysis.results.run.compare
    if compare is None:
        return "What does each setting of this grid score, language by language?"
    arm, baseline, _ = compare
    asked = f"What does the intermediate “{arm}” gain over “{baseline}”"
    return asked + (", and does that gap close as the backbone grows?" if analysis.sized else "?")


def answer(analysis: Analysis) -> str:
    """A sentence or a few, which claim nothing that the intervals leave open."""
    overall = analysis.overall
    if overall is None or not overall.contrasts:
        return _uncompared(analysis)
    said = _bearing(analysis, overall) if overall.bears else _beside(overall)
    if apart := separated(analysis):
        said += f" {apart}"
    if any(one.trained for one in overall.contrasts) or all(one.reason for one in overall.contrasts):
        return said
    return f"{THESE}{said[0].lower()}{said[1:]}"


def _bearing(analysis: Analysis, overall: Overall) -> str:
    arm, baseline, _ = analysis.results.run.compare or ("", "", "")
    if len(overall.contrasts) > 1:
        return _several(overall, arm, baseline)
    (one,), (verdict,) = overall.contrasts, overall.verdicts
    if verdict == "missing":
        return f"Not answered by this run: {one.reason}."
    return _gap(one, verdict, arm, baseline) if one.change is None else _change(one, verdict)


def _beside(overall: Overall) -> str:
    """Where no contrast bears on the answer: why, and what the gaps are where they are."""
    why = listed([f"{target} ({reason})" for target, reason in overall.left_out.items()])
    said = f"Not answered by this run, for no target shows zero-shot transfer: {why}."
    told = [one for one in overall.contrasts if not one.reason]
    if len(told) == 1:
        said += f" There the gap is {_values(told[0])}."
    return said


def _gap(one: Contrast, verdict: Verdict, arm: str, baseline: str) -> str:
    """One contrast at one size."""
    values = _values(one, named=False)
    if one.alike:
        return "Not resolved by this run: both arms answer every item alike, so their gap is 0.0."
    if verdict == "flat":
        return f"“{arm}” and “{baseline}” hardly differ: the gap, {values}, is less than {small(one)} either way."
    if verdict == "open":
        return f"Not resolved by this run: the gap is {values}, an interval that includes zero."
    return f"“{arm}” {_wins(verdict, one.metric)} against “{baseline}”: the gap is {values}."


def _wins(verdict: Verdict, metric: str) -> str:
    return "gains" if (verdict == "up") == (unit(metric).better == "higher") else "loses"


def _change(one: Contrast, verdict: Verdict) -> str:
    """One contrast over several sizes."""
    values, change = _values(one), moved(one, units=False)
    if one.alike:
        return f"Not resolved by this run: both arms answer every item alike with every backbone; the gap is {values}."
    if verdict == "bends":
        return f"The gap goes up and down as the backbone grows: it is {values}."
    if verdict == "flat":
        return (
            f"The gap hardly changes as the backbone grows: it is {values}, and its {noun(one)}, {change},"
            f" is less than {small(one)} either way."
        )
    if verdict == "open":
        said = (
            f"Whether the gap changes with size is not resolved by this run: it is {values},"
            f" and the interval of the {noun(one)}, {change}, includes zero."
        )
        return f"{said} {advice(one)}".rstrip()
    said = f"The gap {_movement(one)} as the backbone grows: it is {values}, a {noun(one)} of {moved(one)}."
    though = f" No change is larger than {small(one)}." if one.within else ""
    return f"{said} {strength(one.doubt)}{though}"


def _movement(one: Contrast) -> str:
    """What a resolved change does to the gap; closing takes a gap to close."""
    small, large = one.at[0][1], one.at[-1][1]
    if isinstance(small, Missing) or isinstance(large, Missing):
        raise ValueError("a change was computed from a missing gap")
    if small.sign * large.sign < 0:
        return "changes sign"
    if small.sign and abs(large.value) < abs(small.value):
        return "narrows"
    if large.sign and abs(large.value) > abs(small.value):
        return "widens"
    return "changes"


def _values(one: Contrast, *, named: bool = True) -> str:
    """+8.0 [+7.0, +9.0] points with small and +3.0 [+2.0, +4.0] with large."""
    parts = []
    for at, (level, quantity) in enumerate(one.at):
        equal = ", of equal size" if len(level.backbones) > 1 else ""
        where = f" with {level.name}{equal}" if named or equal else ""
        parts.append(gap(quantity, one.metric) + f" {unit_of_gaps(one.metric)}" * (at == 0) + where)
    return listed(parts)


def _several(overall: Overall, arm: str, baseline: str) -> str:
    """Several contrasts, counted by what is claimed of each; then their mean, where it means something."""
    sized = overall.contrasts[0].change is not None
    ways = _by_verdict(overall)
    number = len(overall.contrasts)
    if list(ways) == ["missing"]:
        return f"Not answered by this run, whose {number} contrasts all lack results: {_first_reason(ways)}."
    lead = "As the backbone grows, the gap" if sized else f"The gap of “{arm}” over “{baseline}”"
    averaged = {one.metric for one in overall.means} - _contradictory(overall)
    parts = []
    for at, (verdict, ones) in enumerate(ways.items()):
        share = f"{len(ones)} of {number} contrasts" if at == 0 else f"{len(ones)}"
        told = [_told(one, overall, effect=one.metric not in averaged) for one in ones]
        names = "" if len(ones) > SPELT_OUT else f" ({listed(told)})"
        parts.append(f"{(_WAYS if sized else _SIDES)[verdict]} in {share}{names}")
    said = f"{lead} {listed(parts)}."
    if "missing" in ways:
        said += f" What is missing: {_first_reason(ways)}."
    return said + _opposite(ways) + _averaged(overall)


_WAYS: dict[Verdict, str] = {
    "up": "rises",
    "down": "falls",
    "bends": "goes up and down",
    "flat": "hardly changes",
    "open": "is undecided",
    "missing": "is missing",
}
_SIDES: dict[Verdict, str] = {**_WAYS, "up": "is above zero", "down": "is below zero", "flat": "is next to nothing"}


def _by_verdict(overall: Overall) -> dict[Verdict, list[Contrast]]:
    pairs = list(zip(overall.verdicts, overall.contrasts, strict=True))
    found = {verdict: [one for said, one in pairs if said == verdict] for verdict in _WAYS}
    return {verdict: ones for verdict, ones in found.items() if ones}


def _name(one: Contrast, overall: Overall) -> str:
    """What tells a contrast from the others."""
    axes = ("backbone", "method", "transfer", "target")
    varying = [axis for axis in axes if len({getattr(other, axis) for other in overall.contrasts}) > 1]
    return " · ".join(getattr(one, axis) for axis in varying)


def _told(one: Contrast, overall: Overall, *, effect: bool) -> str:
    """A contrast's name, and its change, or gap where there is one size."""
    known = effect and isinstance(one.effect, Estimate)
    return _name(one, overall) + (f": {gap(one.effect, one.metric)} {unit_of_gaps(one.metric)}" if known else "")


def _first_reason(ways: dict[Verdict, list[Contrast]]) -> str:
    first, *more = ways["missing"]
    others = f"; {count(len(more), 'more contrast')} likewise" if more else ""
    return (first.reason or "a backbone without any cell") + others


def _opposite(ways: dict[Verdict, list[Contrast]]) -> str:
    """Which targets, or contrasts, contradict each other; nothing where none do."""
    if "up" not in ways or "down" not in ways:
        return ""
    up, down = ({one.target for one in ways[verdict]} for verdict in ("up", "down"))
    return f" {'Contrasts' if up & down else 'Targets'} point in opposite ways."


def _contradictory(overall: Overall) -> set[str]:
    """The metrics under which some contrasts rise and others fall, so that a mean would say nothing."""
    ways = {(one.metric, said) for one, said in zip(overall.contrasts, overall.verdicts, strict=True)}
    return {metric for metric, said in ways if said == "up" and (metric, "down") in ways}


def _averaged(overall: Overall) -> str:
    """The means over contrasts, and what is claimed of each."""
    silent = _contradictory(overall)
    pairs = zip(overall.means, overall.mean_verdicts, strict=True)
    return "".join(f" {_mean(mean, verdict, overall)}" for mean, verdict in pairs if mean.metric not in silent)


def _mean(mean: Contrast, verdict: Verdict, overall: Overall) -> str:
    """A mean over the contrasts of one metric of, perhaps, several."""
    values, metric = _values(mean), mean.metric
    several = len({one.metric for one in overall.contrasts}) > 1
    over = f" over the contrasts in {metric_name(metric)}" if several else ""
    unsettled = "does not settle a direction"
    if isinstance(mean.effect, Estimate) and mean.effect.sign:
        number = len(overall.contrasts) + len(overall.means)
        unsettled = f"would exclude zero by itself, but is one of {number} that are compared"
    within = {
        "open": unsettled,
        "flat": f"is less than {small(mean)} either way",
        "bends": "is not all: on the way it turns",
    }
    if mean.change is None:
        return f"On average{over} it is {values}" + (f", which {within[verdict]}." if verdict in within else ".")
    if verdict in within:
        return f"On average{over} the gap is {values}; its {noun(mean)}, {moved(mean, units=False)}, {within[verdict]}."
    return f"On average{over} the gap is {values}; it {_movement(mean)}, by {moved(mean)}."


def _uncompared(analysis: Analysis) -> str:
    """Where nothing is compared: the scores."""
    results = analysis.results
    if results.run.compare is not None:
        arm, baseline, _ = results.run.compare
        return (
            f"Not answered by this run: no cells of “{arm}” and “{baseline}” share backbone, method, transfer, target"
            f" and seed; {_finished(analysis)}."
        )
    told = [_scores(facts, analysis) for facts in results.targets.values()]
    if not told:
        return f"No cell has a score: {_finished(analysis)}."
    said = f"{'; '.join(told)}; {_finished(analysis)}."
    seeded = any(sum(one.statuses.values()) > 1 for one in analysis.scores)
    return said if seeded else f"{THESE}{said}"


def _finished(analysis: Analysis) -> str:
    cells = analysis.results.cells
    return f"{sum(cell.status == 'done' for cell in cells)} of {count(len(cells), 'cell')} finished"


def _scores(facts: TargetFacts, analysis: Analysis) -> str:
    """A target's scores on its main metric: all of a few settings, the lowest and the highest of many."""
    metric = facts.metrics[0]
    ones = [one for one in analysis.scores if (one.setting.target, one.metric) == (facts.name, metric)]
    known = [(one, quantity) for one in ones if isinstance(quantity := one.summary.headline, Estimate)]
    if not known:
        return f"{facts.name}: no setting has all of its results"
    told = [
        f"{_place(one, ones)}{value(quantity.value, metric)} {value_interval(quantity, metric)}"
        for one, quantity in known
    ]
    if len(known) > SPELT_OUT:
        order = sorted(range(len(known)), key=lambda at: known[at][1].value)
        text = f"{count(len(known), 'setting')}, from {told[order[0]]} to {told[order[-1]]}"
    else:
        text = listed(told)
    lacking = len(ones) - len(known)
    more = f"; {count(lacking, 'setting')} without all results" if lacking else ""
    of = f"{metric_name(metric)}, {unit(metric).words}, mean over {_over(facts)}"
    return f"{facts.name} ({of}): {text}{more}"


def _over(facts: TargetFacts) -> str:
    names = facts.others or facts.languages
    many = names[0] if len(names) == 1 else f"{len(names)} languages"
    if facts.others and facts.sources:
        return f"{many}, not trained in"
    return f"{many}, trained in" if facts.sources else many


def _place(one: Score, among: Sequence[Score]) -> str:
    """What tells a setting from a target's others, with a space behind it; nothing for a single one."""
    told = []
    for axis in ("backbone", "method", "intermediate", "transfer"):
        values = {getattr(other.setting, axis) for other in among}
        # What trains no intermediate has no transfer, which is no other way to transfer.
        name = getattr(one.setting, axis)
        if len(values - {"none"} if axis == "transfer" else values) > 1 and (axis, name) != ("transfer", "none"):
            told.append(name)
    return " · ".join(told) + " " * bool(told)
