"""How numbers and findings are put into words."""

from __future__ import annotations

from adapterx.report.analysis import Analysis
from adapterx.report.gaps import Change, Gap, transfer
from adapterx.report.statistics import LEVEL, SEED, Estimate, Missing, Quantity
from adapterx.tasks.metrics import unit

MINUS = "\N{MINUS SIGN}"


def score(value: float) -> str:
    """A score in [0, 1] as a percentage: 71.3."""
    return f"{100 * value:.1f}"


def value(value: float, metric: str) -> str:
    """A value of a metric in its unit: 71.3 of accuracy, 286.6 of ranks."""
    return f"{unit(metric).factor * value:,.1f}"


def points(value: float) -> str:
    """A difference of scores in percentage points, signed: +2.3, −0.4, 0.0."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def score_interval(estimate: Estimate) -> str:
    """[70.1, 72.4]."""
    return f"[{score(estimate.low)}, {score(estimate.high)}]"


def value_interval(estimate: Estimate, metric: str) -> str:
    """The same in a metric's unit."""
    return f"[{value(estimate.low, metric)}, {value(estimate.high, metric)}]"


def points_interval(estimate: Estimate) -> str:
    """[−0.2, +1.5]."""
    return f"[{points(estimate.low)}, {points(estimate.high)}]"


def gap(quantity: Quantity) -> str:
    """A gap with its interval, or what is missing."""
    if isinstance(quantity, Missing):
        return f"missing ({quantity})"
    return f"{points(quantity.value)} {points_interval(quantity)}"


