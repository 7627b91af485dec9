"""The real client of the Hub in this process, talking to a small hub of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub.utils
import pytest
import transformers.utils.hub
from huggingface_hub import constants, file_download

from tests.support.hub import Hub


@contextmanager
def talking(hub: Hub, home: Path, token: str = "") -> Iterator[None]:
    """Let the client of this process, and of those that it starts, know no hub but this one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in {**hub.environment(home, token or None), "HF_HUB_OFFLINE": "0"}.items():
            patch.setenv(name, value)
        patch.setattr(constants, "ENDPOINT", hub.endpoint)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        # transformers notes at its import whether there is a network.
        patch.setattr(transformers.utils.hub, "_is_offline_mode", False, raising=False)
        _forget()
        yield
    _forget()


def _forget() -> None:
    """Close connections, which were opened for another hub or for none."""
    for name in ("reset_sessions", "close_session"):  # of the one generation of clients and of the other
        forget = getattr(huggingface_hub.utils, name, None)
        if forget is not None:
            forget()
