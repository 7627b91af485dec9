"""A plan for the terminal: totals, what stands in the way, and a table of the stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from adapterx.plan import vocabulary
from adapterx.plan.adoption import Adoption
from adapterx.plan.arms import ComparedArm
from adapterx.plan.bundles import USUAL, Capacity
from adapterx.plan.cell_settings import asked
from adapterx.plan.result import Plan
from adapterx.plan.schedule import bundled_seconds, looped_seconds, unsized
from adapterx.plan.stage import Coordinates, Stage, Training
from adapterx.plan.states import DONE, State, StateName
from adapterx.terminal import Column, TextGrid
from adapterx.wording import size

MAX_ROWS = 60
"""A plan of more stages is shown in groups, unless every stage is asked for."""

_STYLES: dict[StateName, str] = {
    "stored": "green",
    "to-train": "",
    "to-read": "",
    "to-evaluate": "",
    "blocked": "red",
    "diverged": "red",
    "failed-before": "yellow",
}
_LEVELS = 5
_NARROWEST = 24
"""Characters of a stage's name on one line: narrower, each stage becomes a paragraph."""


def render(plan: Plan, current: Mapping[str, State], every: bool = False, capacity: Capacity = USUAL) -> RenderableType:
    """The whole plan; grouped when it is long and `every` is false.

    Args:
        capacity: how much one bundle may be, for the time that bundles take.
    """
    parts: list[RenderableType] = [_headline(plan, current), *refusals(plan), *left_out(plan)]
    if not plan.stages:
        return Group(*parts)
    parts.append(Text())
    grouped = len(plan.stages) > MAX_ROWS and not every
    parts.append(_groups(plan, current) if grouped else _stages(plan, current))
    if grouped:
        parts.append(Text("--all lists every stage", style="dim"))
    notes = (
        *choices(plan),
        *vocabularies(plan, [stage for id, stage in plan.stages.items() if current[id].name not in DONE]),
        *_notes(plan, current),
        *_budgets(plan),
        *_arms(plan),
        *_candidates(plan),
        *_alone(plan),
        *_shared(plan),
    )
    parts += [Text(), *notes, _footer(plan, current, capacity)]
    return Group(*parts)


def _headline(plan: Plan, current: Mapping[str, State]) -> Text:
    kinds, read = plan.trainings, sum(isinstance(stage.work, Adoption) for stage in plan.stages.values())
    evaluations = sum(stage.kind == "evaluation" for stage in plan.stages.values())
    trainings = kinds.total()
    text = Text.assemble((plan.recipe.name, "bold"), f": {_count(len(plan.cells), 'cell')}")
    if plan.refused:
        text.append(f", {len(plan.refused)} refused", style="red")
    text.append(f" → {_count(trainings, 'training')} ({kinds['intermediate']} intermediate, {kinds['target']} target)")
    if read:
        text.append(f", {_count(read, 'adapter')} read")
    text.append(f" and {_count(evaluations, 'evaluation')}")
    if trainings < plan.naive_trainings:
        text.append(f"; a loop over the cells would train {plan.naive_trainings} times")
    stored = sum(state.name == "stored" for state in current.values())
    if plan.stages and stored == len(plan.stages):
        text.append("\nEverything is stored: running this recipe trains nothing.", style="green")
    elif stored:
        text.append(f"\n{stored} of {len(plan.stages)} stages are stored.", style="green")
    return text


def _columns(first: str) -> list[Column]:
    numbers = [Column(name, right=True) for name in ("parameters", "memory", "time", "disk")]
    return [Column(first, folds=True, names=True), Column("state", folds=True), *numbers]


def _stages(plan: Plan, current: Mapping[str, State]) -> TextGrid:
    rows: list[list[Text]] = []
    kind = ""
    for stage in plan.stages.values():
        if stage.kind != kind:
            kind = stage.kind
            rows.append([Text(kind, style="bold")])
        state = current[stage.id]
        rates = f", {stage.candidates} rates" if stage.candidates > 1 else ""
        words = state.name.replace("-", " ") + rates + (", stale" if state.stale else "")
        price = stage.cost
        numbers = (
            f"{price.trainable_parameters:,}" if price.trainable_parameters else "",
            size(price.memory_bytes),
            "" if state.name == "stored" else duration(price.seconds),
            size(price.disk_bytes),
        )
        rows.append([Text(f"  {stage.label}"), Text(words, style=_STYLES[state.name]), *map(Text, numbers)])
    return TextGrid(_columns("stage"), rows, narrowest=_NARROWEST)