def count(number: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def question(analysis: Analysis) -> str:
    """What the run was made to answer."""
    compare = analysis.results.run.compare
    if compare is None:
        return "What does each setting of this grid score, language by language?"
    arm, baseline, _ = compare
    asked = f"What does the intermediate “{arm}” gain over “{baseline}”"
    return asked + (", and does that gap close as the backbone grows?" if analysis.ends else "?")


def answer(analysis: Analysis) -> str:
    """One sentence, which claims nothing that the intervals leave open."""
    overall = analysis.overall
    if overall is None:
        done = sum(cell.status == "done" for cell in analysis.results.cells)
        compared = analysis.results.run.compare is not None
        why = "no cells of the comparison share a transfer" if compared else "the recipe names no comparison"
        return f"{done} of {count(len(analysis.results.cells), 'cell')} finished; {why}."
    if overall.change is not None and analysis.ends is not None:
        return _change(overall.change, *analysis.ends)
    if isinstance(overall.gap, Missing):
        return _unanswered(overall.gap)
    if overall.gap.low == overall.gap.high == 0:
        return "Not resolved by this run: both arms answer every item alike, so their gap is 0.0."
    if overall.gap.sign == 0:
        return f"Not resolved by this run: the gap is {gap(overall.gap)} points, an interval that includes zero."
    verb = "gains" if overall.gap.sign > 0 else "loses"
    arm, baseline, _ = analysis.results.run.compare or ("", "", "")
    return f"“{arm}” {verb} against “{baseline}”: the gap is {gap(overall.gap)} points."


def _unanswered(missing: Missing) -> str:
    return f"Not answered by this run: it has {missing.count} that the answer takes."


def _change(change: Change, small: str, large: str) -> str:
    if isinstance(change.change, Missing):
        return _unanswered(change.change)
    if isinstance(change.small, Missing) or isinstance(change.large, Missing):
        raise ValueError("a change was computed from a missing gap")
    sizes = f"{gap(change.small)} points with {small} and {gap(change.large)} with {large}"
    if change.change.sign == 0:
        return (
            f"Whether the gap changes with size is not resolved by this run: it is {sizes},"
            f" and the interval of the change, {gap(change.change)}, includes zero."
        )
    return f"The gap {_movement(change.small, change.large)}: it is {sizes}, a change of {gap(change.change)} points."


def _movement(small: Estimate, large: Estimate) -> str:
    """What a resolved change does to the gap; closing takes a gap to close."""
    if small.sign * large.sign < 0:
        return "changes sign as the backbone grows"
    if small.sign and abs(large.value) < abs(small.value):
        return "narrows as the backbone grows"
    if large.sign and abs(large.value) > abs(small.value):
        return "widens as the backbone grows"
    return "changes as the backbone grows"


def scope(analysis: Analysis) -> str:
    """Over what the answer's numbers are means, and what its intervals cover."""
    gaps = [gap for gap in analysis.gaps if gap.summary.languages]
    if not gaps:
        return ""
    others = all(gap.summary.others is not None for gap in gaps)
    languages = {len(gap.summary.languages) - others * _sources(analysis, gap) for gap in gaps}
    parts = [f"the {_span(languages)} languages" + (" that the target was not trained in" if others else "")]
    for noun, names in (
        ("target", {gap.arm.target for gap in gaps}),
        ("method", {gap.arm.method for gap in gaps}),
        ("transfer", {transfer(gap) for gap in gaps}),
    ):
        if len(names) > 1:
            parts.append(count(len(names), noun))
    seeds = {gap.seeds for gap in gaps}
    text = f"Means over {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]};"
    text += " one seed." if seeds == {1} else f" {_span(seeds)} seeds."
    if seeds == {1}:
        text += " With one seed, the intervals cover the choice of test items but not the chance of training."
    return text + _chance(analysis)


def _chance(analysis: Analysis) -> str:
    """How many settings have not learnt their target: in its own training languages, no better than one answer."""
    unlearnt = total = 0
    for one in analysis.scores:
        facts = analysis.results.targets.get(one.setting.target)
        if facts is None or one.metric != facts.metrics[0] or not isinstance(one.summary.sources, Estimate):
            continue
        total += 1
        majority = [facts.majority[one.metric][language] for language in facts.sources]
        unlearnt += one.summary.sources.low <= sum(majority) / len(majority)
    if not unlearnt:
        return ""
    return f" {unlearnt} of {count(total, 'setting')} did not clearly learn the target: compare with the majority row."


def _sources(analysis: Analysis, gap: Gap) -> int:
    facts = analysis.results.targets.get(gap.arm.target)
    return len(facts.sources) if facts else 0


def _span(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def method(analysis: Analysis) -> tuple[str, ...]:
    """How intervals and gaps were computed, in paragraphs."""
    results = analysis.results
    everywhere = all(facts.parallel for facts in results.targets.values())
    items = "the same items in every language" + ("" if everywhere else " where languages share their items")
    intervals = (
        f"Intervals are {LEVEL:.0%} percentile bootstrap intervals over {results.run.resamples:,} resamples of the"
        f" test items ({items}), the same resamples in all cells of a target; random seed {SEED}. Training seeds are"
        " resampled as well where there are several. Resampling S seeds understates their variance, so deviations"
        " from their mean are stretched by √(S/(S−1)); with two or three seeds intervals are still on the short side."
        " They are not corrected for the number of comparisons."
    )
    gaps = (
        "Gaps are arm minus baseline on the target’s main metric, paired by seed and by item: both sides are scored"
        " on the same resampled items and subtracted seed by seed. The gaps of two backbones are compared on the same"
        " resampled items, their seeds resampled independently."
    )
    missing = (
        "A mean is given only if every seed and language it stands for has a result; otherwise the count of those"
        " that have is shown. Collapsed cells, which answer alike everywhere, take no part in means."
    )
    return (intervals, *([gaps] if analysis.gaps else []), missing)


def millions(parameters: int) -> str:
    """10.6 M, 302 M."""
    return f"{parameters / 1e6:,.1f} M" if parameters < 1e8 else f"{parameters / 1e6:,.0f} M"


def duration(seconds: float) -> str:
    """12 s, 4 min, 3.2 h of work."""
    if seconds < 120:
        return f"{seconds:.0f} s of work"
    return f"{seconds / 60:.0f} min of work" if seconds < 7200 else f"{seconds / 3600:.1f} h of work"


def metric_name(metric: str) -> str:
    """A metric in prose: accuracy, span F1, SQuAD EM, mAP@20."""
    words = {"f1": "F1", "em": "EM", "mean": "mean of F1 and EM", "squad": "SQuAD", "mlqa": "MLQA"}
    for long, short in (("mean_average_precision", "mAP"), ("mAP_20", "mAP@20"), ("_at_", "@"), ("ndcg", "nDCG")):
        metric = metric.replace(long, short)
    return " ".join(words.get(word, word) for word in metric.split("_"))
