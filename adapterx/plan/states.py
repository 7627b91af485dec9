"""How each stage of a plan stands in a store, and why a stage that was once stored is not any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapterx.plan.graph import Plan
from adapterx.plan.identity import with_defaults
from adapterx.plan.stage import Stage
from adapterx.store import JSON, Record, Store

StateName = Literal["stored", "to-train", "to-evaluate", "blocked", "diverged", "failed-before"]
ABSENT = "—"


@dataclass(frozen=True)
class Change:
    """One setting that differs from the stored stage of the same slug."""

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
    """Why an earlier result under the same slug does not count."""


def states(plan: Plan, store: Store | None) -> dict[str, State]:
    """The state of every stage, by id."""
    if store is None:
        return {stage.id: State(_to_do(stage)) for stage in plan.stages.values()}
    found: dict[str, State] = {}
    for stage in plan.stages.values():
        found[stage.id] = _state(stage, plan, store, found)
    return found


def _to_do(stage: Stage) -> StateName:
    return "to-evaluate" if stage.kind == "evaluation" else "to-train"


def _state(stage: Stage, plan: Plan, store: Store, earlier: Mapping[str, State]) -> State:
    record = store.find(stage.id, stage.kind, stage.slug)
    if record is not None:
        return State("stored") if record.status == "done" else State("diverged", _divergence(record))
    for upstream in stage.inputs:
        if earlier[upstream].name == "blocked":
            return earlier[upstream]
        if earlier[upstream].name == "diverged":
            return State("blocked", f"{plan.stages[upstream].kind} {plan.stages[upstream].slug} diverged")
    failure = store.failure(stage.kind, stage.slug, stage.id)
    if failure is not None:
        return State("failed-before", f"{failure.status}: {failure.message}")
    return State(_to_do(stage), stale=_stale(stage, plan, store))


def _divergence(record: Record) -> str:
    reason = record.result.get("message")
    return str(reason) if reason else "the loss was no longer finite"


def _stale(stage: Stage, plan: Plan, store: Store) -> tuple[Change, ...]:
    siblings = store.siblings(stage.kind, stage.slug)
    return tuple(_changes(siblings[0], stage, plan, store)) if siblings else ()


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
    before = next((record for record in store.siblings(upstream.kind, upstream.slug) if record.id == was), None)
    if before is None:
        return [Change(upstream.kind, was[:12], now[:12])]
    inner = _changes(before, upstream, plan, store)
    return [Change(f"{upstream.kind}: {change.key}", change.old, change.new) for change in inner]


def _short(ids: tuple[str, ...]) -> str:
    return ids[0][:12] if ids else "none"


def _differences(old: Mapping[str, JSON], new: Mapping[str, JSON]) -> list[Change]:
    before, after = dict(_flat(old)), dict(_flat(new))
    keys = [*after, *(key for key in before if key not in after)]
    return [
        Change(key, before.get(key, ABSENT), after.get(key, ABSENT))
        for key in keys
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    ]


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
        return str(value)[:12] if isinstance(value, str) and len(value) == 64 else str(value)
    return f"[{', '.join(str(item) for item in value)}]"
