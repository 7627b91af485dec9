"""The shape of the code: imports run downwards, as ARCHITECTURE.md lists what there is; names are unique."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def listed() -> list[str]:
    """Packages and modules from the top to the bottom."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(cli\b.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [line.split()[0].rstrip("/") for line in block.splitlines()]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each part of adapterx that a file imports, within functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif node.module == "adapterx":
            names = [f"adapterx.{one.name}" for one in node.names]
        else:
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [node.module or ""]
        for name in names:
            if name.startswith("adapterx.") and name != "adapterx.__version__":
                yield node.lineno, name.split(".")[1]


def test_the_page_lists_everything_once() -> None:
    there = {path.name.removesuffix(".py") for path in (ROOT / "adapterx").iterdir() if path.suffix in (".py", "")}
    assert sorted(listed()) == sorted(there - {"__init__", "__main__", "__pycache__"})


def test_imports_run_downwards() -> None:
    height = {name: place for place, name in enumerate(reversed(listed()))}
    upwards = []
    for path in sorted((ROOT / "adapterx").rglob("*.py")):
        own = path.relative_to(ROOT / "adapterx").parts[0].removesuffix(".py")
        for line, name in imported(path):
            if own in height and height[name] > height[own]:
                upwards.append(f"{path.relative_to(ROOT)}:{line}: {own} imports {name}")
    assert not upwards, "\n".join(upwards)


def test_every_file_the_page_names_is_there() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "adapterx").rglob("*.py")]
    for name in sorted(set(re.findall(r"`((?:\w+/)*\w+\.py)`", page))):
        assert (ROOT / name).is_file() or any(path.endswith(f"/{name}") for path in there), name


def test_no_class_name_occurs_twice() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "adapterx").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_files_stay_readable() -> None:
    """No file over 400 lines, half of them under 150."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "adapterx").rglob("*.py")}
    assert not {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400}
    assert sorted(sizes.values())[len(sizes) // 2] <= 150
