"""What a reader should know before trusting a score: answers that are constant in some languages, trainings that taught
nothing, and test or training items that all have one label.

It is judged from stored predictions and losses when a report is drawn, so results of earlier versions are judged too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Curve, Results
from adapterx.report.scores import Grid
from adapterx.results import provenance, training
from adapterx.results.run_file import PlannedCell
from adapterx.store import Record
from adapterx.tasks import constancy
from adapterx.tasks.constancy import Answers
from adapterx.tasks.metrics import unit
from adapterx.tasks.metrics_retrieval import NAMES as RETRIEVAL

NEARLY_ALL = 0.98
"""Share of the commonest answer from which on a cell says little else."""
EXCESS = 0.05
"""By how much that share has to exceed the one of the commonest right answer."""
AT_CHANCE = 0.97
"""A loss above this share of the loss of guessing has not been lowered."""
LEARNT_BY_HEART = 0.7
"""A loss below this share of it shows that the training items were learnt."""
LAST = 0.1
"""Share of the steps whose mean loss is the final one."""
FEWEST = 5
"""Steps, at least, behind a final loss."""


Verdict = Literal["", "unclear", "nothing"]


@dataclass(frozen=True)
class Judgement:
    """What one cell's answers and losses show."""

    constant: Mapping[str, Answers]
    """By language: those where everything is answered alike that should not be."""
    judged: int
    """Languages in which several answers are right."""
    verdict: Verdict = ""
    """Whether its training has taught it nothing, or nothing that its test items can show."""
    why: tuple[str, ...] = ()
    advice: str = ""
    """What to try then."""

    @property
    def words(self) -> str:
        """What to say of the cell; empty where there is nothing to say."""
        parts = [constancy.told(self.constant, self.judged)] if self.constant else []
        if self.verdict:
            verdict = "has learnt nothing" if self.verdict == "nothing" else "has not clearly learnt its target"
            parts.append(f"{verdict}: {'; '.join(self.why)}. {self.advice}")
        return "; ".join(parts)


@dataclass(frozen=True)
class Remark:
    """Something to know, and whom it is about."""

    about: str
    """Cells, or a task."""
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


def judge(grid: Grid) -> Mapping[Cell, Judgement]:
    """Every evaluated cell, in the order of the run."""
    planned = {one.cell: one for one in grid.results.run.cells}
    return {result.cell: _judged(grid, result, planned[result.cell]) for result in grid.results.cells if result.scores}


def remarks(results: Results, judgements: Mapping[Cell, Judgement]) -> tuple[Remark, ...]:
    """What a reader should know, one remark for all cells of which the same is to be said."""
    found: dict[str, list[str]] = {}
    for cell, judgement in judgements.items():
        if judgement.words:
            found.setdefault(judgement.words, []).append(cell.label)
    of_cells = [Remark(", ".join(labels), text) for text, labels in found.items()]
    noted = (*_noted(results.stages.values()), *_reruns(results.stages.values()))
    return (*_single_labels(results), *noted, *_intermediates(results), *of_cells)


def _judged(grid: Grid, result: CellResult, planned: PlannedCell) -> Judgement:
    assert result.scores is not None
    answers = {language: items.answers for language, items in result.scores.languages.items() if items.answers}
    varied = {language: one for language, one in answers.items() if one.varied}
    constant = {language: one for language, one in varied.items() if one.constant}
    metric = result.scores.metrics[0].name
    trained = planned.target
    if trained is None or metric in RETRIEVAL or result.status != "done":
        return Judgement(constant, len(varied))
    sources = [one for one in grid.results.targets[result.cell.target].sources if one in varied]
    chance, loss = _chance(grid.results.stages.get(trained), sources, varied), final(grid.results.curves.get(trained))
    alike = list(_one_answer([varied[language] for language in sources], sources))
    level = list(_no_better(grid, result, metric, sources))
    flat = list(_not_lowered(loss, chance))
    verdict: Verdict = ""
    if alike or (flat and (level or not sources)):
        verdict = "nothing"
    elif level:
        verdict = "unclear"
    if not verdict:
        return Judgement(constant, len(varied))
    by_heart = loss is not None and chance is not None and loss < LEARNT_BY_HEART * chance
    return Judgement(constant, len(varied), verdict, (*alike, *level, *flat), _BY_HEART if by_heart else _MORE)


