"""Every setting of a method is written and read again, in every library's files that hold the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterx.formats import directory
from adapterx.methods.base import Layout, MethodSpec
from adapterx.methods.registry import KINDS
from tests.formats.worked import adapter, place

OTHERS: dict[str, dict[str, Any]] = {
    "lora": {
        "rank": 3,
        "alpha": 5.0,
        "dropout": 0.25,
        "target_modules": ("key", "output"),
        "layers": (0, 2),
        "use_rslora": True,
    },
    "bottleneck": {
        "placement": "double",
        "reduction_factor": 4.0,
        "width": 5,
        "activation": "gelu",
        "scaling": 2.0,
        "dropout": 0.25,
        "layers": (1,),
        "invertible": "nice",
    },
}
"""By method another value of each setting."""
OTHERS["ia3"] = {
    "target_modules": ("attention_output", "output", "query"),
    "feedforward_modules": (),
    "layers": (0, 2),
}
NOT_STORED = {"kind", "budget", "adapter_drop"}
"""What the kind of file says, what a plan has turned into a size, and what concerns training alone."""


def stored() -> list[tuple[type[MethodSpec], Layout, str]]:
    return [
        (spec, layout, name)
        for spec in KINDS.values()
        for layout in spec.codecs
        for name in spec.model_fields
        if name not in NOT_STORED
    ]


@pytest.mark.parametrize(("spec", "layout", "name"), stored(), ids=lambda value: getattr(value, "__name__", value))
def test_every_setting_is_stored(spec: type[MethodSpec], layout: Layout, name: str, tmp_path: Path) -> None:
    kind = str(spec.model_fields["kind"].default)
    value = OTHERS[kind][name]  # a setting that a method gains has its line there
    given = {name: value} if name != "use_rslora" else {"rank": 3, "alpha": 5.0, name: value}
    method = spec.model_validate(given)
    directory.write(tmp_path, layout, adapter(method, place()), place(), "one")
    found = directory.read(tmp_path, place()).method
    assert type(found) is spec
    if name == "width":
        assert found.inside(32) == value  # type: ignore[attr-defined]
    elif name == "use_rslora":
        assert found.scaling == pytest.approx(method.scaling)  # type: ignore[attr-defined]
    else:
        assert getattr(found, name) == value
