"""The names a recipe uses against the names it defines.

Works on the plain tree rather than on the Recipe, so that a misspelt name is reported together with a mistyped value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterx.config.problems import Finding, Location, did_you_mean
from adapterx.methods.registry import KINDS, by_kind
from adapterx.transfers.registry import TRANSFERS
from adapterx.wording import plain, shown

_NAMED_ANYWAY = (*(kind for kind, one in TRANSFERS.items() if not one.several), "none")
"""Transfers that a skip may name though the recipe has them not."""
NAMED_AXES = ("backbones", "methods", "intermediates", "targets")


def unknown_names(data: Mapping[str, Any]) -> list[Finding]:
    """Every name in skip, compare, sampling weights and learning rates that the recipe does not define.

    An axis that is not given at all, mistyped say, defines no names, and what uses them is not told as well.
    """
    axes = {axis: _names(data[axis]) for axis in NAMED_AXES if data.get(axis) is not None}
    if "intermediates" not in axes and not _mistyped("intermediates", data):
        axes["intermediates"] = ["none"]
    if not _mistyped("transfers", data):
        axes["transfers"] = [*dict.fromkeys([*_names(data.get("transfers")), *_NAMED_ANYWAY])]
    found: list[Finding] = []
    for index, skip in enumerate(_list(data.get("skip"))):
        for axis, value in _mapping(skip).items():
            if axis in axes:
                found += _unknown(("skip", index, axis), value, axes[axis], axis)
            elif axis == "seeds" and isinstance(data.get("seeds"), list):
                found += _unknown_seeds(("skip", index, axis), value, data["seeds"])
    for name, intermediate in _mapping(data.get("intermediates")).items():
        found += _weights(("intermediates", name), _mapping(intermediate))
    if "intermediates" in axes:
        found += _unknown_arms(_mapping(data.get("compare")), axes["intermediates"])
    if "backbones" in axes:
        for name in _mapping(_mapping(data.get("publish")).get("base_models")):
            found += _unknown(("publish", "base_models"), name, axes["backbones"], "backbones")
    train = _mapping(data.get("train"))
    for location, settings in (
        (("train",), train),
        *((("train", p), train.get(p)) for p in ("intermediate", "target")),
        *(
            ((axis, name, "train"), _mapping(one).get("train"))
            for axis in ("intermediates", "targets")
            for name, one in _mapping(data.get(axis)).items()
        ),
    ):
        found += _rates((*location, "learning_rate"), _mapping(settings).get("learning_rate"), data)
        candidates = _mapping(_mapping(settings).get("prune")).get("learning_rates")
        found += _rates((*location, "prune", "learning_rates"), candidates, data)
    return found


def _mistyped(axis: str, data: Mapping[str, Any]) -> bool:
    """Whether an axis is absent and another key looks like it."""
    return axis not in data and any(did_you_mean(key, [axis]).startswith("did you mean") for key in data)


def _rates(location: Location, rates: object, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Learning rates by method name or kind: each key must be one of them, and every method must have one."""
    if not isinstance(rates, dict) or data.get("methods") is None:
        return
    named = dict(_mapping(data.get("methods")))
    # An intermediate with a method of its own is known by its name.
    for name, one in _mapping(data.get("intermediates")).items():
        if location[:2] != ("train", "target") and location[0] != "targets" and _mapping(one).get("method") is not None:
            named.setdefault(name, _mapping(one)["method"])
    kinds = {name: str(by_kind(_mapping(one)).get("kind")) for name, one in named.items()}
    known = dict.fromkeys([*kinds, *KINDS])
    for key in rates:
        if key not in known:
            message = f"no method is named '{plain(key)}', nor is it a kind of method"
            yield Finding((*location, key), message, did_you_mean(key, known), at_key=True)
    missing = [name for name, kind in kinds.items() if name not in rates and kind not in rates]
    if missing and all(key in known for key in rates):
        what = str(location[-1]).replace("_", " ")
        yield Finding(location, f"has no {what} for the method {_quoted(missing)}", at_key=True)


def _weights(location: Location, intermediate: Mapping[str, Any]) -> Iterator[Finding]:
    """Sampling weights by task: each key must be a task of the intermediate, and every task must have one."""
    weights = _mapping(_mapping(intermediate.get("sampling")).get("weights"))
    tasks = [task for _, task in _each((), intermediate.get("tasks")) if isinstance(task, str)]
    if not weights or not tasks:
        return
    at = (*location, "sampling", "weights")
    for key in weights:
        if key not in tasks:
            yield Finding((*at, key), f"no '{plain(key)}' among the tasks", did_you_mean(key, tasks), at_key=True)
    missing = [task for task in dict.fromkeys(tasks) if task not in weights]
    if missing and all(key in tasks for key in weights):
        yield Finding(at, f"has no weight for the task {_quoted(missing)}", at_key=True)


def _unknown(location: Location, value: object, names: list[str], axis: str) -> Iterator[Finding]:
    for place, name in _each(location, value):
        if isinstance(name, str) and name not in names:
            yield Finding(place, f"no '{plain(name)}' among the {axis}", did_you_mean(name, names))


def _unknown_arms(compare: Mapping[str, Any], known: list[str]) -> list[Finding]:
    """Sides of the gap and of the further contrasts that are no intermediate."""
    further = _mapping(compare.get("contrasts"))
    places: list[tuple[Location, dict[str, Any]]] = [((), dict(compare))]
    places += [(("contrasts", name), _mapping(one)) for name, one in further.items()]
    return [
        finding
        for place, one in places
        for side in ("arm", "baseline")
        for finding in _unknown(("compare", *place, side), one.get(side), known, "intermediates")
    ]


def _unknown_seeds(location: Location, value: object, seeds: list[Any]) -> Iterator[Finding]:
    for place, seed in _each(location, value):
        if isinstance(seed, int) and seed not in seeds:
            yield Finding(
                place, f"no {shown(seed)} among the seeds", plain(f"known: {', '.join(map(shown, seeds[:20]))}")
            )


def _each(location: Location, value: object) -> Iterator[tuple[Location, object]]:
    if isinstance(value, list):
        yield from (((*location, index), item) for index, item in enumerate(value))
    else:
        yield location, value


def _names(axis: object) -> list[str]:
    """Names of a mapping, or of a list of targets."""
    return list(axis) if isinstance(axis, dict) else [name for name in _list(axis) if isinstance(name, str)]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{plain(name)}'" for name in names[:12]) + (", …" if len(names) > 12 else "")
