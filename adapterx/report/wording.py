"""What the report says around its numbers: over what they are means, and how intervals were computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapterx.report.analysis import Analysis
from adapterx.report.collect import TargetFacts
from adapterx.report.gaps import Gap
from adapterx.report.numbers import count, listed, metric_name, span
from adapterx.report.overall import Overall
from adapterx.report.statistics import ALIKE, LEVEL, Estimate


def scope(analysis: Analysis) -> str:
    """Over what the answer's numbers are means, what they leave out, and what its intervals cover."""
    overall = analysis.overall
    if overall is None or not overall.contrasts:
        return ""
    kept = [gap for gap in analysis.gaps if (gap.arm.target not in overall.left_out) == overall.bears]
    parts = [_means(analysis, kept), _trained(overall), *_left_out(overall), *_unsized(analysis), _several(overall)]
    return " ".join(part for part in [*parts, _chance(analysis)] if part)


def languages(analysis: Analysis, gaps: Iterable[Gap]) -> str:
    """Over which languages headline gaps are means: the 14 languages that the target was not trained in."""
    zero_shot, free, learnt = dict[str, TargetFacts](), dict[str, TargetFacts](), dict[str, TargetFacts]()
    for gap in gaps:
        facts = analysis.results.targets.get(gap.arm.target)
        if facts is not None:
            group = (zero_shot if facts.sources else free) if facts.others else learnt
            group[facts.name] = facts
    told = []
    if zero_shot:
        told.append(f"{_named([one.others for one in zero_shot.values()])} that the target was not trained in")
    if free:
        told.append(_named([one.languages for one in free.values()]))
    if learnt:
        of = f"of {listed(list(learnt))}, " if told else ""
        it = "it" if told else "the target"
        told.append(f"{of}{_named([one.languages for one in learnt.values()])} that {it} was trained in")
    return listed(told) if told else ""


def _named(lists: Sequence[tuple[str, ...]]) -> str:
    """The 14 languages; the 2–14 languages; the language sw."""
    sizes, names = {len(one) for one in lists}, {name for one in lists for name in one}
    if sizes == {1}:
        return f"the language {next(iter(names))}" if len(names) == 1 else "the one language"
    return f"the {span(sizes)} languages"


def _means(analysis: Analysis, kept: list[Gap]) -> str:
    over = languages(analysis, kept)
    if not over:
        return ""
    seeds = {len(gap.seeds) for gap in kept}
    axes = (
        ("target", {gap.arm.target for gap in kept}),
        ("method", {gap.arm.method for gap in kept}),
        ("transfer", {gap.transfer for gap in kept}),
    )
    several = [count(len(names), noun) for noun, names in axes if len(names) > 1]
    text = f"Each gap is a mean over {over} and " + ("one seed" if seeds == {1} else f"{span(seeds)} seeds")
    return text + (f"; there are {listed(several)}." if several else ".")


def _trained(overall: Overall) -> str:
    if any(one.trained or one.reason for one in overall.contrasts):
        return ""
    return "With one seed, intervals cover the choice of test items but not the chance of training."


def _left_out(overall: Overall) -> list[str]:
    if not overall.left_out or not overall.bears:
        return []
    return ["Left out of the answer: " + "; ".join(f"{name}, {why}" for name, why in overall.left_out.items()) + "."]


def _unsized(analysis: Analysis) -> list[str]:
    """Backbones of one size, and those whose size is not known since every cell was refused."""
    told = []
    for level in analysis.levels:
        if len(level.backbones) > 1:
            told.append(f"{level.name} are of equal size" + (", and count as one." if analysis.sized else "."))
    known = {name for level in analysis.levels for name in level.backbones}
    unknown = list(dict.fromkeys(gap.arm.backbone for gap in analysis.gaps if gap.arm.backbone not in known))
    if unknown:
        told.append(f"Left out, for every cell was refused: {listed(unknown)}.")
    return told


def _several(overall: Overall) -> str:
    """How claims allow for their number, and which contrasts have no mean together."""
    number = len(overall.contrasts)
    if number < 2:
        return ""
    shared = {0: "", 1: " and their mean"}.get(len(overall.means), " and their means")
    text = f"Claims allow for the {number} contrasts{shared} (Holm’s method)."
    metrics = sorted({one.metric for one in overall.contrasts if one.metric})
    if len(metrics) > 1:
        text += f" Different metrics, {listed([*map(metric_name, metrics)])}, are not averaged."
    return text


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
    return f"{unlearnt} of {count(total, 'setting')} did not clearly learn the target: compare with the majority row."


def method(analysis: Analysis) -> tuple[str, ...]:
    """How intervals and gaps were computed, in paragraphs."""
    items = (
        f"Intervals are {LEVEL:.0%} t intervals. The variance due to the choice of test items is that of the delete-one"
        " jackknife, which a bootstrap over items estimates by resampling. Every score is computed on the same items,"
        " told apart by their ids in all languages together, so that whatever is compared is paired."
    )
    training = (
        "The variance due to training is that between seeds, pooled over all settings of a target; that of a gap is the"
        " variance of the differences of trainings with the same seed, pooled over all gaps of the target. It has"
        f" {ALIKE:.0%} of the degrees of freedom that all of them have together, and {1 - ALIKE:.0%} of what"
        " Satterthwaite’s formula leaves of them where they do not vary alike. It holds the interaction of training and"
        " items, which is taken out of the items’ part. An interval reaches the mean of √(t²·training + t′²·items) and"
        " Welch’s t″·√(training + items) to each side."
    )
    if not _seeded(analysis):
        training = (
            "With one seed, nothing is known of the chance of training: intervals are about these trained models."
        )
    scope_of_cells = (
        "Scores that are shares have intervals of Wilson’s kind, which stay within 0 and 100 %. An interval of a single"
        " cell, as in results.csv, is about that trained model; differences of two such models are Bonett and Price’s."
        " Intervals in tables are not corrected for the number of comparisons; claims of the answer and ranks are"
        " (Holm), maps in their way (Benjamini and Hochberg)."
    )
    gaps = (
        "Gaps are arm minus baseline on the target’s main metric, on the same items and with the same seeds. With more"
        " than two backbone sizes, the change of a gap is that of a line fitted to it against the logarithm of size."
    )
    missing = (
        "A mean is given only if every seed and language it stands for has a result; otherwise the count of those"
        " that have is shown. Collapsed cells, which answer alike everywhere, take no part in means."
    )
    return (f"{items} {training} {scope_of_cells}", *([gaps] if analysis.gaps else []), missing)


def _seeded(analysis: Analysis) -> bool:
    """Whether any setting has several seeds."""
    return any(sum(one.statuses.values()) > 1 for one in analysis.scores)
