"""A package of a user's own, installed into a directory: its modules, and the metadata that name its entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    directory: Path, name: str, version: str, modules: Mapping[str, str], points: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write a distribution as an installer leaves it (Python packaging, "Recording installed projects").

    Args:
        directory: what is put on `sys.path`.
        modules: the text of each module.
        points: per group of entry points, what each name stands for.
    """
    metadata = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, named in points.items():
        lines += [f"[{group}]", *(f"{point} = {stands_for}" for point, stands_for in named.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, text in modules.items():
        (directory / f"{module}.py").write_text(text)
    return directory
