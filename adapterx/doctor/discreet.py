"""Texts without what is nobody else's business: values of variables such as HF_TOKEN, the home directory, the user."""

from __future__ import annotations

import getpass
import os
import re
from contextlib import suppress
from pathlib import Path

from adapterx import crash
from adapterx.wording import plain

LONGEST = 300
"""Characters of a text that is shown."""


def discreet(text: str | os.PathLike[str], longest: int = LONGEST) -> str:
    """A text or path on one line: `~` for the home directory, `$USER` for the user's name as a part of a path."""
    shown = crash.hidden(os.fspath(text))
    home = _home()
    if home:
        shown = re.sub(rf"(?<![\w/]){re.escape(home)}(?=[/\s:;,'\")\]]|$)", "~", shown)
    user = _user()
    if user:
        shown = re.sub(rf"(?<=/){re.escape(user)}(?=/|$)", "$USER", shown)
    return plain(shown, longest)


def _home() -> str:
    with suppress(RuntimeError, OSError):
        home = str(Path.home()).rstrip("/")
        return home if home.count("/") >= 1 and home != "" else ""
    return ""


def _user() -> str:
    with suppress(Exception):  # there may be neither a variable nor an entry in the system's list
        return getpass.getuser()
    return ""
