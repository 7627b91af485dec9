"""Frozen defaults are the live ones of schema version 1: another default needs another version."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.lora.spec import Lora
from adapterx.methods.probe.spec import Probe
from adapterx.methods.registry import Method
from adapterx.plan import defaults
from adapterx.recipe import Sampling, Train
from adapterx.recipe.prune import Prune
from adapterx.transfers.fuse import Fuse
from adapterx.transfers.merge import Merge

CHANGED = "a default changed: recipes of version 1 would mean something else, and stored results be taken for others"


def live(model: BaseModel, *left_out: str) -> dict[str, Any]:
    return {key: value for key, value in model.model_dump(mode="json").items() if key not in left_out}


@pytest.mark.parametrize(
    "method",
    [Lora(), Full(), Probe(), *(Bottleneck(placement=one) for one in ("sequential", "double", "parallel"))],
    ids=str,
)
def test_methods(method: MethodSpec) -> None:
    assert live(method) == defaults.method(live(method)), CHANGED


def test_training() -> None:
    settings = Train().phase("target", "", "lora")
    assert vars(settings) == dict(defaults.TRAIN), CHANGED
    assert {name: Prune.model_fields[name].default for name in defaults.PRUNE} == dict(defaults.PRUNE), CHANGED
    assert live(Sampling()) == dict(defaults.SAMPLING), CHANGED


def test_transfers_and_precision() -> None:
    assert live(Fuse(), "kind", "learning_rate") == dict(Fuse.frozen_defaults()), CHANGED
    assert live(Merge(), "kind", "tuning_limit", "tuning_sample") == dict(Merge.frozen_defaults()), CHANGED
    assert Backbone.model_fields["load"].default == defaults.LOAD, CHANGED


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "lora"},
        {"kind": "lora", "budget": "0.5%", "dropout": 0.1},
        {"kind": "bottleneck", "placement": "parallel", "width": 12},
        {"kind": "bottleneck", "placement": "double"},
        {"kind": "full"},
        {"kind": "peft", "settings": {"peft_type": "IA3"}},
    ],
)
def test_stored_settings_are_whole_again(settings: dict[str, Any]) -> None:
    """An export reads them with the defaults of when they were stored, whatever a recipe's are now."""
    whole = defaults.whole_method(settings)
    if settings["kind"] == "peft":
        assert whole == settings
        return
    read: Any = TypeAdapter(Method)
    assert read.validate_python(whole) == read.validate_python(settings)
    assert set(read.validate_python(settings).model_dump()) - set(whole) <= {
        "rank",
        "reduction_factor",
        "width",
        "budget",
    }