def _groups(plan: Plan, current: Mapping[str, State]) -> TextGrid:
    rows: list[list[Text]] = []
    kind = ""
    for key, stages in _grouped(list(plan.stages.values())).items():
        if key[0] != kind:
            kind = key[0]
            rows.append([Text(kind, style="bold")])
        states = Counter(current[stage.id].name for stage in stages)
        label = Text(", ").join(
            Text(f"{n} {name.replace('-', ' ')}", style=_STYLES[name]) for name, n in states.items()
        )
        left = [stage for stage in stages if current[stage.id].name != "stored"]
        parameters = {stage.cost.trainable_parameters for stage in stages} - {0}
        numbers = (
            _range(parameters),
            size(max(stage.cost.memory_bytes for stage in stages)),
            duration(_seconds(left)) if left else "",
            size(sum(stage.cost.disk_bytes for stage in stages)),
        )
        rows.append([Text("  " + (".".join(filter(None, key[1:])) or "all")), label, *map(Text, numbers)])
    return TextGrid(_columns("stages"), rows, narrowest=_NARROWEST)


def _grouped(stages: Sequence[Stage]) -> dict[tuple[str, ...], list[Stage]]:
    """Stages by kind and as many coordinates as fit the table: backbone, method, intermediate, transfer, target."""
    groups: dict[tuple[str, ...], list[Stage]] = {}
    for level in range(_LEVELS, -1, -1):
        groups = {}
        for stage in stages:
            groups.setdefault((stage.kind, *_names(stage.coordinates)[:level]), []).append(stage)
        if len(groups) <= MAX_ROWS:
            break
    return groups


def _names(place: Coordinates) -> list[str]:
    transfer = "" if place.transfer == "none" else place.transfer
    return [place.backbone, place.method, place.intermediate, transfer, place.target or ""]


