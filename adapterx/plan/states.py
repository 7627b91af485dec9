"""How each stage of a plan stands in a store, and why a stage that was once stored is not any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from adapterx.plan.adoption import Adoption
from adapterx.plan.identity import with_defaults
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage
from adapterx.reading import UnreadableFile, read_json
from adapterx.store import JSON, Record, Store
from adapterx.store.store import RUN
from adapterx.wording import plain

StateName = Literal["stored", "to-train", "to-read", "to-evaluate", "blocked", "diverged", "failed-before"]
DONE: frozenset[StateName] = frozenset({"stored", "diverged", "blocked"})
"""The states of stages that a run does not do."""
ABSENT = "—"
LONGEST_REASON = 400
"""Characters of a stored message that a plan repeats."""


@dataclass(frozen=True)
class Change:
    """One setting that differs from the stored stage of the same label."""

    key: str
    """Dotted; `intermediate: ` or `target: ` before it where the change is in the stage's input."""
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.key}: {self.old} → {self.new}"


@dataclass(frozen=True)
class State:
    """Where a stage stands."""

    name: StateName
    reason: str = ""
    """What blocks it, how it diverged, or how it failed before (it will be tried again)."""
    stale: tuple[Change, ...] = ()
    """Why an earlier result under the same label does not count."""


def states(plan: Plan, store: Store | None) -> dict[str, State]:
    """The state of every stage, by id."""
    if store is None:
        return {stage.id: State(_to_do(stage)) for stage in plan.stages.values()}
    found: dict[str, State] = {}
    earlier = _Earlier(plan, store)
    for stage in plan.stages.values():
        found[stage.id] = _state(stage, earlier, found)
    return found


def _to_do(stage: Stage) -> StateName:
    if isinstance(stage.work, Adoption):
        return "to-read"
    return "to-evaluate" if stage.kind == "evaluation" else "to-train"


def _state(stage: Stage, before: _Earlier, earlier: Mapping[str, State]) -> State:
    plan, store = before.plan, before.store
    record = store.find(stage.id, stage.kind, stage.label)
    if record is not None:
        return State("stored") if record.status == "done" else State("diverged", _divergence(record))
    for upstream in stage.inputs:
        if earlier[upstream].name == "blocked":
            return earlier[upstream]
        if earlier[upstream].name == "diverged":
            return State("blocked", f"{plan.stages[upstream].kind} {plan.stages[upstream].label} diverged")
    failure = store.failure(stage.kind, stage.label, stage.id)
    if failure is not None:
        return State("failed-before", plain(f"{failure.status}: {failure.message}", LONGEST_REASON))
    return State(_to_do(stage), stale=before.changes(stage))


def _divergence(record: Record) -> str:
    reason = record.result.get("message")
    return plain(str(reason), LONGEST_REASON) if reason else "the loss was no longer finite"


class _Earlier:
    """What a store holds of earlier versions of a plan's stages."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store

    @cached_property
    def elsewhere(self) -> frozenset[str]:
        """Ids of the stages that runs of other names consist of, and the last run of this name does not."""
        ours: set[str] = set()
        others: set[str] = set()
        for path in sorted(self.store.root.glob(f"runs/*/{RUN}")):
            (ours if path.parent.name == self.plan.recipe.name else others).update(_stages_of(path))
        return frozenset(others - ours)

    def changes(self, stage: Stage) -> tuple[Change, ...]:
        """What differs from the most similar stored stage of this name, the newest of several.

        Stages of that name which belong to another recipe are not earlier versions of this one.
        """
        siblings = self.store.siblings(stage.kind, stage.label)
        versions = [one for one in siblings if one.id not in self.elsewhere] if siblings else []
        found = [tuple(_changes(one, stage, self.plan, self.store)) for one in versions]
        return min(found, key=len, default=())


def _stages_of(path: Path) -> Iterator[str]:
    """Ids of the stages that a run lists; nothing where the list cannot be read."""
    try:
        for cell in read_json(path, largest=None)["cells"]:
            stages = [*(cell["stages"] or {}).values(), *cell.get("members", ())]
            yield from [stage["id"] for stage in stages if stage is not None]
    except (OSError, UnreadableFile, KeyError, TypeError, AttributeError):
        return


def _changes(old: Record, stage: Stage, plan: Plan, store: Store) -> list[Change]:
    """Settings that changed since a record, then those of its input, in this stage's words."""
    changes = _differences(with_defaults(old.settings), with_defaults(stage.settings))
    if old.inputs != stage.inputs:
        changes += _upstream(old, stage, plan, store)
    return changes or [Change("stage version", "an earlier one", "this one")]


def _upstream(old: Record, stage: Stage, plan: Plan, store: Store) -> list[Change]:
    if not (old.inputs and stage.inputs):
        return [Change("intermediate", _short(old.inputs), _short(stage.inputs))]
    if len(old.inputs) != len(stage.inputs):
        return [Change("inputs", str(len(old.inputs)), str(len(stage.inputs)))]
    was, now = next(pair for pair in zip(old.inputs, stage.inputs, strict=True) if pair[0] != pair[1])
    upstream = plan.stages[now]
    before = next((record for record in store.siblings(upstream.kind, upstream.label) if record.id == was), None)
    if before is None:
        return [Change(upstream.kind, was[:12], now[:12])]
    inner = _changes(before, upstream, plan, store)
    return [Change(f"{upstream.kind}: {change.key}", change.old, change.new) for change in inner]


def _short(ids: tuple[str, ...]) -> str:
    return ids[0][:12] if ids else "none"


def _differences(old: Mapping[str, JSON], new: Mapping[str, JSON]) -> list[Change]:
    """Settings that differ. A fingerprint of data is told where the same part of them is read, by its languages and
    splits: of another part it says nothing about the files.
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    keys = [*after, *(key for key in before if key not in after)]
    changed = [key for key in keys if before.get(key, ABSENT) != after.get(key, ABSENT)]
    part = _reads_dev(before) != _reads_dev(after)
    return [
        Change(key, before.get(key, ABSENT), after.get(key, ABSENT))
        for key in changed
        if not (key.rpartition(".")[2] == "data" and (part or f"{key.removesuffix('data')}languages" in changed))
    ]


def _reads_dev(settings: Mapping[str, str]) -> bool:
    """Whether a training is evaluated on the dev set."""
    return any(key.startswith(("train.early_stopping.", "train.prune.")) for key in settings)


def _flat(settings: Mapping[str, JSON], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted keys with their values as text; fingerprints and other long values are cut short."""
    flat: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat.append((f"{prefix}{key}", _text(value)))
    return flat


def _text(value: JSON) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | bool) or value is None:
        return plain(str(value)[:12] if isinstance(value, str) and len(value) == 64 else str(value))
    return plain(f"[{', '.join(str(item) for item in value)}]")
