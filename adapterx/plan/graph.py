"""The plan: the stages of a recipe as a graph, each once, and what cannot be run with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Generic

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.config.problems import Finding, SettingError
from adapterx.methods.base import MethodSpec
from adapterx.methods.registry import ARITHMETIC, UNTRAINED
from adapterx.plan import arms, checks, cost, fit, lane, retrieval
from adapterx.plan.adoption import Adopt, Adoption, Adoptions, unadopted
from adapterx.plan.ahead import look_ahead
from adapterx.plan.automatic import settled
from adapterx.plan.cell_settings import CellSettings
from adapterx.plan.cells import Cell, expand
from adapterx.plan.contamination import Compare, Leakage, uncompared
from adapterx.plan.facts import Facts, Refusal, Task, TaskFacts
from adapterx.plan.identity import adopted_settings, evaluation_settings, stage_id, training_settings
from adapterx.plan.lane import Measure, unmeasured
from adapterx.plan.looks import Look, unseen
from adapterx.plan.result import CellStages, Plan
from adapterx.plan.stage import Coordinates, Evaluation, Stage, Training
from adapterx.plan.unknown import unknown_members, unknown_tasks
from adapterx.recipe import Intermediate, Recipe, Target
from adapterx.recipe import Sampling as Proportions
from adapterx.recipe.training import Phase
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind
from adapterx.train_settings import TrainSettings
from adapterx.transfers.base import TransferSpec


def build(
    recipe: Recipe,
    recipe_dir: Path | None,
    describe: Callable[[Backbone], BackboneInfo],
    tasks: TaskFacts[Task],
    measure: Measure = unmeasured,
    compare: Compare = uncompared,
    look: Look = unseen,
    known: cost.PredictedBy | None = None,
    adopt: Adopt = unadopted,
) -> Plan:
    """Plan a recipe.

    Args:
        recipe_dir: where tasks of the user's own are looked for.
        describe: the sizes of a backbone, without its weights.
        tasks: the catalog.
        measure: looks at adapters that a library makes; only asked where the recipe has some.
        compare: looks for items that what is trained on shares with what is scored.
        look: reads the data, so that what is wrong with it is told before anything is trained.
        known: what predictions of time and memory rest on.
        adopt: looks at adapters that intermediates name; only asked where some do.

    Raises SettingError for tasks and sources that do not exist, and where `skip` leaves no cell.
    """
    cells = expand(recipe)
    if not cells:
        raise SettingError([Finding(("skip",), "leaves no cell of the grid", at_key=True)])
    facts = Facts(describe, tasks, recipe_dir, look)
    if findings := [*unknown_members(recipe), *unknown_tasks(recipe, facts)]:
        raise SettingError(findings)
    known = known or cost.PredictedBy()
    recipe, choices = settled(recipe, facts, known.pace.gpu)
    look_ahead(recipe, facts, cells)
    builder = _Builder(recipe, facts, measure, compare, known, adopt)
    for cell in cells:
        builder.add(cell)
    kinds = ("intermediate", "target", "evaluation")
    ordered = sorted(builder.stages.values(), key=lambda stage: kinds.index(stage.kind))
    stages = {stage.id: stage for stage in ordered}
    compared = arms.described(recipe, stages, builder.cell_stages, builder.examples, facts.origin)
    return Plan(
        recipe,
        tuple(cells),
        stages,
        builder.cell_stages,
        builder.refused,
        builder.backbones,
        frozenset(builder.leakage.target_training),
        tuple(builder.leakage.remarks),
        tuple(facts.remarks),
        builder.leakage.unseen,
        tuple(facts.single_labels),
        choices,
        known.pace,
        arms=compared,
    )


class _Builder(Generic[Task]):
    """Makes the stages of cell after cell, each stage once."""

    def __init__(
        self,
        recipe: Recipe,
        facts: Facts[Task],
        measure: Measure,
        compare: Compare,
        known: cost.PredictedBy,
        adopt: Adopt = unadopted,
    ) -> None:
        self.adoptions = Adoptions(recipe, facts, adopt)
        self.recipe = recipe = self.adoptions.resolved()
        self.known = known
        self.facts = facts
        self.cells = CellSettings(recipe, facts, measure)
        self.leakage = Leakage(facts, compare)
        self.stages: dict[str, Stage] = {}
        self.cell_stages: dict[Cell, CellStages] = {}
        self.refused: dict[Cell, str] = {}
        self.backbones: dict[str, BackboneInfo] = {}
        self.intermediates: dict[tuple[str, str, str, int, str | None], Stage] = {}

    def add(self, cell: Cell) -> None:
        """Add a cell's stages, or its refusal and none of them."""
        try:
            info = self.facts.backbone(self.recipe.backbones[cell.backbone])
            checks.method(self.recipe, cell, info)
            self.cells.sized(cell.backbone, cell.method, info)
            self.cells.check_lane(cell, info)
            settings = self.cells.train_settings(cell, "target", info)
            checks.target(self.facts, self.recipe.targets[cell.target])
            bare = retrieval.untrained(self.facts, self.recipe.targets[cell.target])
            self._check_adopted(cell, info)
            (retrieval.check if bare else checks.transfer)(self.recipe, cell)
            upstream, swapped = self._upstream(cell, info)
            target = None if bare else self._target(cell, info, settings, upstream)
            tested = target or (upstream[0] if upstream else None)
            evaluation = self._evaluation(cell, info, settings.max_length, tested, swapped)
            self._check_room(cell, (*upstream, *swapped.values(), *([] if target is None else [target]), evaluation))
            self.leakage.check(cell, (*upstream, *swapped.values()), target, evaluation)
        except Refusal as refusal:
            self.refused[cell] = str(refusal)
            return
        self.backbones[cell.backbone] = info
        own = {stage.id: stage for stage in (*upstream, *swapped.values())}
        below = [self.stages.setdefault(stage.id, stage).id for stage in own.values()]
        trained = None if target is None else self.stages.setdefault(target.id, target).id
        scored = self.stages.setdefault(evaluation.id, evaluation).id
        single = below[0] if len(upstream) == 1 else None
        members = [stage.id for stage in upstream] if len(upstream) > 1 else [id for id in below if id != single]
        self.cell_stages[cell] = CellStages(single, trained, scored, tuple(members))

    def _check_room(self, cell: Cell, stages: Sequence[Stage]) -> None:
        """Refuse what this machine has too little memory for, whatever else runs on it."""
        for stage in stages:
            what = f"{'evaluating' if stage.kind == 'evaluation' else 'training'} '{cell.method}' on '{cell.backbone}'"
            if self.known.room is not None and (why := fit.refusal(stage.cost.memory, self.known.room, what)):
                raise Refusal(why)

    def _upstream(self, cell: Cell, info: BackboneInfo) -> tuple[list[Stage], dict[str, Stage]]:
        """What a target starts from or lies upon: nothing, one stage, or those of every member.

        And, where each language has an adapter of its own, those of the languages that are evaluated.
        """
        learnt = self.recipe.intermediates[cell.intermediate]
        if learnt is None:
            return [], {}
        if not learnt.per_language:
            return [self._intermediate(cell, name, info) for name in learnt.members or (cell.intermediate,)], {}
        chosen = self.recipe.targets[cell.target]
        read = self._scored(chosen).languages
        own = self._languages(learnt, self.cells.train_settings(cell, "intermediate", info))
        if lacking := sorted({*chosen.train_languages, *read} - set(own)):
            raise Refusal(
                f"'{cell.intermediate}' has no adapter for {', '.join(lacking)}, which the target '{cell.target}' is"
                " trained or evaluated in: give it these languages, or the target fewer"
            )
        stages = {code: self._intermediate(cell, cell.intermediate, info, code) for code in own if code in read}
        (trained,) = chosen.train_languages
        below = stages.get(trained) or self._intermediate(cell, cell.intermediate, info, trained)
        return [below], stages

    def _check_adopted(self, cell: Cell, info: BackboneInfo) -> None:
        """Refuse adapters from elsewhere that do not fit the backbone, or cannot reach the target as the cell asks."""
        learnt = self.recipe.intermediates[cell.intermediate]
        names = [] if learnt is None else [*(learnt.members or (cell.intermediate,))]
        known = self.recipe.intermediates
        adopted = [name for name in names if (one := known[name]) is not None and one.init is not None]
        for name in adopted:
            self.adoptions.of(cell.backbone, name)
        way = self.recipe.transfers.get(cell.transfer)
        if not adopted or way is None:
            return
        if way.tunes:
            raise Refusal(
                f"the transfer '{cell.transfer}' tunes its weights on dev data of what the members learnt, and"
                f" '{adopted[0]}' was trained elsewhere; give it weights"
            )
        method = self.cells.sized(cell.backbone, cell.method, info)
        with suppress(ValueError):
            if ARITHMETIC[way.merging(method).arithmetic].from_start:
                raise Refusal(
                    f"the transfer '{cell.transfer}' needs what the adapters started from, and '{adopted[0]}' was"
                    " trained elsewhere"
                )
        if not way.mixed_kinds:
            self.adoptions.check(cell.backbone, iter(adopted), method, cell.method, info)

    def _adopted(self, cell: Cell, name: str, info: BackboneInfo) -> Stage:
        """The reading of an adapter that an intermediate names: one for all seeds."""
        learnt = self.recipe.intermediates[name]
        assert learnt is not None and learnt.init is not None
        found = self.adoptions.of(cell.backbone, name)
        key = (cell.backbone, found.method.kind, name, 0, None)
        if key not in self.intermediates:
            work, backbone = Adoption(learnt.init, found), self.recipe.backbones[cell.backbone]
            place = Coordinates(cell.backbone, found.method.kind, name, cell.seed)
            settings = adopted_settings(backbone, info, work)
            id, price = stage_id("intermediate", settings, ()), cost.adoption(info, found.method, self.known)
            self.intermediates[key] = Stage(
                "intermediate", id, settings, (), place, backbone, info, found.method, work, price
            )
        return self.intermediates[key]

    def _intermediate(self, cell: Cell, name: str, info: BackboneInfo, language: str | None = None) -> Stage:
        """The training of an intermediate, or of its adapter for one language."""
        learnt = self.recipe.intermediates[name]
        assert learnt is not None
        if learnt.init is not None:
            return self._adopted(cell, name, info)
        method = learnt.method or self.recipe.methods[cell.method]
        called = cell.method if learnt.method is None else method.kind
        key = (cell.backbone, called, name, cell.seed, language)
        if key not in self.intermediates:
            settings = self.cells.train_settings(cell, "intermediate", info, name)
            languages = learnt.languages if language is None else (language,)
            parts = self._parts(learnt, settings.splits, languages)
            beside = self._beside(name, learnt, parts)
            checks.text(parts, settings)
            contrastive = checks.contrastive(learnt.contrastive, parts, method, f"'{name}'")
            checks.batches(learnt.batches, parts, self._is_parallel, f"'{name}'")
            parts = tuple(sorted((*parts, *beside), key=lambda part: part.task))
            # What is masked differs from step to step, so nothing is kept.
            text = any(kind(part.format).drawn for part in parts)
            prefix = "exact" if text else self.cells.prefix(info, method)
            sampling, where = learnt.sampling.normalised, lane.lane_of(self.recipe, method)
            share = learnt.beside.share if learnt.beside is not None else 0.0
            work = Training(
                parts,
                sampling,
                settings,
                cell.seed,
                None,
                prefix,
                lane=where,
                batches=learnt.batches,
                contrastive=contrastive,
                text_share=share,
            )
            place = Coordinates(cell.backbone, called, name, cell.seed, language=language)
            self.intermediates[key] = self._training("intermediate", place, info, work, ())
        return self.intermediates[key]

    def _parts(self, learnt: Intermediate, splits: tuple[str, ...], languages: tuple[str, ...]) -> tuple[TaskPart, ...]:
        return tuple(self.facts.part(task, learnt.source_of(task), languages, splits) for task in sorted(learnt.tasks))

    def _beside(self, name: str, learnt: Intermediate, tasks: tuple[TaskPart, ...]) -> tuple[TaskPart, ...]:
        """The text that is learnt beside an intermediate's tasks, if there is one."""
        if learnt.beside is None:
            return ()
        part = self.facts.part(learnt.beside.task, learnt.beside.source, learnt.beside.languages, ("train",))
        checks.beside(name, part, tasks)
        return (part,)

    def _is_parallel(self, task: str) -> bool:
        return self.facts.task(task).parallel

    def _languages(self, learnt: Intermediate, settings: TrainSettings) -> tuple[str, ...]:
        """Those in which all tasks of an intermediate have data."""
        known = [part.languages for part in self._parts(learnt, settings.splits, learnt.languages)]
        return tuple(code for code in known[0] if all(code in languages for languages in known))

    def _scored(self, target: Target) -> TaskPart:
        splits = tuple(self.facts.task(target.task).scored)
        return self.facts.part(target.task, target.source, target.languages, splits)

    def _member_dev(self, cell: Cell, way: TransferSpec | None) -> tuple[tuple[TaskPart, ...], ...]:
        """The training languages of what each member learnt, dev data included, where merge weights are tuned."""
        learnt = self.recipe.intermediates[cell.intermediate]
        if way is None or not way.tunes or learnt is None:
            return ()
        members = [self.recipe.intermediates[name] for name in learnt.members or ()]
        try:
            known = [member for member in members if member is not None]
            return tuple(self._parts(member, ("dev", "train"), member.languages) for member in known)
        except Refusal as refusal:
            raise Refusal(
                f"the transfer '{cell.transfer}' tunes its weights on dev data of what the members learnt: {refusal}"
            ) from None

    def _target(self, cell: Cell, info: BackboneInfo, settings: TrainSettings, upstream: list[Stage]) -> Stage:
        target = self.recipe.targets[cell.target]
        learnt = target.train_task or target.task
        part = self.facts.part(learnt, target.source, target.train_languages, settings.splits)
        way = self.recipe.transfers[cell.transfer] if upstream else None
        if way is not None and way.own_learning_rate is not None:
            settings = replace(settings, learning_rate=way.own_learning_rate, prune=None)
        prefix, dev, lane = (
            self.cells.prefix(info, *self.cells.methods(cell)),
            self._member_dev(cell, way),
            self.cells.lane(cell),
        )
        where = f"the target '{cell.target}'"
        checks.batches(target.batches, (part,), self._is_parallel, where)
        contrastive = checks.contrastive(target.contrastive, (part,), self.recipe.methods[cell.method], where)
        checks.text((part,), settings)
        work = Training(
            (part,),
            Proportions(),
            settings,
            cell.seed,
            way,
            prefix,
            dev,
            lane,
            batches=target.batches,
            contrastive=contrastive,
        )
        return self._training("target", cell.coordinates, info, work, tuple(stage.id for stage in upstream))

    def _training(
        self, kind: Phase, place: Coordinates, info: BackboneInfo, work: Training, inputs: tuple[str, ...]
    ) -> Stage:
        backbone, method = self.cells.trained(place, info)
        if work.transfer is not None:
            method = work.transfer.own(method, len(inputs))
        settings = training_settings(backbone, info, method, work)
        counted = self.cells.counted(place, info)
        below = [self._known(id).method for id in inputs] if work.lies_upon_inputs else []
        kept = self._kept() if work.lane == "fused" else 0
        price = cost.training(backbone, info, method, work, self.examples(work), below, counted, self.known, kept)
        id = stage_id(kind, settings, inputs)
        return Stage(kind, id, settings, inputs, place, backbone, info, method, work, price)

    def _evaluation(
        self, cell: Cell, info: BackboneInfo, max_length: int, tested: Stage | None, swapped: Mapping[str, Stage]
    ) -> Stage:
        """The evaluation of what was trained last, or of the backbone as it is."""
        limit, target = self.recipe.evaluate.scored, self.recipe.targets[cell.target]
        part, found = self._scored(target), retrieval.search(self.facts, cell, target, info, max_length)
        lane = self.cells.lane(cell)
        if tested is None:
            prefix = "exact" if lane == "reference" else self.cells.prefix(info)
        elif tested.kind == "intermediate":  # the cell's own method may be another, and has no part in it
            prefix, lane = self.cells.prefix(info, tested.method), tested.work.lane
        else:
            prefix = self.cells.prefix(info, *self.cells.methods(cell))
        work = Evaluation(part, limit, prefix, tuple(swapped), lane, found)
        backbone, method = self.recipe.backbones[cell.backbone], UNTRAINED if tested is None else tested.method
        settings = evaluation_settings(work, None if tested else (backbone, info))
        inputs = tuple(stage.id for stage in (tested, *swapped.values()) if stage is not None)
        counted = self.cells.counted(cell.coordinates, info)
        items = self.facts.count((work.task,), "test", limit)
        texts = None if found is None else self.facts.texts(part)
        below = [] if tested is None else self._below(tested)
        price = cost.evaluation(backbone, info, method, work, items, counted, texts, below, self.known, max_length)
        price = replace(price, items=items)
        id = stage_id("evaluation", settings, inputs)
        return Stage("evaluation", id, settings, inputs, cell.coordinates, backbone, info, method, work, price)

    def _kept(self) -> int:
        """Up to how many bytes of hidden states below adapters are kept."""
        cache = self.recipe.prefix_cache
        return 0 if cache.where == "none" else int(cache.gigabytes * 1e9)

    def _below(self, tested: Stage) -> list[MethodSpec]:
        """Methods of the frozen adapters below those of a training."""
        assert isinstance(tested.work, Training)
        return [self._known(id).method for id in tested.inputs] if tested.work.lies_upon_inputs else []

    def _known(self, id: str) -> Stage:
        """A stage that was made before."""
        return next(stage for stage in self.intermediates.values() if stage.id == id)

    def examples(self, work: Training) -> int | None:
        """Different examples that a training learns from, text beside its tasks apart; None where that is not known."""
        passed = tuple(part for part in work.tasks if not (work.text_share and kind(part.format).drawn))
        return self.facts.count(passed, "train", work.train.limit)
