"""Directories named by variables and options, `~` put in full."""

from pathlib import Path

import pytest

from adapterx import places
from adapterx.errors import AdapterxError


@pytest.mark.parametrize(
    ("variable", "place"), [("STORE", places.store), ("CACHE", places.cache), ("DATA", places.data)]
)
def test_a_tilde_in_a_variable_is_the_home_directory(variable, place, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(f"ADAPTERX_{variable}", "~/there")
    assert place() == tmp_path / "there"


def test_the_defaults(tmp_path, monkeypatch):
    for variable in ("ADAPTERX_STORE", "ADAPTERX_CACHE", "ADAPTERX_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.store() == Path("adapterx-store")
    assert places.data() == Path("../shared/data")
    assert places.cache() == tmp_path / ".cache" / "adapterx"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/x")
    assert places.cache() == tmp_path / "x" / "adapterx"


def test_a_home_that_nobody_has_is_told():
    with pytest.raises(AdapterxError, match="~nobody-of-this-name"):
        places.expanded("~nobody-of-this-name/x")
