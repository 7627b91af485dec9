"""What recipes of schema version 1 mean where they leave a setting out: frozen, because stored ids rest on it.

A stage's identity leaves out what is at its default, so a default that changed would give another result under the id
of the old one. These tables, and those that methods and transfers have of their own, never change. Where a recipe's
default is to change, the schema's version rises, recipes of version 1 go on meaning this, and the new value stands in
the identities of the others, as any value but these does.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapterx.backbones import precisions
from adapterx.methods.registry import KINDS
from adapterx.store import JSON

Table = Mapping[str, JSON]

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
SAMPLING: Table = {"temperature": 1.0, "cap": None, "weights": None, "language_temperature": None, "unimax": None}
LOAD = precisions.FROZEN


def method(settings: Table) -> dict[str, JSON]:
    """The defaults of the kind of method that the settings are of; none of methods without defaults of their own."""
    spec = KINDS.get(str(settings.get("kind")))
    defaults = {} if spec is None else spec.frozen_defaults(settings)
    return {"kind": settings["kind"], **defaults} if defaults or (spec and not spec.made_by_library) else {}


def whole_method(settings: Table) -> dict[str, JSON]:
    """A method's stored settings with the defaults put back, but for sizes that another setting gives."""
    spec = KINDS.get(str(settings.get("kind")))
    sizes = () if spec is None else spec.sizes
    given = any(settings.get(name) is not None for name in sizes)
    return {**{key: value for key, value in method(settings).items() if not (given and key in sizes)}, **settings}