_MORE = (
    "Try more steps, another learning rate (a higher one where the loss stays flat, a lower one or a longer warm-up"
    " where it jumps), or more training items"
)
_BY_HEART = "It has learnt its training items by heart instead: try more of them, or fewer steps"


def _one_answer(answers: Sequence[Answers], languages: Sequence[str]) -> Iterator[str]:
    """Nearly one answer in all languages that the target was trained in."""
    if answers and all(one.share >= NEARLY_ALL and one.share - one.right_share >= EXCESS for one in answers):
        (least, *_) = sorted(answers, key=lambda one: one.share)
        share = "100" if least.share == 1 else f"at least {100 * least.share:.0f}"
        yield f"one answer is {share} % of all in {', '.join(languages)}, where it was trained"


def _no_better(grid: Grid, result: CellResult, metric: str, sources: Sequence[str]) -> Iterator[str]:
    """A score in the training languages whose interval reaches that of always answering the commonest label."""
    baselines = grid.results.targets[result.cell.target].majority.get(metric, {})
    known = [language for language in sources if language in baselines]
    estimate = grid.mean_of_cell(result, metric, known)
    if estimate is None:
        return
    baseline = sum(baselines[language] for language in known) / len(known)
    if estimate.low <= baseline:
        factor = unit(metric).factor
        yield (
            f"{metric} in {', '.join(known)}, {factor * estimate.value:.1f} [{factor * estimate.low:.1f},"
            f" {factor * estimate.high:.1f}], is not above the {factor * baseline:.1f} of one answer to everything"
        )


def _not_lowered(loss: float | None, chance: float | None) -> Iterator[str]:
    """A loss that ended where guessing by the labels' frequencies is."""
    if loss is not None and chance and loss >= AT_CHANCE * chance:
        yield f"the training loss ended at {loss:.2f}, that of guessing is {chance:.2f}"


def final(curve: Curve | None) -> float | None:
    """The mean loss of a training's last steps; None where there are too few."""
    if curve is None or len(curve) < FEWEST:
        return None
    count = max(FEWEST, round(LAST * len(curve)))
    return float(np.mean([loss for _, loss in curve[-count:]]))


def _chance(record: Record | None, sources: Sequence[str], answers: Mapping[str, Answers]) -> float | None:
    """The loss of guessing by how frequent labels are: in the training data, as the training recorded it; else in the
    test data of the same languages.
    """
    noted = None if record is None else training.notes(record).prior_loss
    if noted is not None:
        return noted
    asked = [one.entropy for language, one in answers.items() if language in sources or not sources]
    known = [entropy for entropy in asked if entropy is not None]
    return sum(known) / len(known) if known else None


def _single_labels(results: Results) -> Iterator[Remark]:
    """Test items that all have one label, which any constant answer gets right."""
    for target, facts in results.targets.items():
        cells = [one.scores for one in results.cells if one.cell.target == target and one.scores is not None]
        found: dict[tuple[int, str], list[str]] = {}
        for language in facts.languages:
            answers = next((one.languages[language].answers for one in cells if language in one.languages), None)
            if answers is not None and answers.right and not answers.varied and answers.items > 1:
                found.setdefault((answers.items, answers.right), []).append(language)
        for (items, label), languages in found.items():
            yield Remark(facts.task or target, constancy.single(items, "test", languages, label))


def _noted(records: Iterable[Record]) -> Iterator[Remark]:
    """What stages have noted of their own data."""
    seen: dict[str, None] = {}
    for record in records:
        seen.update(dict.fromkeys(training.notes(record).remarks))
    for text in seen:
        about, _, rest = text.partition(": ")
        yield Remark(about, rest)


def _reruns(records: Iterable[Record]) -> Iterator[Remark]:
    """Stages that were done after they had failed: not what differs between runs of one identity, but to be known."""
    found: dict[str, list[str]] = {}
    for record in records:
        if before := provenance.failed_before(record):
            text = f"run again after it had failed ({before[0]}, {before[1][:10]})"
            found.setdefault(text, []).append(f"{record.kind} {record.label}")
    for text, stages in found.items():
        yield Remark(", ".join(stages), text)


def _intermediates(results: Results) -> Iterator[Remark]:
    """Intermediates whose loss was not lowered, as far as they recorded that of guessing."""
    for ref, record in results.stages.items():
        if ref.kind == "intermediate" and record.status == "done":
            for why in _not_lowered(final(results.curves.get(ref)), training.notes(record).prior_loss):
                yield Remark(f"the intermediate {ref.label}", f"learnt nothing: {why}. {_MORE}")
