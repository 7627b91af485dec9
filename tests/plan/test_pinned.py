"""The ids of every kind of stage, as users' stores hold them: a change throws stored results away.

`pinned.json` was written once and is only ever added to. Where a result has to change, raise the version of its kind
(`plan.identity.VERSIONS`) and say so in the changelog.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.methods.lora.spec import Lora
from adapterx.plan import Adopted, LibraryAdapter, Plan, build
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks

PINNED = Path(__file__).parent / "pinned.json"
METHODS: dict[str, dict[str, object]] = {
    "lora": {"kind": "lora"},
    "lora-all": {
        "kind": "lora",
        "rank": 4,
        "alpha": 8,
        "use_rslora": True,
        "dropout": 0.1,
        "target_modules": ["query", "key", "value", "attention_output", "intermediate", "output"],
        "layers": "top-2",
    },
    "lora-budget": {"kind": "lora", "budget": "0.5%"},
    "lora-dropped": {"kind": "lora", "adapter_drop": 2},
    "sequential": {"kind": "bottleneck"},
    "double": {"kind": "bottleneck", "placement": "double", "reduction_factor": 8},
    "parallel": {"kind": "bottleneck", "placement": "parallel", "width": 12},
    "nice": {"kind": "bottleneck", "invertible": "nice", "activation": "swish", "scaling": 2.0},
    "full": {"kind": "full", "gradient_checkpointing": True, "optimizer": "adamw_8bit"},
    "head": {"kind": "head"},
    "ia3-fused": {"kind": "ia3"},
    "ia3-modules": {"kind": "ia3", "target_modules": ["query", "output"], "layers": "top-2"},
    "ia3-budget": {"kind": "ia3", "budget": "0.02%"},
    "ia3": {"peft": {"peft_type": "IA3"}},
    "compacter": {"adapters": "compacter"},
}
MEMBERS: dict[str, object] = {
    "intermediates": {
        "en": {"tasks": ["units"]},
        "multi": {"tasks": ["units", "nli"]},
        "both": {"members": ["en", "multi"]},
    }
}
CASES: dict[str, dict[str, object]] = {
    **{
        f"method {name}": {"methods": {"m": method}, "intermediates": {"none": None, "en": {"tasks": "units"}}}
        for name, method in METHODS.items()
    },
    "stack": {"transfers": ["stack"]},
    "fuse": {
        **MEMBERS,
        "methods": {"m": {"kind": "bottleneck"}},
        "transfers": {"plain": {"kind": "fuse"}, "f": {"kind": "fuse", "value_rank": 4, "learning_rate": 1e-5}},
    },
    "merge": {
        **MEMBERS,
        "transfers": {
            "plain": {"kind": "merge"},
            "ties": {"kind": "merge", "method": "ties", "density": 0.3, "weights": [1, 2]},
            "tuned": {"kind": "merge", "weights": "tuned", "tuning_limit": 9},
        },
    },
    "retrieval": {
        "targets": {"bare": {"task": "names"}, "mined": {"task": "pairs", "retrieval": {"similarity": "margin"}}},
        "intermediates": {"none": None, "en": {"tasks": "units"}},
    },
    "language adapters": {
        "methods": {"m": {"kind": "bottleneck"}},
        "intermediates": {
            "languages": {
                "tasks": "text",
                "languages": "all",
                "per_language": True,
                "method": {"kind": "bottleneck", "invertible": "nice"},
            }
        },
        "transfers": ["stack"],
        "targets": {"months": {"task": "months", "languages": ["en", "fi"]}},
    },
    "adopted": {"intermediates": {"theirs": {"init": "someone/adapter"}}, "transfers": ["continue", "stack"]},
    "prune": {"train": {"prune": {"learning_rates": [1e-4, 1e-3], "rungs": [0.5], "keep": 0.25, "limit": 9}}},
    "training": {
        "train": {
            "learning_rate": 2e-4,
            "batch_size": 8,
            "steps": 7,
            "warmup_ratio": 0.2,
            "weight_decay": 0.01,
            "max_grad_norm": 0.5,
            "max_length": 64,
            "limit": 10,
            "early_stopping": {"every": 4, "patience": 2, "limit": 5},
        }
    },
    "sampling": {
        "intermediates": {
            "uniform": {"tasks": ["units", "nli"], "sampling": "uniform"},
            "capped": {"tasks": ["units", "nli"], "sampling": {"temperature": 2, "cap": 100}},
            "weighted": {"tasks": ["units", "nli"], "sampling": {"weights": {"units": 2, "nli": 1}}},
        }
    },
    "reference lane": {"lane": "reference"},
    "bfloat16": {"backbones": {"small": {"model": "e5@6", "load": "bfloat16"}}},
    "rounded prefix": {"methods": {"m": {"kind": "lora", "layers": "top-2"}}, "prefix_cache": {"precision": "float16"}},
    "evaluation": {"evaluate": {"limit": 5}, "targets": {"m": {"task": "months", "languages": ["en", "de"]}}},
}


def planned(changes: dict[str, object]) -> Plan:
    small: dict[str, object] = {
        "backbones": {"small": "e5@6"},
        "methods": {"lora": {"kind": "lora"}},
        "intermediates": {"multi": {"tasks": ["units", "nli"], "languages": ["en", "de"]}},
        "transfers": ["continue"],
        "targets": ["months"],
        "seeds": [1],
    }

    def measure(method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
        return LibraryAdapter(3)

    def adopt(init: str, backbone: Backbone, info: BackboneInfo) -> Adopted:
        return Adopted(Lora(), "0" * 64)

    plan = recipe(**{**small, **changes})
    return build(plan, Path("recipes"), FakeBackbones(), FakeTasks(), measure, adopt=adopt)


def ids(plan: Plan) -> dict[str, str]:
    """The beginning of every stage's id, by kind and name."""
    return {f"{stage.kind} {stage.label}": stage.id[:16] for stage in plan.stages.values()}


@pytest.mark.parametrize("name", CASES)
def test_ids_never_move(name: str) -> None:
    plan, pinned = planned(CASES[name]), json.loads(PINNED.read_text())
    assert plan.stages
    if name not in pinned and os.environ.get("ADAPTERX_WRITE_PINNED") == "1":
        pinned[name] = ids(plan)
        PINNED.write_text(json.dumps(pinned, indent=1) + "\n")
    assert name in pinned, "a new case: run this test with ADAPTERX_WRITE_PINNED=1"
    assert ids(plan) == pinned[name]


def test_every_case_is_pinned() -> None:
    assert set(json.loads(PINNED.read_text())) == set(CASES)
