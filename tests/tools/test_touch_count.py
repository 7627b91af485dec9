"""Naming a kind is seen in code, not in sentences, and not in a kind's own files."""

from __future__ import annotations

import ast

import pytest

from tools.touch_count import KINDS, Kind, named, outside, trees

KIND = Kind(("lora",), ("Lora",), ("methods/lora.py", "methods/lora"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("if kind == 'lora': pass", True),
        ("from adapterx.recipe import Lora", True),
        ("isinstance(x, Lora)", True),
        ("isinstance(x, recipe.Lora)", True),
        ("x: 'A lora is small' = 1", False),
        ("'''A lora.'''", False),
        ("lora = 1", False),
    ],
)
def test_what_names_a_kind(code: str, expected: bool) -> None:
    assert named(ast.parse(code), KIND) == expected


def test_own_files_do_not_count() -> None:
    code = ast.parse("Lora")
    given = {
        "methods/lora.py": code,
        "methods/lora/files.py": code,
        "methods/lora_more.py": code,
        "cli.py": ast.parse("1"),
    }
    assert outside(KIND, given) == ["methods/lora_more.py"]


@pytest.mark.slow
def test_every_kind_is_found_somewhere() -> None:
    found = trees()
    for kinds in KINDS.values():
        for name, kind in kinds.items():
            assert any(named(tree, kind) for tree in found.values()), name
