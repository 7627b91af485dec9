"""What is left of an error that nobody foresaw: a log file to send, instead of a traceback on the terminal."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from itertools import count
from pathlib import Path

from adapterx import __version__, places
from adapterx.errors import AdapterxError
from adapterx.wording import plain

SOFTWARE = 70
"""Exit code of a defect in the program (EX_SOFTWARE of sysexits.h)."""

_SECRETS = ("TOKEN", "KEY", "SECRET", "PASSWORD")
_numbers = count(1)
_LIBRARIES = ("torch", "transformers", "peft", "adapters", "huggingface_hub", "safetensors", "numpy")


def told(error: BaseException, argv: Sequence[str]) -> str:
    """Write the traceback to a log file; the one line that a user is told of what ended a command."""
    return f"adapterx: {logged(error, argv)}"


def logged(error: BaseException, argv: Sequence[str]) -> str:
    """Write the traceback to a log file; what a user is told of an error, whether or not the command goes on."""
    what = f"{type(error).__name__}: {plain(' '.join(str(error).split()) or 'no message', 200)}"
    try:
        where = f"the traceback is in {_write(_content(error, argv))}"
    except OSError as full:
        where = f"its log could not be written ({full.strerror}); ADAPTERX_CACHE says where to"
    return f"a defect of the program: {hidden(what)} ({where}; please report it; --debug shows it here)"


def _content(error: BaseException, argv: Sequence[str]) -> str:
    lines = [
        f"adapterx {__version__}, {datetime.now(UTC).isoformat(timespec='seconds')}",
        f"Python {platform.python_version()}, {platform.platform()}, {platform.machine()}",
        ", ".join(f"{name} {version}" for name, version in _versions()),
        f"command: {' '.join(map(plain, argv))}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    return hidden("\n".join(lines))


def _versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def hidden(text: str) -> str:
    """The text without the values of variables such as HF_TOKEN, and without a token stored by the Hub's client."""
    for name, value in os.environ.items():
        if len(value) >= 8 and any(part in name.upper() for part in _SECRETS):
            text = text.replace(value, f"<{name}>")
    return text.replace(_stored_token() or "\0", "<token>")


def _stored_token() -> str | None:
    """The token of `hf auth login`, where the client that stores it has been imported."""
    hub = sys.modules.get("huggingface_hub")
    try:
        return hub.get_token() if hub is not None else None
    except Exception:  # whatever it is, the log of another error must be written
        return None


def _write(content: str) -> Path:
    """A new file in `logs` of the cache directory, or in the system's temporary one."""
    name = f"adapterx-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}-{next(_numbers)}.log"
    try:
        folder = places.cache() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except (OSError, AdapterxError):
        path = Path(tempfile.gettempdir()) / name
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    return path
