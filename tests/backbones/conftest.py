"""The embedded backbone, converted and loaded once for all tests that need its real weights."""

from __future__ import annotations

import pytest

from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.spec import Backbone


@pytest.fixture(scope="session")
def e5_small() -> LoadedBackbone:
    """The whole embedded backbone; its conversion lies in the user's cache, as in a run."""
    return load(Backbone(model="embedded/e5-small"))
