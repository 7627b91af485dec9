"""The plan: the stages of a recipe as a graph, each once, and what cannot be run with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from adapterx.plan import cost, lane
from adapterx.plan.capacity import sized
from adapterx.plan.cells import Cell, expand
from adapterx.plan.facts import Facts, Refusal, Task, TaskFacts
from adapterx.plan.identity import evaluation_settings, stage_id, training_settings
from adapterx.plan.lane import Measure, unmeasured
from adapterx.plan.stage import BackboneInfo, Coordinates, Evaluation, Precision, Stage, TaskPart, Training
from adapterx.recipe import (
    Adapters,
    Backbone,
    Bottleneck,
    Continue,
    Finding,
    Full,
    Fuse,
    Head,
    Intermediate,
    Lane,
    Lora,
    Merge,
    Method,
    Peft,
    Recipe,
    SettingError,
    Target,
    TrainSettings,
    adapted_layers,
    did_you_mean,
)
from adapterx.recipe import Sampling as Proportions
from adapterx.recipe.training import Phase


@dataclass(frozen=True)
class CellStages:
    """The stages of one cell, by id."""

    intermediate: str | None
    """None where there is none, or several."""
    target: str
    evaluation: str
    members: tuple[str, ...] = ()
    """The intermediates of a fusion or merger."""


@dataclass(frozen=True)
class Plan:
    """What a recipe comes to."""

    recipe: Recipe
    cells: tuple[Cell, ...]
    stages: Mapping[str, Stage]
    """By id; every stage after its inputs, kind after kind."""
    cell_stages: Mapping[Cell, CellStages]
    refused: Mapping[Cell, str]
    """Cells that cannot be run, with the reason; they have no stages."""
    backbones: Mapping[str, BackboneInfo]

    @property
    def naive_trainings(self) -> int:
        """Trainings that a loop over the cells would run."""
        return sum(1 + bool(stages.intermediate) + len(stages.members) for stages in self.cell_stages.values())


def build(
    recipe: Recipe,
    recipe_dir: Path | None,
    describe: Callable[[Backbone], BackboneInfo],
    tasks: TaskFacts[Task],
    measure: Measure = unmeasured,
) -> Plan:
    """Plan a recipe.

    Args:
        recipe_dir: where tasks of the user's own are looked for.
        describe: the sizes of a backbone, without its weights.
        tasks: the catalog.
        measure: looks at adapters that a library makes; only asked where the recipe has some.

    Raises SettingError for tasks and sources that do not exist, and where `skip` leaves no cell.
    """
    cells = expand(recipe)
    if not cells:
        raise SettingError([Finding(("skip",), "leaves no cell of the grid", at_key=True)])
    facts = Facts(describe, tasks, recipe_dir)
    if findings := [*_unknown_members(recipe), *_unknown_tasks(recipe, facts)]:
        raise SettingError(findings)
    builder = _Builder(recipe, facts, measure)
    for cell in cells:
        builder.add(cell)
    kinds = ("intermediate", "target", "evaluation")
    ordered = sorted(builder.stages.values(), key=lambda stage: kinds.index(stage.kind))
    stages = {stage.id: stage for stage in ordered}
    return Plan(recipe, tuple(cells), stages, builder.cell_stages, builder.refused, builder.backbones)


def _unknown_members(recipe: Recipe) -> Iterator[Finding]:
    """Members that are no intermediates, or made of others themselves."""
    single = [name for name, one in recipe.intermediates.items() if one is not None and one.members is None]
    for name, intermediate in recipe.intermediates.items():
        for index, member in enumerate((intermediate and intermediate.members) or ()):
            if member not in single:
                known = member in recipe.intermediates
                why = "is no single adapter" if known else "is not among the intermediates"
                yield Finding(
                    ("intermediates", name, "members", index), f"'{member}' {why}", did_you_mean(member, single)
                )


def _unknown_tasks(recipe: Recipe, facts: Facts[Task]) -> Iterator[Finding]:
    """Tasks and sources that the recipe names and nobody has."""
    for name, intermediate in recipe.intermediates.items():
        if intermediate is not None:
            for index, task in enumerate(intermediate.tasks):
                yield from _unknown(facts, task, intermediate.source, ("intermediates", name), ("tasks", index))
    for name, target in recipe.targets.items():
        yield from _unknown(facts, target.task, target.source, ("targets", name), ("task",))
        if target.train_task is not None:
            yield from _unknown(facts, target.train_task, target.source, ("targets", name), ("train_task",))


def _unknown(
    facts: Facts[Task], task: str, source: str | None, entry: tuple[str, ...], key: tuple[str | int, ...]
) -> Iterator[Finding]:
    try:
        facts.task(task)
    except Refusal as refusal:
        yield Finding((*entry, *key), str(refusal))
        return
    try:
        facts.source(task, source)
    except Refusal as refusal:
        yield Finding((*entry, "source"), str(refusal))


def _check_fusion(cell: Cell, method: Method) -> None:
    """AdapterFusion mixes what bottlenecks add to a sublayer's output."""
    if not isinstance(method, Bottleneck):
        raise Refusal(
            f"the transfer '{cell.transfer}' mixes what bottleneck adapters add to a layer, and the method"
            f" '{cell.method}' is {method.kind}; merge its adapters instead"
        )


