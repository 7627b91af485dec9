"""What the hub of `tests.support.hub` lists of a revision: its files and folders, as the clients' file systems ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.hub_writes import APART, oid

if TYPE_CHECKING:
    from tests.support.hub import _Handler


def tree(self: _Handler, model: str, revision: str, path: str | None) -> None:
    """What is in a folder of a revision, by default in its root; with `recursive` in the folders there too."""
    start = f"{path}/" if path else ""
    deep = parse_qs(urlsplit(self.path).query).get("recursive", ["true" if path is None else "false"])[0].lower()
    files = self.hub.files(model, revision)
    found = [one for one in _entries(files) if one["path"].startswith(start)]
    self.answer_json([one for one in found if deep == "true" or "/" not in one["path"].removeprefix(start)])


def paths_info(self: _Handler, model: str, revision: str) -> None:
    """The files and folders of these names that there are."""
    asked = {path.strip("/") for path in parse_qs(self.body().decode()).get("paths", [])}
    self.answer_json([one for one in _entries(self.hub.files(model, revision)) if one["path"] in asked])


def _entries(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Files and the folders that they lie in, by name."""
    folders = {name[:at] for name in files for at in range(len(name)) if name[at] == "/"}
    found = [{"type": "directory", "path": name, "size": 0, "oid": oid(name, b"")} for name in folders]
    return sorted(
        [*found, *(_file(name, content) for name, content in files.items())], key=lambda one: str(one["path"])
    )


def _file(name: str, content: bytes) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": oid(name, content)}
    if name.endswith(APART):
        one |= {"lfs": {"oid": one["oid"], "size": len(content), "pointerSize": 134}}
    return one
