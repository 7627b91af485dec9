"""What several adapters become, trained on a task by the fused engine and scored beside each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from adapterx.backbones.describe import describe
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.packed import PackedEncoder
from adapterx.config.fields import ALL_LANGUAGES
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.evaluate import answered
from adapterx.engine.predict import TrainedCell, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import Progress, task_score, train
from adapterx.executors import ensemble
from adapterx.executors.answer import fitted, for_task
from adapterx.executors.assess import assessed, check_finite
from adapterx.executors.data import Data
from adapterx.executors.device import choose, free_memory
from adapterx.executors.fuse import FuseError, Parts, Whole, merged
from adapterx.executors.texts import ReadTexts
from adapterx.files.errors import FormatError
from adapterx.formats.adapter import PortableAdapter, PortableHead
from adapterx.formats.fused import PortableFusion
from adapterx.limits import Limit, Sample
from adapterx.methods import merge_weights
from adapterx.methods.head import Head
from adapterx.methods.merge_weights import Trial, Vector
from adapterx.methods.merging import Merging
from adapterx.plan.facts import Facts, Refusal
from adapterx.report.paired import Comparison, compared
from adapterx.tasks import data as catalog
from adapterx.tasks.contamination import Relations
from adapterx.tasks.contents import Contents
from adapterx.tasks.facts import Relation, TaskPart
from adapterx.tasks.looks import Looks
from adapterx.tasks.sampling import pool_probabilities
from adapterx.tasks.spec import TaskSpec
from adapterx.train_settings import TrainSettings

SOURCE = "en"
"""The language that adapters are taken to be trained in, where nothing says otherwise."""
DEV_ITEMS = 200
"""Per language, by which weights are tuned."""
ENSEMBLE = "ensemble"
"""What tables call the mean of the parts' answers, which costs as much as all of them together."""
_PREFIX_BYTES = 8e9
"""What hidden states below the adapters may take at most, as a recipe has it by default."""


@dataclass(frozen=True)
class Asked:
    """A training, as the command line asks for it."""

    task: str
    languages: tuple[str, ...]
    settings: TrainSettings
    seed: int


@dataclass(frozen=True)
class FusedScores:
    """How the result and its parts do on a task."""

    names: tuple[str, ...]
    """Of what is scored: parts, `ENSEMBLE`, the result."""
    comparison: Comparison | None
    """Under the task's main metric; None where nothing can be scored."""
    left_out: Mapping[str, str]
    """Adapter → why it has no score."""


