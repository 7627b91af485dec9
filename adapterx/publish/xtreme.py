"""A run's predictions in the files of an XTREME submission.

`predictions/<task>/test-<language>.tsv`, or `.json` of question answering, as google-research/xtreme, evaluate.py reads
them: a label, or the place of what was found, per line; a tag per line and an empty one after each sentence; pairs of
ids; answers by the ids of their questions. Lines follow the items in the order in which they were evaluated, which is
that of the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.plan.cells import Cell
from adapterx.publish.base import ExportError, Leaving, Prepared
from adapterx.results import evaluation, predictions
from adapterx.results.predictions import LanguagePredictions
from adapterx.results.run_file import PlannedCell, Run
from adapterx.store import Store
from adapterx.tasks.xtreme import TASKS, Task

FOLDER = "predictions"


@dataclass(frozen=True)
class _Exported:
    """One task of a submission."""

    task: Task
    cell: str
    languages: tuple[str, ...]
    items: int
    """Over all languages."""
    collapsed: bool
    """Whether it answers alike everywhere, so that a report's means leave it out."""

    def told(self, out: Path) -> str:
        """What lies where."""
        languages = f"{len(self.languages)} of {len(self.task.languages)} languages"
        where, why = out / FOLDER / self.task.folder, " (collapsed)" if self.collapsed else ""
        return f"{where}: {self.task.title}, {languages}, {self.items:,} items, from {self.cell}{why}"


@dataclass(frozen=True)
class _Evaluated:
    """A cell whose target is one of the nine."""

    cell: Cell
    task: Task
    path: Path
    limit: int | None
    collapsed: bool


class XtremeSubmission:
    """The predictions of one setting's cells, one per task of XTREME's."""

    name = "xtreme"

    def prepare(self, leaving: Leaving) -> Prepared:
        """Choose the cells.

        Raises ExportError where several cells have the same task, or where there is none; DamagedFile.
        """
        return _Submission(_chosen(leaving.store, leaving.run, leaving.cell, leaving.seed), leaving.partial)


class _Submission:
    """The chosen cells, and what was written of them.

    Args:
        partial: whether a task may lack languages that XTREME scores it in.
    """

    def __init__(self, chosen: Sequence[_Evaluated], partial: bool) -> None:
        self.chosen = chosen
        self.partial = partial
        self.made: list[_Exported] = []

    def fill(self, new: Path) -> None:
        """Write them. Raises ExportError where an evaluation was limited or lacks languages."""
        self.made = [_written(one, new / FOLDER / one.task.folder, partial=self.partial) for one in self.chosen]

    def told(self, out: Path) -> Sequence[str]:
        lines = [one.told(out) for one in self.made]
        if left := [task.title for task in TASKS.values() if task not in [one.task for one in self.made]]:
            lines.append(f"without {', '.join(left)}, of which these cells have no stored evaluation")
        return lines


def _chosen(store: Store, run: Run, wanted: str, seed: int | None) -> list[_Evaluated]:
    planned = [
        one for one in run.cells if one.cell.label.startswith(wanted) and (seed is None or one.cell.seed == seed)
    ]
    planned = [one for one in planned if one.cell.label == wanted] or planned
    if not planned:
        hint = did_you_mean(wanted, [one.cell.label for one in run.cells])
        named = (f" '{wanted}'" if wanted else "") + ("" if seed is None else f" of seed {seed}")
        raise ExportError(f"the run '{run.name}' has no cell{named}" + (f" ({hint})" if hint else ""))
    found = [one for one in (_evaluated(store, each) for each in planned) if one is not None]
    if not found:
        raise ExportError(
            f"the run '{run.name}' has no evaluated cell{f' {wanted}' if wanted else ''} of a task of XTREME's"
            f" ({', '.join(TASKS)}): `adapterx run` its recipe first"
        )
    settings = {(one.cell.backbone, one.cell.method, one.cell.intermediate, one.cell.transfer) for one in found}
    if len(settings) > 1 or len({one.task.name for one in found}) < len(found):
        shown = "".join(f"\n  {one.cell.label} ({one.task.name})" for one in found)
        raise ExportError(
            "a submission is one setting's: one cell per task. Say with which the names of the cells begin, or which"
            f" --seed; these match:{shown}"
        )
    return sorted(found, key=lambda one: [*TASKS].index(one.task.name))


def _evaluated(store: Store, planned: PlannedCell) -> _Evaluated | None:
    if planned.evaluation is None:
        return None
    ref = planned.evaluation
    record = store.find(ref.id, ref.kind, ref.label)
    if record is None or record.status != "done":
        return None
    path = store.read(record, predictions.NAME)
    name = predictions.about(path).task
    limit: Any = record.settings.get("limit")
    if name not in TASKS:
        return None
    return _Evaluated(planned.cell, TASKS[name], path, limit, evaluation.read(record).collapsed)


def _written(one: _Evaluated, directory: Path, *, partial: bool) -> _Exported:
    label, task = one.cell.label, one.task
    if one.limit is not None:
        raise ExportError(
            f"{label} was evaluated on {one.limit:,} items of each language, and XTREME scores all of them:"
            " run the recipe with evaluate.limit=null"
        )
    stored = predictions.read(one.path)
    by_language = {language.language: language for language in stored.languages}
    missing = [code for code in task.languages if code not in by_language]
    if missing and not partial:
        raise ExportError(
            f"{label} lacks {len(missing)} of the {len(task.languages)} languages that XTREME scores {task.title} in:"
            f" {', '.join(missing)}. Evaluate them too, or write the others with --partial: the benchmark's evaluator"
            " refuses a task without all of its files"
        )
    present = tuple(code for code in task.languages if code in by_language)
    if not present:
        raise ExportError(f"{label} was evaluated in none of the languages that XTREME scores {task.title} in")
    directory.mkdir(parents=True)
    names = [task.labels.get(label, label) for label in stored.of.labels]
    for code in present:
        text = _text(task, names, by_language[code], f"{label} in {code}")
        suffix = "json" if task.layout == "answers" else "tsv"
        (directory / f"test-{code}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
    return _Exported(task, label, present, sum(len(by_language[code].ids) for code in present), one.collapsed)


def _text(task: Task, labels: Sequence[str], language: LanguagePredictions, where: str) -> str:
    """A file's content."""
    ids, said = language.ids, language.prediction
    if task.layout == "answers":
        if all(re.fullmatch(r"[\d-]+", id) for id in ids):
            raise ExportError(f"{where}: the data has no ids of questions, by which XTREME finds their answers")
        return json.dumps(dict(zip(ids, said, strict=True)), ensure_ascii=False, indent=0) + "\n"
    return "".join(f"{line}\n" for line in _lines(task, labels, ids, said))


def _lines(task: Task, labels: Sequence[str], ids: Sequence[str], answers: Sequence[Any]) -> Iterator[str]:
    for id, said in zip(ids, answers, strict=True):
        if task.layout == "pairs":
            if said:
                yield f"{id}\t{said}"
        elif task.layout == "places":
            yield str(said[0])
        else:
            yield from (labels[label] for label in said)
            if task.layout == "tags":
                yield ""
