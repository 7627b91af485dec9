"""What cannot be run, cell by cell, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import PRECISIONS, precision
from adapterx.config.fields import ALL_LANGUAGES
from adapterx.methods.base import MethodSpec
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.recipe import Intermediate, Recipe, Target
from adapterx.recipe.batches import Batches
from adapterx.recipe.contrastive import ContrastiveSettings
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind
from adapterx.train_settings import TrainSettings
from adapterx.transfers.base import Names, TransferSpec


def method(recipe: Recipe, cell: Cell, info: BackboneInfo) -> None:
    """Refuse a method that does not fit the backbone, or that does nothing the cell asks of it."""
    _layers(recipe, cell, info)
    _drop(recipe, cell, info)
    _whole(recipe, cell)


def _named(recipe: Recipe, cell: Cell) -> list[tuple[str, MethodSpec]]:
    """The cell's method, and that of an intermediate which has its own, as they are called."""
    learnt = recipe.intermediates[cell.intermediate]
    own = [(f"of '{cell.intermediate}'", learnt.method)] if learnt is not None and learnt.method is not None else []
    return [(f"'{cell.method}'", recipe.methods[cell.method]), *own]


def _layers(recipe: Recipe, cell: Cell, info: BackboneInfo) -> None:
    """Adapters need layers to sit in."""
    for named, method in _named(recipe, cell):
        try:
            method.adapted(info.layers)
        except ValueError as error:
            raise Refusal(f"the method {named} {error}, the backbone '{cell.backbone}'") from None


def _drop(recipe: Recipe, cell: Cell, info: BackboneInfo) -> None:
    """AdapterDrop leaves something to train, and something out."""
    for named, method in _named(recipe, cell):
        if not method.dropped_layers:
            continue
        layers = method.adapted(info.layers)
        lowest, highest = layers[0], layers[-1]
        if not lowest < method.dropped_layers <= highest:
            end, layer = ("lowest", lowest) if method.dropped_layers <= lowest else ("highest", highest)
            raise Refusal(
                f"the method {named} leaves out the adapters of up to {method.dropped_layers} layers, and the"
                f" {end} on the backbone '{cell.backbone}' is in layer {layer} (counted from 0)"
            )


def _whole(recipe: Recipe, cell: Cell) -> None:
    """A probe has nothing to hand on; full fine-tuning leaves nothing frozen, and steps in float32."""
    if not recipe.methods[cell.method].adapts and cell.transfer != "none":
        raise Refusal(
            f"the method '{cell.method}' trains a head alone, and heads are new for every target: no intermediate"
            " reaches it"
        )
    chosen = recipe.methods[cell.method]
    if not chosen.trains_backbone:
        return
    if cell.transfer != "none" and not recipe.transfers[cell.transfer].whole_models:
        raise Refusal(
            f"the method '{cell.method}' trains every weight, so there are no adapters to stack, fuse or merge;"
            " use continue"
        )
    if chosen.needs is not None and find_spec(chosen.needs[0]) is None:
        package, purpose = chosen.needs
        raise Refusal(
            f"the method '{cell.method}' {purpose} through `{package}`, which is not installed:"
            f" pip install 'adapterx[{package}]'"
        )
    if not precision(load := recipe.backbones[cell.backbone].load).trainable:
        fitting = " or ".join(name for name, one in PRECISIONS.items() if one.trainable)
        raise Refusal(
            f"the method '{cell.method}' trains every weight, in float32 or from it, and the backbone"
            f" '{cell.backbone}' is loaded in {load}: set load: {fitting}"
        )


def transfer(recipe: Recipe, cell: Cell) -> None:
    """Some transfers take one adapter, others several; and not every combination is defined for every method."""
    learnt = recipe.intermediates[cell.intermediate]
    if learnt is None:
        return
    way, method = recipe.transfers[cell.transfer], recipe.methods[cell.method]
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
    _below(cell, learnt, way, method, recipe.targets[cell.target])
    names = Names(cell.transfer, cell.method, cell.intermediate)
    if why := way.refusal(method, len(learnt.members or (1,)), names):
        raise Refusal(why)