class Bench:
    """The parts' backbone and the tasks' data. Tasks are looked up at once, the backbone is loaded when it is needed.

    Args:
        beside: where tasks of the user's own are found.
    """

    def __init__(self, parts: Parts, beside: Path) -> None:
        self.parts = parts
        self.beside = beside
        self.data = Data(beside)
        contents = Contents(beside)
        self.facts: Facts[TaskSpec] = Facts(describe, catalog, beside, Looks(contents))
        self._compare = Relations(contents, fetch=True)
        self._machine = choose()

    @cached_property
    def _loaded(self) -> LoadedBackbone:
        return load(self.parts.backbone, self.parts.info, self._machine.device)

    @cached_property
    def _encoder(self) -> PackedEncoder:
        return PackedEncoder(self._loaded.model, f"{self.parts.info.key} {self.parts.backbone.load}")

    @cached_property
    def _prefix(self) -> PrefixCache:
        return PrefixCache(self._encoder, min(int(_PREFIX_BYTES), free_memory("cpu") // 2))

    def check(self, asked: Asked | None, scored: str, tuned_in: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What to know of a training, a choice of weights and a scoring, in a plan's words; nothing is loaded for it.

        Args:
            tuned_in: the languages whose dev items choose the weights, if they do.

        Raises FuseError for what has no data, for a trained head that could not score, and for learning from, or
        choosing by, items that are scored.
        """
        test = self._to_score(scored)
        chosen = self._chosen_by(scored, tuned_in, test) if tuned_in else ()
        if asked is None:
            return (*chosen, *self._left_out())
        part = self._to_train(asked)
        if (part.format, part.labels) != (test.format, test.labels):
            raise FuseError(
                f"the result is trained on '{part.task}' ({part.format}: {', '.join(part.labels)}) and cannot be scored"
                f" on '{test.task}' ({test.format}: {', '.join(test.labels)})"
            )
        return (*chosen, *self._compared(part, test), *self._left_out())

    def label_remarks(self, task: str) -> tuple[str, ...]:
        """What to know of parts whose files do not name the outputs of their heads."""
        found: list[str] = []
        for part in self.parts.parts:
            if part.adapter.head is not None:
                with suppress(FormatError):  # such a part is left out of the scores, and told then
                    found += fitted(part.adapter.head, task, self.beside, (), part.name)[1]
        return tuple(found)

    def _chosen_by(self, task: str, languages: tuple[str, ...], test: TaskPart) -> tuple[str, ...]:
        """What to know of weights that dev items choose."""
        relation = self._related(self._dev(task, languages), test, "dev")
        remarks = [f"shared items: {remark}" for remark in relation.remarks]
        if foreign := [code for code in languages if code != SOURCE]:
            remarks.append(
                f"tuned on {', '.join(foreign)}: the weights are chosen by dev items of {task} in"
                f" {'this language' if len(foreign) == 1 else 'these languages'}, where the scores are not zero-shot"
            )
        return tuple(remarks)

    def _left_out(self) -> tuple[str, ...]:
        return tuple(f"left out: {remark}" for remark in self.facts.remarks)

    def _compared(self, trained: TaskPart, scored: TaskPart) -> tuple[str, ...]:
        relation = self._related(trained, scored, "train")
        remarks = [f"shared items: {remark}" for remark in relation.remarks]
        learnt = [part.adapter.head.task for part in self.parts.parts if part.adapter.head is not None]
        if own := sorted(
            {task for task in learnt if task in (trained.task, scored.task, *self._compare.spec(scored.task).same_task)}
        ):
            remarks.append(
                f"target training: {', '.join(own)} → {scored.task}: an adapter has learnt the target's own task"
            )
        return tuple(remarks)

    def _related(self, used: TaskPart, scored: TaskPart, split: str) -> Relation:
        """What two parts have in common; FuseError for too much of it."""
        try:
            relation = self._compare(used, scored, split)
        except (ValueError, LookupError, OSError) as error:
            raise FuseError(str(error)) from None
        if relation.leak is not None:
            raise FuseError(relation.leak)
        return relation

    def _dev(self, task: str, languages: tuple[str, ...]) -> TaskPart:
        try:
            return self.facts.part(task, None, languages, ("dev",))
        except Refusal as refusal:
            raise FuseError(str(refusal)) from None

    def _to_train(self, asked: Asked) -> TaskPart:
        try:
            return self.facts.part(asked.task, None, asked.languages, ("train",))
        except Refusal as refusal:
            reason, _, recipe_only = str(refusal).partition("; a target can")
            cure = "; --train another task with the same labels, and score on this one with --task"
            raise FuseError(reason + (cure if recipe_only else "")) from None

    def _to_score(self, task: str) -> TaskPart:
        """The test items, in every language that has some."""
        try:
            return self.facts.part(task, None, ALL_LANGUAGES, ("test",))
        except Refusal as refusal:
            raise FuseError(str(refusal)) from None

    def tuned(
        self, merging: Merging, task: str, languages: tuple[str, ...], seed: int, sample: Sample = "random"
    ) -> tuple[Merging, tuple[Trial, ...]]:
        """The weights with which the merged adapter and head are best on the task's dev items, and all that were tried.

        `methods.merge_weights` says which those are. The mean over the languages decides, of DEV_ITEMS items each,
        which `sample` chooses.
        Raises FuseError where the parts have no heads of one task, or the task no dev items in these languages.
        """
        first = merged(self.parts, merging, seed).head
        if first is None:
            raise FuseError("tuned weights are judged by the answers of a head, and these adapters have none in common")
        head, _ = for_task(first, task, self.beside).named(task)
        asked = self._dev(task, languages)
        judged = TaskData(head, self.data.metrics(asked)[0], (), self._pools(asked, "dev", Limit(DEV_ITEMS, sample)))

        def scored(vector: Vector) -> tuple[float, ...]:
            whole = merged(self.parts, replace(merging, weights=tuple(map(float, vector))), seed)
            assert whole.head is not None, "it has one with any weights"
            tensors = for_task(whole.head, task, self.beside).named(task)[1]
            return (100 * task_score(self._encoder, judged, TrainedCell(whole.slots, tensors), self._prefix),)

        trials = merge_weights.search(len(self.parts.parts), merging.sums, scored)
        return replace(merging, weights=tuple(map(float, merge_weights.best(trials).weights))), trials

    def trained(self, start: Whole, asked: Asked, observe: Callable[[Progress], None]) -> Whole:
        """The result with its head, after training: a fusion over frozen members, or a merged adapter itself.

        A merged adapter whose head is of the task goes on from that head. Raises FuseError where it diverges.
        """
        part = self._to_train(asked)
        head = Head(part.task, part.format, len(part.labels))
        cell = self._cell(start, asked, part, head)
        (outcome,) = train(self._encoder, [cell], observe=observe, options=self._machine.options, prefix=self._prefix)
        if outcome.status == "diverged":
            raise FuseError(
                f"the loss or its gradient was not finite at step {outcome.state.step + 1}, and nothing was written: "
                f"try a smaller --learning-rate than {asked.settings.learning_rate:g}"
            )
        tensors = outcome.trained.slots[-1].tensors
        return replace(start, tensors=tensors, head=PortableHead.of(head, part.labels, outcome.trained.heads))

    def _cell(self, start: Whole, asked: Asked, part: TaskPart, head: Head) -> TrainingCell:
        pools = self._pools(part, "train", asked.settings.limit)
        known = start.head
        fitting = known.ordered(part.labels) if known is not None and known.task == part.task else None
        initial = fitting.named(part.task)[1] if fitting is not None else {}
        alone = isinstance(start, PortableAdapter)
        return TrainingCell(
            name="fusion" if isinstance(start, PortableFusion) else "merged",
            key="fuse",
            seed=asked.seed,
            method=start.method,
            settings=asked.settings,
            tasks=(TaskData(head, self.data.metrics(part)[0], pools, initial=initial),),
            probabilities=pool_probabilities([len(pool.data) for pool in pools]),
            initial=start.tensors if alone else None,
            lower=start.slots[:-1],
        )

    def _pools(self, part: TaskPart, split: str, limit: Limit | None) -> tuple[Pool, ...]:
        loaded = self._loaded
        texts = ReadTexts(part, split, limit, self.parts.max_length)
        return self.data.pools(texts, loaded.tokenizer, loaded.tokenizer_key)

    def scores(self, result: Whole, name: str, task: str, limit: Limit | None) -> FusedScores:
        """The task's first metric on its test items, for the result, every part with a head for it and their ensemble.

        Args:
            name: what the result is called.
            limit: which test items of each language; all where None.
        """
        asked = self._to_score(task)
        labels = [part.label for part in self.parts.parts]
        names = labels if len({*labels, name}) > len(labels) else [part.name for part in self.parts.parts]
        everything: list[tuple[str, Whole]] = [*zip(names, self.parts.adapters, strict=True), (name, result)]
        cells: list[tuple[TrainedCell, Head]] = []
        scored, left_out = [], {}
        for one, whole in everything:
            try:
                head, tensors = _head_for(whole, task, self.beside).named(task)
            except FormatError as error:
                hint = "; --train TASK would give it one" if whole is result and whole.head is None else ""
                left_out[one] = f"{error}{hint}"
                continue
            cells.append((TrainedCell(whole.slots, tensors), head))
            scored.append(one)
        if not cells:
            return FusedScores((), None, left_out)
        pools, kind = self._pools(asked, "test", limit), cells[0][1].kind
        raw = dict(zip(scored, predict(self._encoder, cells, [pool.data for pool in pools], self._prefix), strict=True))
        parts = [raw[one] for one in scored if one != name]
        if len(parts) > 1 and not kind.passages:
            result_scores = raw.pop(name, None)
            raw[ENSEMBLE] = ensemble.mean(parts, kind)
            raw |= {} if result_scores is None else {name: result_scores}
        answers = {one: answered(pools, scores, kind) for one, scores in raw.items()}
        for one, of_one in answers.items():
            check_finite(one, of_one)
        spec = self.data.spec(task)
        stored = [assessed(of_one, spec, asked.labels, kind) for of_one in answers.values()]
        return FusedScores(tuple(answers), compared(stored)[0], left_out)


def _head_for(whole: Whole, task: str, beside: Path) -> PortableHead:
    """FormatError where there is no head, or one for something else."""
    if whole.head is None:
        raise FormatError("it has no prediction head")
    return for_task(whole.head, task, beside)