def _notes(plan: Plan, current: Mapping[str, State]) -> Iterator[Text]:
    """Why stages are stale, blocked, diverged or failed: each reason once, with its stages counted."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for id, state in current.items():
        name = plan.stages[id].label
        if state.reason:
            reasons.setdefault((state.name.replace("-", " "), state.reason), []).append(name)
        elif state.stale:
            why = "; ".join(str(change) for change in state.stale)
            reasons.setdefault((f"stale {plan.stages[id].kind}", why), []).append(name)
    for (label, reason), names in reasons.items():
        yield Text.assemble((f"{label}: ", "yellow"), f"{_sample(names)}: {reason}")


def choices(plan: Plan) -> Iterator[Text]:
    """What the machine decided."""
    for choice in plan.choices:
        yield Text.assemble(("auto: ", "yellow"), choice)


def vocabularies(plan: Plan, todo: Sequence[Stage]) -> Iterator[Text]:
    """Whose embeddings the stages that are to be done have in memory."""
    for remark in vocabulary.remarks(plan, todo):
        yield Text.assemble(("vocabulary: ", "yellow"), remark)


def _candidates(plan: Plan) -> Iterator[Text]:
    """Which trainings try several learning rates, and at what cost: each way of doing so once."""
    ways: dict[tuple[str, int, float], list[str]] = {}
    for stage in plan.stages.values():
        if isinstance(stage.work, Training) and (prune := stage.work.train.prune):
            rates = ", ".join(f"{rate:g}" for rate in prune.learning_rates)
            ways.setdefault((rates, stage.candidates, prune.trainings), []).append(f"{stage.kind} {stage.label}")
    for (rates, candidates, trainings), names in ways.items():
        yield Text.assemble(
            ("prune: ", "yellow"),
            f"{_sample(names)}: {candidates} learning rates each ({rates}), {trainings:g} times the steps of one,"
            " chosen on dev data of the training languages",
        )


def _alone(plan: Plan) -> Iterator[Text]:
    """Which trainings are not fused with others."""
    stages = [stage for stage in plan.stages.values() if stage.work.lane == "reference" and stage.kind != "evaluation"]
    if stages:
        names = _sample([f"{stage.kind} {stage.label}" for stage in stages])
        yield Text.assemble(("reference lane: ", "yellow"), f"{names}: one at a time, on the libraries' own models")


def _shared(plan: Plan) -> Iterator[Text]:
    """What training data has in common with what is scored."""
    for remark in plan.remarks:
        yield Text.assemble(("shared items: ", "yellow"), remark)
    if plan.target_training:
        pairs = dict.fromkeys(f"{one.intermediate} → {one.target}" for one in plan.cells if one in plan.target_training)
        yield Text.assemble(
            ("target training: ", "yellow"), f"{', '.join(pairs)}: the intermediate learns the target's own task"
        )


def _budgets(plan: Plan) -> Iterator[Text]:
    """What budgets come to on each backbone."""
    found = {}
    for stage in plan.stages.values():
        place, method = stage.coordinates, stage.method
        name, wanted = asked(plan.recipe, place)
        if wanted.share is not None:
            trained = method.parameters(stage.info)
            found[name[1:-1] if name[0] == "'" else name, place.backbone] = (
                f"{100 * wanted.share:g}% is {method.size_in_words}, {trained:,} parameters"
            )
    for (name, backbone), text in found.items():
        yield Text.assemble(("budget: ", "yellow"), f"{name} on {backbone}: {text} and the head")


def _arms(plan: Plan) -> Iterator[Text]:
    """What the arms learn that are compared, and in what they differ beside it."""
    for arm in plan.arms.arms:
        yield Text.assemble(("arm: ", "yellow"), f"{arm.name}: {arm.words}{''.join(f'; {one}' for one in _terms(arm))}")
    for difference in plan.arms.unequal:
        yield Text.assemble(("unequal arms: ", "yellow"), difference)


def _terms(arm: ComparedArm) -> Iterator[str]:
    """20,000 examples, 300 steps of 16, 3 learning rates."""
    for one in arm.terms:
        examples = "an unknown number of examples" if one.examples is None else f"{_count(one.examples, 'example')}"
        steps = "" if one.steps is None else f", {_count(round(one.steps), 'step')} of {one.batch}"
        rates = f", {_count(one.candidates, 'learning rate')}" if one.candidates > 1 else ""
        yield f"{examples}{steps}{rates}"


def refusals(plan: Plan) -> Iterator[Text]:
    """Why cells cannot be run: each reason once, with its cells counted."""
    reasons: dict[str, list[str]] = {}
    for cell, reason in plan.refused.items():
        reasons.setdefault(reason, []).append(cell.label)
    for reason, names in reasons.items():
        yield Text.assemble(("refused: ", "red"), f"{_sample(names)}: {reason}")


def left_out(plan: Plan) -> Iterator[Text]:
    """Languages and items without which the data is read, and splits from which nothing can be learnt or told."""
    for remark in plan.left_out:
        yield Text.assemble(("left out: ", "yellow"), remark)
    for remark in plan.single_labels:
        yield Text.assemble(("one label: ", "yellow"), remark)


def _sample(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} of them ({names[0]}, …)"


def _footer(plan: Plan, current: Mapping[str, State], capacity: Capacity) -> Text:
    left = [stage for id, stage in plan.stages.items() if current[id].name not in DONE]
    if not left:
        return Text()
    peak = max(stage.cost.memory_bytes for stage in left)
    disk = sum(stage.cost.disk_bytes for stage in left)
    together = bundled_seconds(plan, [stage.id for stage in left], capacity)
    alone = sum(stage.cost.seconds or 0.0 for stage in left)
    told = duration if plan.pace.gpu is None else _gpu_hours
    text = (
        f"To do: {_count(len(left), 'stage')}, about {told(alone)} one after another, {told(together)} in"
        f" bundles, {plan.pace.told({stage.backbone.load for stage in left})}; {size(peak)} of memory for a stage"
        f" alone, {size(disk)} on disk."
    )
    if plan.trainings.total() < plan.naive_trainings:
        text += f" A loop over all cells, which shares nothing, would take {told(looped_seconds(plan))}."
    if unknown := unsized(plan, [stage.id for stage in left]):
        text += f" Not counted: {_count(unknown, 'stage')} whose data, not downloaded yet, are of unknown size."
    return Text(text)


def _seconds(stages: Sequence[Stage]) -> float | None:
    known = [stage.cost.seconds for stage in stages if stage.cost.seconds is not None]
    return sum(known) if len(known) == len(stages) else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _range(values: set[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _gpu_hours(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds / 3600:,.{0 if seconds > 36000 else 2}f} GPU-hours"


def duration(seconds: float | None) -> str:
    """Seconds in the unit one would say; `?` where unknown."""
    if seconds is None:
        return "?"
    for limit, divisor, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