def _below(cell: Cell, learnt: Intermediate, way: TransferSpec, method: MethodSpec, target: Target) -> None:
    """Adapters of another method, or one per language, can only lie below; a stack has one place at the embeddings."""
    lower = learnt.method or method
    if not way.mixed_kinds:
        if learnt.per_language:
            raise Refusal(
                f"'{cell.intermediate}' has an adapter for each language, which take turns below the target's: the"
                f" transfer is stack, not '{cell.transfer}'"
            )
        if learnt.method is not None and learnt.init is None:
            raise Refusal(
                f"'{cell.intermediate}' has a method of its own, so its adapter can only be stacked below the target's,"
                f" not reach it by '{cell.transfer}'"
            )
        return
    if learnt.per_language and (len(target.train_languages) > 1 or target.train_languages == ALL_LANGUAGES):
        raise Refusal(
            f"'{cell.intermediate}' has an adapter for each language, and a training lies upon one of them, but the"
            f" target '{cell.target}' is trained in several languages"
        )
    if learnt.method is not None and (lower.kind != method.kind or not method.stackable):
        raise Refusal(
            f"the method '{cell.method}' is {method.kind} and that of '{cell.intermediate}' {lower.kind}: adapters of"
            " one kind can be stacked"
        )
    if why := method.not_upon(lower, cell.method, cell.intermediate):
        raise Refusal(why)


def target(facts: Facts[Task], target: Target) -> None:
    """A head trained on one task must fit the other, and its answers must be such as can be scored."""
    searched = kind(facts.task(target.task).format).searched
    for name in (target.task, target.train_task or target.task):
        learnt = kind(facts.task(name).format)
        if not learnt.scored and learnt.coupled and searched:
            continue  # what tells queries' candidates apart is searched with
        if learnt.coupled:
            raise Refusal(f"'{name}' is pairs to learn from, and is not scored; it trains for a retrieval task")
        if not learnt.scored:
            raise Refusal(f"'{name}' is text to learn a language from, and is not scored; name it as an intermediate")
    if target.train_task is None:
        return
    trained, scored = facts.task(target.train_task), facts.task(target.task)
    if kind(scored.format).searched:
        return  # what the encoder learnt is searched with, its head has no part in it
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


def text(parts: Sequence[TaskPart], settings: TrainSettings) -> None:
    """Text has no dev scores by which to choose a step or a learning rate; tasks beside it have."""
    scored = any(kind(part.format).scored for part in parts)
    if scored or (settings.early_stopping is None and settings.prune is None):
        return
    for part in parts:
        if not kind(part.format).scored:
            setting = "prune" if settings.early_stopping is None else "early_stopping"
            raise Refusal(
                f"{setting} judges by scores on a dev set, and '{part.task}' is {part.format}, which is not scored;"
                " leave it to the target phase"
            )


def beside(intermediate: str, part: TaskPart, tasks: Sequence[TaskPart]) -> None:
    """What is learnt beside tasks, in steps of its own, is text; and they are none."""
    for one in tasks:
        if kind(one.format).drawn:
            raise Refusal(
                f"'{intermediate}' learns the text '{one.task}' among its tasks, and text under `with` as well: list"
                " both under `tasks`, or leave one out"
            )
    if not kind(part.format).drawn:
        raise Refusal(
            f"'{intermediate}' learns '{part.task}' under `with`, which is {part.format}: that is for text to learn a"
            " language from (masked-lm); list other tasks under `tasks`"
        )


def batches(asked: Batches | None, parts: Sequence[TaskPart], parallel: Callable[[str], bool], where: str) -> None:
    """Batches of one language need several languages; pairs of languages need two texts and the same items.

    Args:
        parallel: whether a task's ids name the same items in every language.
        where: the intermediate or target, for messages.
    """
    if asked is None:
        return
    for part in parts:
        if len(part.languages) < 2:
            raise Refusal(
                f"{where} has `batches`, which take turns between languages, and '{part.task}' is learnt in"
                f" {part.languages[0]} alone: give it more languages, or leave `batches` out"
            )
        if asked.monolingual < 1 and (why := kind(part.format).unpaired):
            raise Refusal(f"{where} pairs languages within an example, but {why}: set batches.monolingual to 1")
        if asked.monolingual < 1 and not parallel(part.task):
            raise Refusal(
                f"{where} pairs languages within an example, and the ids of '{part.task}' do not name the same items in"
                " every language (parallel: true in its YAML): set batches.monolingual to 1"
            )


def contrastive(
    asked: ContrastiveSettings | None, parts: Sequence[TaskPart], method: MethodSpec, where: str
) -> ContrastiveSettings | None:
    """How pairs are compared, where there are some to learn from; refused where there are none, or nothing to train."""
    if any(kind(part.format).coupled for part in parts):
        if not method.adapts and all(kind(part.format).coupled for part in parts):
            raise Refusal(f"{where} learns pairs, for which there is no head, and the method trains a head alone")
        return asked or ContrastiveSettings()
    if asked is not None:
        raise Refusal(f"{where} has `contrastive` settings, and learns nothing of the format contrastive")
    return None
