"""Do evaluations: bundles of stages that read the same texts, to stored predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import collapse
from adapterx.engine.predict import Observe, TrainedCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.retrieve import Vectors
from adapterx.executors import search
from adapterx.executors.apart import Fail, apart
from adapterx.executors.backbones import Backbones, HeldBackbone
from adapterx.executors.backends import Backend, Sweep
from adapterx.executors.data import Data
from adapterx.executors.finished import FinishedTrainings
from adapterx.executors.recorder import Recorder
from adapterx.executors.texts import searched_texts, tested_texts
from adapterx.methods.head import Head
from adapterx.methods.method import Slot
from adapterx.plan import Evaluation, Plan, Stage, Training
from adapterx.plan.bundles import structure
from adapterx.plan.stage import SearchSettings
from adapterx.recipe.schema import Lane
from adapterx.results.predictions import LanguagePredictions
from adapterx.tasks.kinds import kind

Passes: TypeAlias = Callable[[int, int, str], Observe]
"""Items and token rows to read and what they are, to what hears of every pass."""


class Evaluations:
    """Evaluates bundles.

    Args:
        data: the examples of the plan's tasks.
        backends: one for each lane.
        finished: the trainings that are evaluated.
        passes: tells how far an evaluation is.
    """

    def __init__(
        self,
        plan: Plan,
        data: Data,
        backbones: Backbones,
        backends: Mapping[Lane, Backend],
        finished: FinishedTrainings,
        recorder: Recorder,
        passes: Passes,
    ) -> None:
        self._plan, self._data, self._backbones, self._backends = plan, data, backbones, backends
        self._finished, self._recorder, self._passes = finished, recorder, passes

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Evaluate the stages of one bundle; arguments as of `Worker.do`."""
        assert isinstance(stages[0].work, Evaluation)
        if stages[0].work.search is None:
            self._evaluate(stages, fail)
        else:
            self._search(stages, fail)

    def _evaluate(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Evaluate stages that have their texts in common."""
        backbone, started = self._backbones.of(stages), time.monotonic()
        cells: list[tuple[TrainedCell, Head]] = []
        going: list[Stage] = []
        for stage in stages:
            with apart(stage, fail):
                cells.append(self._finished.with_head(stage.inputs[0]))
                going.append(stage)
        if not going:
            return
        work, trained = stages[0].work, self._plan.stages[stages[0].inputs[0]].work
        assert isinstance(work, Evaluation) and isinstance(trained, Training)
        pools = backbone.pools(self._data, tested_texts(work, trained))
        prefix = self._kept_for(stages, backbone)
        sweep = Sweep(trained.seed, prefix, self._passed(pools, len(going)))
        predictions: list[list[LanguagePredictions]] = [[] for _ in going]
        for part, read in self._as_read(going, [cell for cell, _ in cells], pools):
            of_part = [(cell, head) for cell, (_, head) in zip(read, cells, strict=True)]
            found = self._backends[work.lane].evaluate(backbone, of_part, part, sweep)
            for of_stage, languages in zip(predictions, found, strict=True):
                of_stage.extend(languages)
        if prefix is not None:
            prefix.flush()
        seconds = (time.monotonic() - started) / len(going)
        for stage, of_stage in zip(going, predictions, strict=True):
            with apart(stage, fail):
                why = collapse(of_stage, work.task.labels, kind(work.task.format))
                self._recorder.evaluation(stage, of_stage, seconds, why, {})

    def _passed(self, pools: Sequence[Pool], cells: int) -> Observe:
        """What hears of the passes of so many cells over pools."""
        items, rows = (sum(count(pool.data) for pool in pools) for count in (len, lambda data: len(data.tokens)))
        languages = len({pool.language for pool in pools})
        what = f"items ({languages} language{'s' * (languages > 1)} × {cells} cell{'s' * (cells > 1)})"
        return self._passes(items * cells, rows * cells, what)

    def _search(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Evaluate by retrieval, with the adapters of a training or none; stages that read the same texts."""
        backbone, started = self._backbones.of(stages), time.monotonic()
        cells: dict[tuple[str, ...], tuple[Stage, TrainedCell]] = {}
        going: list[tuple[Stage, SearchSettings]] = []
        for stage in stages:
            with apart(stage, fail):
                assert isinstance(stage.work, Evaluation) and stage.work.search is not None
                if stage.inputs not in cells:
                    tested = self._finished.cell(stage.inputs[0]) if stage.inputs else _bare(stage)
                    cells[stage.inputs] = (stage, tested)
                going.append((stage, stage.work.search))
        if not going:
            return
        work = stages[0].work
        assert isinstance(work, Evaluation)
        spec = self._data.spec(work.task.task)
        pools = {split: backbone.pools(self._data, own) for split, own in searched_texts(work, spec).items()}
        texts = [pool for split in spec.scored for pool in pools[split]]
        place = {inputs: number for number, inputs in enumerate(cells)}
        searches = [(place[stage.inputs], asked) for stage, asked in going]
        every = search.passes(searches, sum(len(pool.data) for pool in texts), backbone.encoder.hidden)
        prefix = self._kept_for(stages, backbone, len(every))
        passed = self._passed(texts, sum(len(asked) for asked in every))
        embed = self._embedding(list(cells.values()), backbone, Sweep(self._seed(going[0][0]), prefix, passed))
        found = dict(search.search(searches, every, spec, pools, work.limit, embed, backbone.encoder.device))
        if prefix is not None:
            prefix.flush()
        seconds = (time.monotonic() - started) / len(going)
        for number, (stage, _) in enumerate(going):
            with apart(stage, fail):
                own = found[number]
                why = search.collapse(own.predictions)
                self._recorder.evaluation(stage, own.predictions, seconds, why, own.result)

    def _embedding(
        self, cells: Sequence[tuple[Stage, TrainedCell]], backbone: HeldBackbone, sweep: Sweep
    ) -> search.Embed:
        """What turns texts into vectors of these cells, each with a stage that it is read for."""
        backend = self._backends[cells[0][0].work.lane]

        def vectors(asked: search.Asked, pools: Sequence[Pool]) -> search.Read:
            made: dict[int, list[list[Vectors]]] = {}  # of each pool, by cell and pooling
            stages, tested = zip(*(cells[number] for number, _ in asked), strict=True)
            for part, swapped in self._as_read(stages, tested, pools):
                wanted = [(cell, poolings) for cell, (_, poolings) in zip(swapped, asked, strict=True)]
                texts = [pool.data for pool in part]
                found = backend.embed(backbone, wanted, texts, sweep)
                for number, pool in enumerate(part):
                    made[id(pool)] = [[of_pooling[number] for of_pooling in of_cell] for of_cell in found]
            return [
                [[made[id(pool)][cell][reader] for pool in pools] for reader in range(len(poolings))]
                for cell, (_, poolings) in enumerate(asked)
            ]

        return vectors

    def _seed(self, stage: Stage) -> int:
        """That of the training that is evaluated; 0 for the backbone as it is."""
        tested = self._plan.stages[stage.inputs[0]].work if stage.inputs else None
        return tested.seed if isinstance(tested, Training) else 0

    def _as_read(
        self, stages: Sequence[Stage], cells: Sequence[TrainedCell], pools: Sequence[Pool]
    ) -> Iterator[tuple[Sequence[Pool], Sequence[TrainedCell]]]:
        """Languages with the cells as they are to read them: each with its own adapter below, where it has one."""
        assert isinstance(stages[0].work, Evaluation)
        if not stages[0].work.swapped:
            yield pools, cells
            return
        for place, language in enumerate(stages[0].work.swapped, start=1):
            own = [self._finished.slot(stage.inputs[place]) for stage in stages]
            yield (
                [pool for pool in pools if pool.language == language],
                [replace(cell, slots=(slot, *cell.slots[1:])) for slot, cell in zip(own, cells, strict=True)],
            )

    def _kept_for(self, stages: Sequence[Stage], backbone: HeldBackbone, passes: int = 1) -> PrefixCache | None:
        """The prefix cache, where an evaluation has use of it: what is read once in a run need not be kept."""
        cache, work = self._plan.recipe.prefix_cache, stages[0].work
        if cache.where == "disk" or work.prefix != "exact" or passes > 1:
            return backbone.prefix
        own, ids = structure(stages[0], self._plan), {stage.id for stage in stages}
        others = (one for one in self._plan.stages.values() if one.kind == "evaluation" and one.id not in ids)
        return backbone.prefix if any(structure(one, self._plan) == own for one in others) else None


def _bare(stage: Stage) -> TrainedCell:
    """The backbone as it is."""
    return TrainedCell((Slot(stage.method, {}),), {})
