"""A run and its stored stages → Results: every cell with its status, and the scores of those that have any."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from adapterx.faults import worded
from adapterx.plan.cells import Cell
from adapterx.reading import UnreadableFile
from adapterx.report import calibration, predictions
from adapterx.report.predictions import Predictions
from adapterx.report.seen_answers import SeenAnswers, seen
from adapterx.results import evaluation, training, training_log
from adapterx.results import predictions as predictions_file
from adapterx.results.run_file import PlannedCell, Run, StageRef, read
from adapterx.results.told import nonsense
from adapterx.store import JSON, DamagedFile, Record, Store
from adapterx.tasks.constancy import collapsed

Status = Literal[
    "done", "collapsed", "diverged", "failed", "out-of-memory", "out-of-disk", "blocked", "missing", "refused"
]
Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class CellResult:
    """One row of results: a status always, scores if the cell was evaluated."""

    cell: Cell
    status: Status
    message: str
    scores: Predictions | None
    seen: SeenAnswers | None = None
    """What a reader is shown of its answers; None where it has none."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """The expected calibration error by language, where items have one label each and their logits are stored."""


@dataclass(frozen=True)
class TargetFacts:
    """What the cells of one target have in common."""

    name: str
    metrics: tuple[str, ...]
    """The first is the main one."""
    languages: tuple[str, ...]
    """Evaluated languages: those of the target's training data first, then by code."""
    sources: tuple[str, ...]
    """Languages of the target's training data."""
    items: Mapping[str, tuple[str, ...]]
    """Item ids per language."""
    majority: Mapping[str, Mapping[str, float]]
    """Score of the most frequent label, by metric and language."""
    task: str = ""
    """Its name in the catalog."""

    @property
    def parallel(self) -> bool:
        """Whether all languages have the same items."""
        return len(set(self.items.values())) <= 1

    @property
    def others(self) -> tuple[str, ...]:
        """Languages that the target was not trained in."""
        return tuple(language for language in self.languages if language not in self.sources)


@dataclass(frozen=True)
class Results:
    """Everything the report is made from."""

    run: Run
    cells: tuple[CellResult, ...]
    targets: Mapping[str, TargetFacts]
    """Targets with at least one evaluated cell, in the recipe's order."""
    stages: Mapping[StageRef, Record]
    """The stored stages, each once, in the order of the cells."""
    curves: Mapping[StageRef, Curve]
    """(step, loss) of the training stages."""
    dev_scores: Mapping[StageRef, Curve] = field(default_factory=dict)
    """(step, score) of the trainings whose dev data were scored on the way."""
    curveless: tuple[StageRef, ...] = ()
    """Trainings whose log is not the one that was stored, so that they have no curve; their results are whole."""


def collect(store: Store, run_dir: Path) -> Results:
    """Read a run's results from the store."""
    run = read(run_dir)
    stages: dict[StageRef, Record] = {}
    unreadable: dict[StageRef, str] = {}
    for ref in dict.fromkeys(ref for planned in run.cells for ref in planned.stages):
        try:
            record = store.find(ref.id, ref.kind, ref.label)
        except OSError as error:
            unreadable[ref] = worded(error, store.root)
            continue
        if record is not None and (why := nonsense(record)):
            unreadable[ref] = f"the record of {ref.kind} {ref.label} says nonsense ({why}); remove it and run again"
        elif record is not None:
            stages[ref] = record
    baselines: dict[str, Mapping[str, Mapping[str, float]]] = {}
    cells = [_result(store, planned, stages, unreadable, baselines) for planned in run.cells]
    targets = {}
    for name in dict.fromkeys(cell.cell.target for cell in cells):
        of_target = [cell for cell in cells if cell.cell.target == name and cell.scores is not None]
        if of_target:
            targets[name] = facts(name, of_target, _sources(name, run, stages), baselines[name])
    checked = tuple(same_items(cell, targets) for cell in cells)
    curves, dev_scores = _curves(store, stages)
    curveless = tuple(ref for ref, record in stages.items() if training_log.NAME in record.files and ref not in curves)
    return Results(run, checked, targets, stages, curves, dev_scores, curveless)


