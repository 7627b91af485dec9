"""Targets that are searched: nothing is trained for them, unless a `train_task` is."""

from __future__ import annotations

from adapterx.backbones.info import BackboneInfo
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.plan.stage import SearchSettings
from adapterx.recipe import Recipe, RetrievalSettings, Target, default_layer
from adapterx.tasks.kinds import kind


def untrained(facts: Facts[Task], target: Target) -> bool:
    """Whether a target is evaluated with what its intermediate learnt, or with the backbone as it is."""
    return target.train_task is None and kind(facts.task(target.task).format).searched


def check(recipe: Recipe, cell: Cell) -> None:
    """Refuse ways to a target that take a training, where there is none."""
    learnt = recipe.intermediates[cell.intermediate]
    if learnt is None:
        return
    if not recipe.transfers[cell.transfer].untrained:
        raise Refusal(
            f"nothing is trained for the target '{cell.target}', so the transfer '{cell.transfer}' has nothing to bring"
            f" '{cell.intermediate}' together with; `continue` evaluates its adapter as it is, and a target with a"
            " train_task is trained"
        )
    if learnt.members is not None or learnt.per_language:
        several = "an adapter for each language" if learnt.per_language else f"{len(learnt.members or ())} adapters"
        raise Refusal(
            f"nothing is trained for the target '{cell.target}', and '{cell.intermediate}' is {several}: give the"
            " target a train_task, or evaluate one of them"
        )


def search(
    facts: Facts[Task], cell: Cell, target: Target, info: BackboneInfo, max_length: int
) -> SearchSettings | None:
    """How a target's texts are searched, every setting concrete; None where its task is no retrieval."""
    task = facts.task(target.task)
    if not kind(task.format).searched:
        if target.retrieval is not None:
            raise Refusal(f"the target '{cell.target}' has `retrieval` settings, and '{task.name}' is {task.format}")
        return None
    asked = target.retrieval or RetrievalSettings()
    layer = default_layer(info.layers) if asked.layer is None else asked.layer
    if layer > info.layers:
        raise Refusal(
            f"the target '{cell.target}' reads layer {layer}, and the backbone '{cell.backbone}' has {info.layers}"
        )
    similarity = asked.similarity or ("margin" if "dev" in task.scored else "cosine")
    special = asked.special_tokens or asked.pooling == "cls"  # <s> itself is what is read
    neighbours = asked.neighbours if similarity == "margin" or "dev" in task.scored else None
    prefixes = (asked.query_prefix or None, asked.candidate_prefix or None)
    return SearchSettings(layer, asked.pooling, special, similarity, neighbours, max_length, *prefixes)
