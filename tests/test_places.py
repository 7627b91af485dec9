"""Directories named by variables and options, `~` put in full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapterx import places
from adapterx.errors import AdapterxError
from adapterx.tasks.sources.local.spec import Aligned, Files
from adapterx.tasks.sources.search.read import paths
from adapterx.tasks.sources.search.spec import Texts


@pytest.mark.parametrize(
    ("variable", "place"), [("STORE", places.store), ("CACHE", places.cache), ("DATA", places.data)]
)
def test_a_tilde_in_a_variable_is_the_home_directory(
    variable: str, place: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(f"ADAPTERX_{variable}", "~/there")
    assert place() == tmp_path / "there"


def test_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ADAPTERX_STORE", "ADAPTERX_CACHE", "ADAPTERX_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.store() == Path("adapterx-store")
    assert places.data() == Path("../shared/data")
    assert places.cache() == tmp_path / ".cache" / "adapterx"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/x")
    assert places.cache() == tmp_path / "x" / "adapterx"


def test_a_home_that_nobody_has_is_told() -> None:
    with pytest.raises(AdapterxError, match="~nobody-of-this-name"):
        places.expanded("~nobody-of-this-name/x")


def test_a_tilde_in_a_tasks_paths_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    files = Files(
        paths=("~/{language}.tsv", "beside.tsv"), labels="~/labels", aligned=Aligned(path="~/a", columns=("x",))
    )
    assert files.paths == (f"{tmp_path}/{{language}}.tsv", "beside.tsv")
    assert files.aligned is not None
    assert (files.labels, files.aligned.path) == (f"{tmp_path}/labels", f"{tmp_path}/a")
    with pytest.raises(ValidationError, match="~nobody-of-this-name"):
        Files(paths=("~nobody-of-this-name/x",))
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text("1\tx\n")
    side = Texts(paths=("~/*.tsv",), text=1)
    assert paths(side, "en") == [tmp_path / "a.tsv", tmp_path / "b.tsv"]