def _result(
    store: Store,
    planned: PlannedCell,
    stages: Mapping[StageRef, Record],
    unreadable: Mapping[StageRef, str],
    baselines: dict[str, Mapping[str, Mapping[str, float]]],
) -> CellResult:
    """The status of a cell, and its scores; `baselines` takes those of the first scored cell of each target."""
    if bad := next((unreadable[ref] for ref in planned.stages if ref in unreadable), None):
        return CellResult(planned.cell, "failed", bad, None)
    status, message = _status(store, planned, stages)
    if status not in ("done", "collapsed"):
        return CellResult(planned.cell, status, message, None)
    try:
        assert planned.evaluation is not None, "a cell that is done is evaluated"
        path = store.read(stages[planned.evaluation], predictions_file.NAME)
        with predictions_file.scorable(path):
            stored = predictions_file.read(path, by_item=True)
            scores, shown = predictions.scored(stored), seen(stored)
            errors = calibration.by_language(path)
            if planned.cell.target not in baselines:
                baselines[planned.cell.target] = predictions.majority(stored)
    except DamagedFile as error:
        return CellResult(planned.cell, "missing", str(error), None)
    except predictions_file.UnreadablePredictions as error:
        return CellResult(planned.cell, "failed", str(error), None)
    except OSError as error:
        return CellResult(planned.cell, "failed", worded(error, store.root), None)
    if status == "done":
        answers = {name: items.answers for name, items in scores.languages.items() if items.answers is not None}
        if why := collapsed(answers):  # earlier versions looked less closely when they stored it
            status, message = "collapsed", why
    return CellResult(planned.cell, status, message, scores, seen=shown, calibration=errors)


def _status(store: Store, planned: PlannedCell, stages: Mapping[StageRef, Record]) -> tuple[Status, str]:
    """The first stage that is not done decides."""
    if planned.refused is not None:
        return "refused", planned.refused
    for ref in planned.stages:
        record = stages.get(ref)
        if record is not None and record.status == "done":
            continue
        failure = store.failure(ref.kind, ref.label, ref.id)
        if record is not None:
            status, message = cast(Status, record.status), training.message(record)
        elif failure is not None:
            status, message = cast(Status, failure.status), failure.message
        else:
            return "missing", f"{ref.kind} {ref.label} is not stored"
        if ref.kind == "intermediate":
            return "blocked", f"{ref.kind} {ref.label} {status}" + (f": {message}" if message else "")
        return status, message
    assert planned.evaluation is not None, "a cell that is not refused is evaluated"
    why = evaluation.read(stages[planned.evaluation]).why
    return ("done", "") if why is None else ("collapsed", why)


def facts(
    name: str, cells: list[CellResult], sources: tuple[str, ...], majority: Mapping[str, Mapping[str, float]]
) -> TargetFacts:
    """Common facts; where cells disagree about a language's items, the first cell's count."""
    metrics: dict[str, None] = {}
    items: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        if cell.scores is None:
            continue
        metrics.update(dict.fromkeys(metric.name for metric in cell.scores.metrics))
        for language, found in cell.scores.languages.items():
            items.setdefault(language, found.ids)
    first = [language for language in sources if language in items]
    languages = (*first, *sorted(set(items) - set(first)))
    task = next((cell.scores.task for cell in cells if cell.scores), "")
    return TargetFacts(name, tuple(metrics), languages, tuple(first), items, majority, task)


def _sources(target: str, run: Run, stages: Mapping[StageRef, Record]) -> tuple[str, ...]:
    """The target's training languages as its stages spell them out (`all` in a recipe names none)."""
    for planned in run.cells:
        if planned.cell.target == target and planned.target is not None and planned.target in stages:
            tasks = stages[planned.target].settings.get("tasks")
            parts: Iterable[JSON] = tasks.values() if isinstance(tasks, Mapping) else ()
            lists = [part.get("languages") for part in parts if isinstance(part, Mapping)]
            return tuple(str(code) for codes in lists if isinstance(codes, list) for code in codes)
    return ()


def same_items(cell: CellResult, targets: Mapping[str, TargetFacts]) -> CellResult:
    """Pairing needs the same items in every cell; one that has others is no result of this run."""
    if cell.scores is None:
        return cell
    items = targets[cell.cell.target].items
    wrong = [name for name, found in cell.scores.languages.items() if found.ids != items[name]]
    if not wrong:
        return cell
    message = f"evaluated on other items than the cells before it: {', '.join(wrong)}"
    return CellResult(cell.cell, "failed", message, None)


def _curves(store: Store, stages: Mapping[StageRef, Record]) -> tuple[dict[StageRef, Curve], dict[StageRef, Curve]]:
    """Losses and dev scores by step."""
    curves, dev_scores = {}, {}
    for ref, record in stages.items():
        path = store.read_log(record, training_log.NAME) if training_log.NAME in record.files else None
        if path is None:
            continue
        with suppress(UnreadableFile, ValueError, KeyError, TypeError):
            steps = training_log.read(path.read_bytes())
            curves[ref] = tuple((one.step, one.loss) for one in steps if math.isfinite(one.loss))
            scored = tuple((one.step, one.dev) for one in steps if one.dev is not None and math.isfinite(one.dev))
            if scored:
                dev_scores[ref] = scored
    return curves, dev_scores
