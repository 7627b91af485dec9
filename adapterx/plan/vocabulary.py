"""Whose embeddings a stage needs in memory: those of all tokens, or of the tokens that it reads (`vocabulary: used`).

Which tokens those are is known once its texts are tokenised; until then a plan counts all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from adapterx.plan.adoption import Adoption
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage, Training
from adapterx.tasks.kinds import kind
from adapterx.wording import size

Weights: TypeAlias = tuple[str, str]
"""Content and number format of a backbone."""


def weights(stage: Stage) -> Weights:
    """Equal for stages that run on the same frozen weights."""
    return stage.info.key, stage.backbone.load


def needs_all(stage: Stage) -> str:
    """Why a stage needs the embeddings of all tokens; empty where those of the tokens that it reads do."""
    if stage.method.trains_backbone:
        return "full fine-tuning trains and stores every one of them"
    if stage.work.lane == "reference":
        return "the reference lane runs the libraries' own models"
    if isinstance(stage.work, Training) and any(kind(part.format).whole_vocabulary for part in stage.work.tasks):
        return "masked language modelling compares its guesses with every one of them"
    return ""


def reads_some(stage: Stage) -> bool:
    """Whether a stage is to have the embeddings of the tokens that it reads alone."""
    reads = not isinstance(stage.work, Adoption)  # an adapter is taken over without its backbone
    return reads and stage.backbone.vocabulary == "used" and not needs_all(stage)


def counted(plan: Plan, tokens: Mapping[Weights, int]) -> Plan:
    """The plan with the memory of its stages as it is with the embeddings of so many tokens.

    Args:
        tokens: how many the stages with these weights read together; no entry where that is not known.
    """
    stages = {id: _counted(stage, tokens.get(weights(stage))) for id, stage in plan.stages.items()}
    return replace(plan, stages=stages, embedded_tokens={**tokens})


def _counted(stage: Stage, tokens: int | None) -> Stage:
    if tokens is None or not reads_some(stage):
        return stage
    return replace(stage, cost=replace(stage.cost, memory=stage.cost.memory.with_tokens(tokens)))


def spared(stage: Stage, tokens: int) -> int:
    """Bytes of memory that a stage needs less with the embeddings of so many tokens alone.

    Below 0 where those of all are mapped from their file, so that they are no memory of the program's own.
    """
    whole = replace(stage.cost.memory.setting, rows=None)
    return whole.embedding_bytes - replace(whole, rows=tokens).embedding_bytes


def remarks(plan: Plan, todo: Sequence[Stage]) -> Iterator[str]:
    """What the stages that are to be done have in memory, where `vocabulary: used` is asked for."""
    wanted = [stage for stage in todo if stage.backbone.vocabulary == "used"]
    for stage in {weights(stage): stage for stage in filter(reads_some, wanted)}.values():
        yield _remark(stage, plan.embedded_tokens.get(weights(stage)))
    whole: dict[str, list[str]] = {}
    for stage in wanted:
        if why := needs_all(stage):
            whole.setdefault(why, []).append(f"{stage.kind} {stage.label}")
    for why, names in whole.items():
        stages = names[0] if len(names) == 1 else f"{len(names)} of them ({names[0]}, …)"
        yield f"{stages}: with the embeddings of all tokens, as {why}"


def _remark(stage: Stage, tokens: int | None) -> str:
    name, total, most = stage.coordinates.backbone, stage.info.vocabulary, spared(stage, 1)
    if most < 0:
        gain = f"in {stage.backbone.load} on a CPU that saves nothing but pages of its file, which the system can drop"
    elif tokens is None:
        gain = f"until then memory counts those of all {total:,}, {size(most)}"
    else:
        gain = f"{size(spared(stage, tokens))} less"
    if tokens is None:
        return f"{name} has the embeddings of the tokens that a run finds in its texts when it tokenises them; {gain}"
    return f"{name} has the embeddings of {tokens:,} of its {total:,} tokens, the ones that are read; {gain}"
