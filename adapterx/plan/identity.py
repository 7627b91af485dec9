"""What a stage is, as JSON: everything that can change its result, and nothing else.

A setting at its default is left out, so a setting that a later version adds, with a default, leaves every id as it
was; defaults are those of `plan.defaults`, which never change. Names chosen in the recipe, bundles, device and paths
are no part of it. The names of tasks are: heads are named after them, and initialised from their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from adapterx import limits
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.limits import Limit
from adapterx.methods.base import MethodSpec
from adapterx.methods.registry import PACKAGES
from adapterx.plan import defaults
from adapterx.plan.adoption import Adoption
from adapterx.plan.stage import Evaluation, StageKind, Training
from adapterx.store import JSON, fingerprint
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings

VERSIONS: Mapping[StageKind, int] = {"intermediate": 1, "target": 1, "evaluation": 1}
"""Raised when the code behind a kind of stage changes its results."""

_TURNS = 1
"""Raised when batches that take turns would be drawn, or examples that pair languages be made, in another way."""

_CONTRASTS = 1
"""Raised when queries and candidates would be compared in another way."""

Settings = dict[str, JSON]


def stage_id(kind: StageKind, settings: Mapping[str, JSON], inputs: Sequence[str]) -> str:
    """64 hex digits."""
    return fingerprint({"kind": kind, "version": VERSIONS[kind], "settings": settings, "inputs": list(inputs)})


def training_settings(backbone: Backbone, info: BackboneInfo, method: MethodSpec, work: Training) -> Settings:
    """The identity of a training, inputs apart."""
    settings: Settings = {
        "backbone": _backbone(backbone, info),
        "method": _method(method),
        "tasks": {part.task: _part(part) for part in work.tasks},
        "train": _without(_train(work.train), defaults.TRAIN),
        "seed": work.seed,
    }
    if work.lane == "reference" and not method.made_by_library:
        settings["lane"] = work.lane  # what a library makes has no other
    elif method.drops > 0:
        settings["masks"] = "counted"  # results of masks that were drawn from a running generator are other ones
    if work.transfer is not None:
        settings["transfer"] = work.transfer.identity(method)
    if work.transfer is not None and work.member_dev:
        dev = {str(place): {part.task: _part(part) for part in of} for place, of in enumerate(work.member_dev, start=1)}
        settings["tuning"] = {"limit": None, **_limited(work.transfer.tuned_on), "dev": dev}
    if work.prefix != "exact":
        settings["prefix"] = work.prefix
    if work.batches is not None:
        settings["batches"] = {**work.batches.model_dump(mode="json"), "version": _TURNS}
    if work.contrastive is not None:
        settings["contrastive"] = {**work.contrastive.model_dump(mode="json"), "version": _CONTRASTS}
    if work.text_share:
        settings["with"] = {"share": work.text_share, "version": _TURNS}
    if sum(len(part.languages) for part in work.tasks) > 1:
        settings["sampling"] = _without(work.sampling.model_dump(mode="json"), defaults.SAMPLING)
    return settings


def adopted_settings(backbone: Backbone, info: BackboneInfo, work: Adoption) -> Settings:
    """The identity of an adapter that is read: its content, wherever it lies."""
    adapter = work.adapter
    return {"backbone": _backbone(backbone, info), "method": _method(adapter.method), "adapter": adapter.digest}


def evaluation_settings(work: Evaluation, bare: tuple[Backbone, BackboneInfo] | None = None) -> Settings:
    """The identity of an evaluation, its target apart.

    Args:
        bare: the backbone, where it is evaluated as it is.
    """
    settings: Settings = {"task": work.task.task, **_part(work.task)}
    if bare is not None:
        settings["backbone"] = _backbone(*bare)
        settings |= {"lane": work.lane} if work.lane == "reference" else {}
    if work.search is not None:
        settings["search"] = {key: value for key, value in asdict(work.search).items() if value is not None}
    if work.prefix != "exact":
        settings["prefix"] = work.prefix
    return {**settings, **_limited(work.limit)}


def with_defaults(settings: Mapping[str, JSON]) -> Settings:
    """Stored settings with the defaults put back, so that two can be compared key by key."""
    full = _sampled(settings)
    keys = ("method", "train", "backbone", "sampling", "tuning")
    method, train, backbone, sampling, tuning = (settings.get(key) for key in keys)
    if isinstance(method, Mapping):
        full["method"] = {**defaults.method(method), **method}
    if isinstance(train, Mapping):
        # A setting that another one stands in for has no default.
        implied = {"epochs" if "steps" in train else None, "learning_rate" if "prune" in train else None}
        usual = {key: value for key, value in defaults.TRAIN.items() if key not in implied}
        prune, stopping = train.get("prune"), train.get("early_stopping")
        inner = {"early_stopping": _sampled(stopping)} if isinstance(stopping, Mapping) else {}
        if isinstance(prune, Mapping):
            inner["prune"] = {"learning_rates": [], **defaults.PRUNE, **_sampled(prune)}
        full["train"] = {**usual, **_sampled(train), **inner}
    if isinstance(tuning, Mapping):
        full["tuning"] = _sampled(tuning)
    if isinstance(backbone, Mapping):
        full["backbone"] = {"load": defaults.LOAD, **backbone}
    if isinstance(sampling, Mapping):
        full["sampling"] = {**({} if "weights" in sampling else defaults.SAMPLING), **sampling}
    return full


def _backbone(backbone: Backbone, info: BackboneInfo) -> Settings:
    return {"key": info.key, **({} if backbone.load == defaults.LOAD else {"load": backbone.load})}


def _part(part: TaskPart) -> Settings:
    return {"languages": list(part.languages), "data": part.data}


def _train(train: TrainSettings) -> Settings:
    stopping, prune = train.early_stopping, train.prune
    settings: Settings = {**asdict(train), "limit": None, **_limited(train.limit)}
    if stopping is not None:
        written = stopping.model_dump(mode="json", exclude={"limit", "sample"})
        settings["early_stopping"] = {**written, **_limited(stopping.evaluated)}
    if prune is not None:
        settings["prune"] = {**_without({**asdict(prune), "limit": None}, defaults.PRUNE), **_limited(prune.limit)}
    return settings


def _limited(limit: Limit | None) -> Settings:
    """What keeps some of the items, nothing where all are kept. First items keep the ids they had before there were
    others; a random sample brings its version.
    """
    if limit is None:
        return {}
    return {"limit": limit.items} | ({"sample": limits.VERSION} if limit.sample == "random" else {})


def _sampled(settings: Mapping[str, JSON]) -> Settings:
    """Stored settings that tell which items a limit keeps, first ones too."""
    return {**settings} if settings.get("limit") is None else {**settings, "sample": settings.get("sample", "first")}


def _method(method: MethodSpec) -> Settings:
    settings = method.model_dump(mode="json")
    found = _without(settings, defaults.method(settings), keep=("kind", *method.always))
    # What a package computes is no part of this package's versions.
    return {**found, "package": PACKAGES[method.kind]} if method.kind in PACKAGES else found


def _without(settings: Mapping[str, JSON], defaults: Mapping[str, JSON], keep: Sequence[str] = ()) -> Settings:
    """Settings that differ from their defaults. A null is always a default, or implied by another setting."""
    return {
        key: value
        for key, value in settings.items()
        if key in keep or (value is not None and value != defaults.get(key))
    }
