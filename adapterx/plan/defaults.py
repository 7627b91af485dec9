"""What recipes of schema version 1 mean where they leave a setting out: frozen, because stored ids rest on it.

A stage's identity leaves out what is at its default, so a default that changed would give another result under the id
of the old one. These tables never change. Where a recipe's default is to change, the schema's version rises, recipes of
version 1 go on meaning this, and the new value stands in the identities of the others, as any value but these does.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapterx.store import JSON

Table = Mapping[str, JSON]

LORA: Table = {
    "rank": 8,
    "alpha": 16.0,
    "use_rslora": False,
    "budget": None,
    "dropout": 0.0,
    "target_modules": ["query", "value"],
    "layers": "all",
    "adapter_drop": 0,
}
_BOTTLENECK: Table = {
    "placement": "sequential",
    "reduction_factor": 16.0,
    "width": None,
    "budget": None,
    "activation": "relu",
    "scaling": 1.0,
    "dropout": 0.0,
    "layers": "all",
    "adapter_drop": 0,
    "invertible": None,
}
_PLACED: Mapping[str, Table] = {
    "sequential": {},
    "double": {"placement": "double", "activation": "swish"},
    "parallel": {"placement": "parallel", "reduction_factor": 2.0, "scaling": 4.0},
}
FULL: Table = {"gradient_checkpointing": False, "optimizer": "adamw"}
HEAD: Table = {}
TRAIN: Table = {
    "learning_rate": 1e-4,
    "batch_size": 32,
    "epochs": 3.0,
    "steps": None,
    "warmup_ratio": 0.1,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 128,
    "limit": None,
    "early_stopping": None,
    "prune": None,
}
PRUNE: Table = {"rungs": (0.25, 0.5), "keep": 0.5}
SAMPLING: Table = {"temperature": 1.0, "cap": None, "weights": None}
FUSE: Table = {"value_rank": None}
MERGE: Table = {"method": None, "weights": None, "density": 0.5}
LOAD = "float32"

_METHODS: Mapping[str, Table] = {"lora": LORA, "full": FULL, "head": HEAD}
_SIZES: Mapping[str, tuple[str, ...]] = {
    "lora": ("rank", "budget"),
    "bottleneck": ("reduction_factor", "width", "budget"),
}
"""Settings of a method that say the same thing in several ways; where one is given, the others have no default."""


def method(kind: JSON, placement: JSON = None) -> dict[str, JSON]:
    """The defaults of a kind of method, of a bottleneck those of its placement; none of libraries' methods."""
    if kind == "bottleneck":
        return {"kind": kind, **_BOTTLENECK, **_PLACED[str(placement or "sequential")]}
    return {"kind": kind, **_METHODS[str(kind)]} if kind in _METHODS else {}


def whole_method(settings: Table) -> dict[str, JSON]:
    """A method's stored settings with the defaults put back, but for sizes that another setting gives."""
    kind = settings.get("kind")
    sizes = _SIZES.get(str(kind), ())
    given = any(settings.get(name) is not None for name in sizes)
    defaults = method(kind, settings.get("placement"))
    return {**{key: value for key, value in defaults.items() if not (given and key in sizes)}, **settings}
