"""The plan: the stages of a recipe as a graph, each once, and what cannot be run with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Generic

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.config.problems import Finding, SettingError
from adapterx.methods.base import MethodSpec
from adapterx.methods.registry import UNTRAINED
from adapterx.plan import checks, cost, lane, retrieval
from adapterx.plan.ahead import look_ahead
from adapterx.plan.cells import Cell, expand
from adapterx.plan.contamination import Compare, uncompared
from adapterx.plan.facts import Facts, Refusal, Task, TaskFacts
from adapterx.plan.identity import evaluation_settings, stage_id, training_settings
from adapterx.plan.lane import Measure, unmeasured
from adapterx.plan.looks import Look, unseen
from adapterx.plan.result import CellStages, Plan
from adapterx.plan.stage import Coordinates, Evaluation, Precision, Stage, Training
from adapterx.plan.unknown import unknown_members, unknown_tasks
from adapterx.recipe import Intermediate, Lane, Recipe, Target
from adapterx.recipe import Sampling as Proportions
from adapterx.recipe.training import Phase
from adapterx.tasks.facts import Relation, TaskPart
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
) -> Plan:
    """Plan a recipe.

    Args:
        recipe_dir: where tasks of the user's own are looked for.
        describe: the sizes of a backbone, without its weights.
        tasks: the catalog.
        measure: looks at adapters that a library makes; only asked where the recipe has some.
        compare: looks for items that what is trained on shares with what is scored.
        look: reads the data, so that what is wrong with it is told before anything is trained.

    Raises SettingError for tasks and sources that do not exist, and where `skip` leaves no cell.
    """
    cells = expand(recipe)
    if not cells:
        raise SettingError([Finding(("skip",), "leaves no cell of the grid", at_key=True)])
    facts = Facts(describe, tasks, recipe_dir, look)
    if findings := [*unknown_members(recipe), *unknown_tasks(recipe, facts)]:
        raise SettingError(findings)
    look_ahead(recipe, facts, cells)
    builder = _Builder(recipe, facts, measure, compare)
    for cell in cells:
        builder.add(cell)
    kinds = ("intermediate", "target", "evaluation")
    ordered = sorted(builder.stages.values(), key=lambda stage: kinds.index(stage.kind))
    stages = {stage.id: stage for stage in ordered}
    return Plan(
        recipe,
        tuple(cells),
        stages,
        builder.cell_stages,
        builder.refused,
        builder.backbones,
        frozenset(builder.target_training),
        tuple(builder.remarks),
        tuple(facts.remarks),
        builder.unseen,
        tuple(facts.single_labels),
    )


def _chosen_by(work: Training) -> Iterator[TaskPart]:
    """The parts by whose dev data a step, a learning rate or the weights of a merger are chosen."""
    if work.train.early_stopping is not None or work.train.prune is not None:
        yield from work.tasks
    for parts in work.member_dev:
        yield from parts


def asked(recipe: Recipe, place: Coordinates) -> tuple[str, MethodSpec]:
    """The method of a training as the recipe has it, and what it is called there."""
    learnt = recipe.intermediates[place.intermediate]
    if place.target is None and learnt is not None and learnt.method is not None:
        return f"of '{place.intermediate}'", learnt.method
    return f"'{place.method}'", recipe.methods[place.method]


def _sized(method: MethodSpec, named: str, backbone: str, info: BackboneInfo) -> MethodSpec:
    try:
        return method.sized(info)
    except ValueError as error:
        raise Refusal(f"the method {named} {error}, the backbone '{backbone}'") from None


class _Builder(Generic[Task]):
    """Makes the stages of cell after cell, each stage once."""

    def __init__(self, recipe: Recipe, facts: Facts[Task], measure: Measure, compare: Compare) -> None:
        self.recipe = recipe
        self.facts = facts
        self.measure = measure
        self.compare = compare
        self.target_training: set[Cell] = set()
        self.remarks: dict[str, None] = {}
        self.unseen = False
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
            self._sized(cell.backbone, cell.method, info)
            self._check_lane(cell, info)
            settings = self._settings(cell, "target", info)
            checks.target(self.facts, self.recipe.targets[cell.target])
            bare = retrieval.untrained(self.facts, self.recipe.targets[cell.target])
            (retrieval.check if bare else checks.transfer)(self.recipe, cell)
            upstream, swapped = self._upstream(cell, info)
            target = None if bare else self._target(cell, info, settings, upstream)
            tested = target or (upstream[0] if upstream else None)
            evaluation = self._evaluation(cell, info, settings.max_length, tested, swapped)
            self._compare(cell, (*upstream, *swapped.values()), target, evaluation)
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

    def _compare(self, cell: Cell, upstream: Iterable[Stage], target: Stage | None, evaluation: Stage) -> None:
        """Refuse what leaks; keep what a reader should know."""
        assert isinstance(evaluation.work, Evaluation)
        scored = evaluation.work.task
        below = [stage.work for stage in upstream if isinstance(stage.work, Training)]
        above = [target.work] if target is not None and isinstance(target.work, Training) else []
        learnt = {part: self._relation(part, scored, "train") for work in (*below, *above) for part in work.tasks}
        chosen = [self._relation(part, scored, "dev") for work in (*below, *above) for part in _chosen_by(work)]
        found = (*learnt.values(), *chosen)
        if leaks := sorted(relation.leak for relation in found if relation.leak):
            raise Refusal(leaks[0])
        self.remarks.update(dict.fromkeys(sorted(remark for relation in found for remark in relation.remarks)))
        self.unseen |= any(relation.unseen for relation in found)
        own = [part.task for work in above for part in work.tasks]
        if any(learnt[part].same_task or part.task in own for work in below for part in work.tasks):
            self.target_training.add(cell)

    def _relation(self, used: TaskPart, scored: TaskPart, split: str) -> Relation:
        return self.facts.once(("relation", used, scored, split), lambda: self.compare(used, scored, split))

    def _settings(self, cell: Cell, phase: Phase, info: BackboneInfo, member: str | None = None) -> TrainSettings:
        """Of the cell's target, or of an intermediate: its own, or a member of it."""
        name, method, own = cell.method, self.recipe.methods[cell.method], self.recipe.targets[cell.target].train
        if phase == "intermediate":
            learnt = self.recipe.intermediates[member or cell.intermediate]
            assert learnt is not None
            own = learnt.train
            if learnt.method is not None:
                name, method = cell.intermediate, learnt.method
        settings = self.recipe.train.phase(phase, name, method.kind, own)
        if method.trains_backbone and settings.prune is not None:
            raise Refusal(
                f"the candidates of `prune` train side by side on frozen weights, and the method '{cell.method}' leaves"
                " none frozen; give it a learning_rate"
            )
        if settings.prune is not None and lane.lane_of(self.recipe, method) == "reference":
            raise Refusal(
                f"the candidates of `prune` train side by side, and the reference lane, which trains '{cell.method}',"
                " trains one at a time; give it a learning_rate"
            )
        if settings.max_length > info.max_positions:
            raise Refusal(
                f"max_length {settings.max_length} is longer than the {info.max_positions} tokens"
                f" that the backbone '{cell.backbone}' can read"
            )
        return settings

    def _sized(self, backbone: str, method: str, info: BackboneInfo) -> MethodSpec:
        """The method as it is on this backbone: its rank or width, where it has a budget."""
        return _sized(self.recipe.methods[method], f"'{method}'", backbone, info)

    def _check_lane(self, cell: Cell, info: BackboneInfo) -> None:
        """The reference lane does what the libraries do, no less and no more."""
        if self._lane(cell) == "fused":
            return
        lane.check(cell, self.recipe, info, self._prefix(info, *self._methods(cell)))
        found = self._measured(cell.backbone, cell.method, info)
        if cell.transfer != "none":
            lane.check_transfer(cell, self.recipe, found)

    def _counted(self, place: Coordinates, info: BackboneInfo) -> int:
        """Parameters of an adapter that a library makes, else 0."""
        library = self._measured(place.backbone, place.method, info) if place.method in self.recipe.methods else None
        return 0 if library is None else library.parameters

    def _measured(self, backbone: str, name: str, info: BackboneInfo) -> lane.LibraryAdapter | None:
        """What a library makes of a method; None for methods of this package."""
        method = self.recipe.methods[name]
        if not method.made_by_library:
            return None
        try:
            return self.facts.once(("adapter", name, info), lambda: self.measure(method, info))
        except Refusal as refusal:
            raise Refusal(f"the method '{name}' on the backbone '{backbone}' {refusal}") from None

    def _prefix(self, info: BackboneInfo, *methods: MethodSpec) -> Precision:
        """How hidden states below adapters of these methods are rounded, if any are kept."""
        cache = self.recipe.prefix_cache
        lowest = min((method.lowest_layer(info.layers) for method in methods), default=info.layers)
        return "exact" if cache.where == "none" or lowest == 0 else cache.precision

    def _methods(self, cell: Cell) -> list[MethodSpec]:
        """Those of a cell's adapters: its own, and that of an intermediate which has another."""
        learnt = self.recipe.intermediates[cell.intermediate]
        return [self.recipe.methods[cell.method], *([learnt.method] if learnt and learnt.method else [])]

    def _lane(self, cell: Cell) -> Lane:
        return lane.lane_of(self.recipe, self.recipe.methods[cell.method])

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
        own = self._languages(learnt, self._settings(cell, "intermediate", info))
        if lacking := sorted({*chosen.train_languages, *read} - set(own)):
            raise Refusal(
                f"'{cell.intermediate}' has no adapter for {', '.join(lacking)}, which the target '{cell.target}' is"
                " trained or evaluated in: give it these languages, or the target fewer"
            )
        stages = {code: self._intermediate(cell, cell.intermediate, info, code) for code in own if code in read}
        (trained,) = chosen.train_languages
        below = stages.get(trained) or self._intermediate(cell, cell.intermediate, info, trained)
        return [below], stages

    def _intermediate(self, cell: Cell, name: str, info: BackboneInfo, language: str | None = None) -> Stage:
        """The training of an intermediate, or of its adapter for one language."""
        learnt = self.recipe.intermediates[name]
        assert learnt is not None
        method = learnt.method or self.recipe.methods[cell.method]
        called = cell.method if learnt.method is None else method.kind
        key = (cell.backbone, called, name, cell.seed, language)
        if key not in self.intermediates:
            settings = self._settings(cell, "intermediate", info, name)
            languages = learnt.languages if language is None else (language,)
            parts = self._parts(learnt, settings.splits, languages)
            checks.text(parts, settings)
            # What is masked differs from step to step, so nothing is kept.
            text = any(kind(part.format).drawn for part in parts)
            prefix = "exact" if text else self._prefix(info, method)
            sampling, where = learnt.sampling.normalised, lane.lane_of(self.recipe, method)
            work = Training(parts, sampling, settings, cell.seed, None, prefix, lane=where)
            place = Coordinates(cell.backbone, called, name, cell.seed, language=language)
            self.intermediates[key] = self._training("intermediate", place, info, work, ())
        return self.intermediates[key]

    def _parts(self, learnt: Intermediate, splits: tuple[str, ...], languages: tuple[str, ...]) -> tuple[TaskPart, ...]:
        return tuple(self.facts.part(task, learnt.source_of(task), languages, splits) for task in sorted(learnt.tasks))

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
        prefix, dev, lane = self._prefix(info, *self._methods(cell)), self._member_dev(cell, way), self._lane(cell)
        work = Training((part,), Proportions(), settings, cell.seed, way, prefix, dev, lane)
        return self._training("target", cell.coordinates, info, work, tuple(stage.id for stage in upstream))

    def _training(
        self, kind: Phase, place: Coordinates, info: BackboneInfo, work: Training, inputs: tuple[str, ...]
    ) -> Stage:
        backbone, method = self._trained(place, info)
        if work.transfer is not None:
            method = work.transfer.own(method, len(inputs))
        settings = training_settings(backbone, info, method, work)
        counted = self._counted(place, info)
        below = [self._known(id).method for id in inputs] if work.lies_upon_inputs else []
        price = cost.training(backbone, info, method, work, self._examples(work), below, counted)
        id = stage_id(kind, settings, inputs)
        return Stage(kind, id, settings, inputs, place, backbone, info, method, work, price)

    def _evaluation(
        self, cell: Cell, info: BackboneInfo, max_length: int, tested: Stage | None, swapped: Mapping[str, Stage]
    ) -> Stage:
        """The evaluation of what was trained last, or of the backbone as it is."""
        limit, target = self.recipe.evaluate.scored, self.recipe.targets[cell.target]
        part, found = self._scored(target), retrieval.search(self.facts, cell, target, info, max_length)
        lane = self._lane(cell)
        if tested is None:
            prefix = "exact" if lane == "reference" else self._prefix(info)
        elif tested.kind == "intermediate":  # the cell's own method may be another, and has no part in it
            prefix, lane = self._prefix(info, tested.method), tested.work.lane
        else:
            prefix = self._prefix(info, *self._methods(cell))
        work = Evaluation(part, limit, prefix, tuple(swapped), lane, found)
        backbone, method = self.recipe.backbones[cell.backbone], UNTRAINED if tested is None else tested.method
        settings = evaluation_settings(work, None if tested else (backbone, info))
        inputs = tuple(stage.id for stage in (tested, *swapped.values()) if stage is not None)
        counted = self._counted(cell.coordinates, info)
        items = self.facts.count((work.task,), "test", limit)
        texts = None if found is None else self.facts.texts(part)
        price = cost.evaluation(backbone, info, method, work, items, counted, texts)
        id = stage_id("evaluation", settings, inputs)
        return Stage("evaluation", id, settings, inputs, cell.coordinates, backbone, info, method, work, price)

    def _trained(self, place: Coordinates, info: BackboneInfo) -> tuple[Backbone, MethodSpec]:
        name, method = asked(self.recipe, place)
        return self.recipe.backbones[place.backbone], _sized(method, name, place.backbone, info)

    def _known(self, id: str) -> Stage:
        """A stage that was made before."""
        return next(stage for stage in self.intermediates.values() if stage.id == id)

    def _examples(self, work: Training) -> int | None:
        return self.facts.count(work.tasks, "train", work.train.limit)