def _check_merging(cell: Cell, way: Merge, method: Method, members: int) -> None:
    """Which arithmetic is defined for what."""
    defined = ("average", "task_arithmetic")
    if isinstance(method, Lora):
        defined = ("linear", "ties", "dare_linear", "dare_ties", "svd", "cat")  # type: ignore[assignment]
    if way.method is not None and way.method not in defined:
        raise Refusal(
            f"the transfer '{cell.transfer}' merges by {way.method}, which is not defined for the {method.kind}"
            f" adapters of '{cell.method}'; {', '.join(defined)} are"
        )
    if way.weights is not None and len(way.weights) != members:
        raise Refusal(
            f"the transfer '{cell.transfer}' has {len(way.weights)} weights for the {members} members of"
            f" '{cell.intermediate}'"
        )


def _grown_alpha(method: Lora, times: int) -> float:
    """The alpha that leaves the scaling of a LoRA as it is when its rank grows so many times."""
    return method.alpha * (math.sqrt(times) if method.use_rslora else times)


class _Builder(Generic[Task]):
    """Makes the stages of cell after cell, each stage once."""

    def __init__(self, recipe: Recipe, facts: Facts[Task], measure: Measure) -> None:
        self.recipe = recipe
        self.facts = facts
        self.measure = measure
        self.stages: dict[str, Stage] = {}
        self.cell_stages: dict[Cell, CellStages] = {}
        self.refused: dict[Cell, str] = {}
        self.backbones: dict[str, BackboneInfo] = {}
        self.intermediates: dict[tuple[str, str, str, int], Stage] = {}

    def add(self, cell: Cell) -> None:
        """Add a cell's stages, or its refusal and none of them."""
        try:
            info = self.facts.backbone(self.recipe.backbones[cell.backbone])
            self._check_layers(cell, info)
            self._check_drop(cell, info)
            self._sized(cell.backbone, cell.method, info)
            self._check_method(cell)
            self._check_lane(cell, info)
            settings = self._settings(cell, "target", info)
            self._check_target(self.recipe.targets[cell.target])
            self._check_transfer(cell)
            upstream = self._intermediates(cell, info)
            target = self._target(cell, info, settings, upstream)
            evaluation = self._evaluation(cell, info, target)
        except Refusal as refusal:
            self.refused[cell] = str(refusal)
            return
        self.backbones[cell.backbone] = info
        *below, trained, scored = (
            self.stages.setdefault(stage.id, stage).id for stage in (*upstream, target, evaluation)
        )
        several = len(below) > 1
        single = below[0] if below and not several else None
        self.cell_stages[cell] = CellStages(single, trained, scored, tuple(below) if several else ())

    def _settings(self, cell: Cell, phase: Phase, info: BackboneInfo) -> TrainSettings:
        method = self.recipe.methods[cell.method]
        settings = self.recipe.train.phase(phase, cell.method, method.kind)
        if isinstance(method, Full) and settings.prune is not None:
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

    def _check_layers(self, cell: Cell, info: BackboneInfo) -> None:
        """Adapters need layers to sit in."""
        try:
            adapted_layers(self.recipe.methods[cell.method].layers, info.layers)
        except ValueError as error:
            raise Refusal(f"the method '{cell.method}' {error}, the backbone '{cell.backbone}'") from None

    def _check_drop(self, cell: Cell, info: BackboneInfo) -> None:
        """AdapterDrop leaves something to train, and something out."""
        method = self.recipe.methods[cell.method]
        if not isinstance(method, Lora | Bottleneck) or not method.adapter_drop:
            return
        layers = adapted_layers(method.layers, info.layers)
        lowest, highest = layers[0], layers[-1]
        if not lowest < method.adapter_drop <= highest:
            end, layer = ("lowest", lowest) if method.adapter_drop <= lowest else ("highest", highest)
            raise Refusal(
                f"the method '{cell.method}' leaves out the adapters of up to {method.adapter_drop} layers, and the"
                f" {end} on the backbone '{cell.backbone}' is in layer {layer} (counted from 0)"
            )

    def _sized(self, backbone: str, method: str, info: BackboneInfo) -> Method:
        """The method as it is on this backbone: its rank or width, where it has a budget."""
        try:
            return sized(self.recipe.methods[method], info)
        except ValueError as error:
            raise Refusal(f"the method '{method}' {error}, the backbone '{backbone}'") from None

    def _check_method(self, cell: Cell) -> None:
        """A probe has nothing to hand on; full fine-tuning leaves nothing frozen, and steps in float32."""
        if isinstance(self.recipe.methods[cell.method], Head) and cell.transfer != "none":
            raise Refusal(
                f"the method '{cell.method}' trains a head alone, and heads are new for every target: no intermediate"
                " reaches it"
            )
        if not isinstance(self.recipe.methods[cell.method], Full):
            return
        if cell.transfer != "none" and not isinstance(self.recipe.transfers[cell.transfer], Continue):
            raise Refusal(
                f"the method '{cell.method}' trains every weight, so there are no adapters to stack, fuse or merge;"
                " use continue"
            )
        if (precision := self.recipe.backbones[cell.backbone].load) != "float32":
            raise Refusal(
                f"the method '{cell.method}' trains every weight in float32, but the backbone '{cell.backbone}' is"
                f" loaded in {precision}"
            )

    def _check_lane(self, cell: Cell, info: BackboneInfo) -> None:
        """The reference lane does what the libraries do, no less and no more."""
        if self._lane(cell) == "fused":
            return
        lane.check(cell, self.recipe, info, self._prefix(cell, info))
        found = self._measured(cell.backbone, cell.method, info)
        if cell.transfer != "none":
            lane.check_transfer(cell, self.recipe, found)

    def _measured(self, backbone: str, name: str, info: BackboneInfo) -> lane.LibraryAdapter | None:
        """What a library makes of a method; None for methods of this package."""
        method = self.recipe.methods[name]
        if not isinstance(method, Peft | Adapters):
            return None
        try:
            return self.facts.once(("adapter", name, info), lambda: self.measure(method, info))
        except Refusal as refusal:
            raise Refusal(f"the method '{name}' on the backbone '{backbone}' {refusal}") from None

    def _check_transfer(self, cell: Cell) -> None:
        """Some transfers take one adapter, others several; and not every combination is defined for every method."""
        learnt = self.recipe.intermediates[cell.intermediate]
        if learnt is None:
            return
        way, method = self.recipe.transfers[cell.transfer], self.recipe.methods[cell.method]
        if way.several and learnt.members is None:
            raise Refusal(
                f"the transfer '{cell.transfer}' brings several adapters together, and '{cell.intermediate}' is one;"
                " an intermediate with `members` is several"
            )
        if learnt.members is not None and not way.several:
            raise Refusal(
                f"the transfer '{cell.transfer}' takes one adapter, and '{cell.intermediate}' is"
                f" {len(learnt.members)}; fuse or merge them"
            )
        if isinstance(way, Fuse):
            _check_fusion(cell, method)
        if isinstance(way, Merge) and learnt.members is not None:
            _check_merging(cell, way, method, len(learnt.members))

    def _prefix(self, cell: Cell, info: BackboneInfo) -> Precision:
        """How hidden states below the adapters are rounded, if any are kept."""
        cache = self.recipe.prefix_cache
        lowest = adapted_layers(self.recipe.methods[cell.method].layers, info.layers)[0]
        return "exact" if cache.where == "none" or lowest == 0 else cache.precision

    def _lane(self, cell: Cell) -> Lane:
        return lane.lane_of(self.recipe, self.recipe.methods[cell.method])

    def _check_target(self, target: Target) -> None:
        """A head trained on one task must fit the other."""
        if target.train_task is None:
            return
        trained, scored = self.facts.task(target.train_task), self.facts.task(target.task)
        if trained.format != scored.format:
            raise Refusal(
                f"trains on '{trained.name}' ({trained.format}) and evaluates on '{scored.name}' ({scored.format}):"
                " the formats differ"
            )
        if tuple(trained.labels) != tuple(scored.labels):
            raise Refusal(
                f"trains on '{trained.name}' with the labels {', '.join(trained.labels)} and evaluates on"
                f" '{scored.name}' with {', '.join(scored.labels)}: one head cannot serve both"
            )

    def _intermediates(self, cell: Cell, info: BackboneInfo) -> list[Stage]:
        """None, one, or those of every member."""
        learnt = self.recipe.intermediates[cell.intermediate]
        if learnt is None:
            return []
        return [self._intermediate(cell, name, info) for name in learnt.members or (cell.intermediate,)]

    def _intermediate(self, cell: Cell, name: str, info: BackboneInfo) -> Stage:
        learnt = self.recipe.intermediates[name]
        assert learnt is not None
        key = (cell.backbone, cell.method, name, cell.seed)
        if key not in self.intermediates:
            settings = self._settings(cell, "intermediate", info)
            parts = self._parts(learnt, settings)
            work = Training(
                parts, learnt.sampling, settings, cell.seed, "none", self._prefix(cell, info), lane=self._lane(cell)
            )
            place = Coordinates(cell.backbone, cell.method, name, cell.seed)
            self.intermediates[key] = self._training("intermediate", place, info, work, ())
        return self.intermediates[key]

    def _parts(self, learnt: Intermediate, settings: TrainSettings) -> tuple[TaskPart, ...]:
        read = (learnt.source, learnt.languages, settings.splits)
        return tuple(self.facts.part(task, *read) for task in sorted(learnt.tasks))

    def _target(self, cell: Cell, info: BackboneInfo, settings: TrainSettings, upstream: list[Stage]) -> Stage:
        target = self.recipe.targets[cell.target]
        learnt = target.train_task or target.task
        part = self.facts.part(learnt, target.source, target.train_languages, settings.splits)
        way = self.recipe.transfers[cell.transfer] if upstream else None
        combination = way if isinstance(way, Fuse | Merge) else None
        if isinstance(way, Fuse) and way.learning_rate is not None:
            settings = replace(settings, learning_rate=way.learning_rate, prune=None)
        kind = "none" if way is None else way.kind
        prefix = self._prefix(cell, info)
        work = Training((part,), Proportions(), settings, cell.seed, kind, prefix, combination, lane=self._lane(cell))
        return self._training("target", cell.coordinates, info, work, tuple(stage.id for stage in upstream))

    def _training(
        self, kind: Phase, place: Coordinates, info: BackboneInfo, work: Training, inputs: tuple[str, ...]
    ) -> Stage:
        backbone, method = self._trained(place, info)
        if isinstance(method, Lora) and isinstance(work.combination, Merge) and work.combination.method == "cat":
            # The ranks add up; so does alpha, which leaves the scaling as it is.
            grown = {"rank": len(inputs) * method.rank, "alpha": _grown_alpha(method, len(inputs))}
            method = method.model_copy(update=grown)
        settings = training_settings(backbone, info, method, work)
        library = self._measured(place.backbone, place.method, info)
        counted = library.parameters if library is not None else 0
        price = cost.training(backbone, info, method, work, self._examples(work), len(inputs), counted)
        id = stage_id(kind, settings, inputs)
        return Stage(kind, id, settings, inputs, place, backbone, info, method, work, price)

    def _evaluation(self, cell: Cell, info: BackboneInfo, target: Stage) -> Stage:
        chosen, limit = self.recipe.targets[cell.target], self.recipe.evaluate.limit
        part = self.facts.part(chosen.task, chosen.source, chosen.languages, ("test",))
        work = Evaluation(part, limit, self._prefix(cell, info), self._lane(cell))
        settings, inputs = evaluation_settings(work), (target.id,)
        backbone, method = target.backbone, target.method
        library = self._measured(cell.backbone, cell.method, info)
        counted = library.parameters if library is not None else 0
        price = cost.evaluation(backbone, info, method, work, self._count((work.task,), "test", limit), counted)
        id = stage_id("evaluation", settings, inputs)
        return Stage("evaluation", id, settings, inputs, cell.coordinates, backbone, info, method, work, price)

    def _trained(self, place: Coordinates, info: BackboneInfo) -> tuple[Backbone, Method]:
        return self.recipe.backbones[place.backbone], self._sized(place.backbone, place.method, info)

    def _examples(self, work: Training) -> int | None:
        return self._count(work.tasks, "train", work.train.limit)

    def _count(self, parts: tuple[TaskPart, ...], split: str, limit: int | None) -> int | None:
        """Examples over all tasks and languages, None where one is unknown and unlimited."""
        total = 0
        for part in parts:
            for language in part.languages:
                size = self.facts.size(part.task, part.source, language, split)
                if size is None and limit is None:
                    return None
                total += min(number for number in (size, limit) if number is not None)
        return total
