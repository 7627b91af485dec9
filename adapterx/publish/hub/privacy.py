"""What must not leave this machine: tokens, its directories and its name, in no file that is to be published."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapterx.publish.hub.errors import PublishError
from adapterx.store import JSON

_TOKEN = re.compile(r"hf_[A-Za-z0-9]{16,}")
_ROOTS = "home|Users|root|tmp|mnt|media|data|srv|var|work|opt|scratch"
_PATH = re.compile(rf"(?:file://|(?<![\w.:/<]))(?:~|/(?:{_ROOTS}))/[^\s\"'`<>)]*")
_TEXTS = (".md", ".json", ".yaml", ".yml", ".txt", ".jsonl", ".bib")
REMOVED = "(a local path)"


def without_paths(value: JSON) -> JSON:
    """A JSON value with `(a local path)` for each text in it that is a path of this machine."""
    if isinstance(value, dict):
        return {key: without_paths(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_paths(one) for one in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "./", "../")) or _is_here(value)):
        return REMOVED
    return value


def _is_here(text: str) -> bool:
    """Whether a text with a slash in it names something on this machine."""
    if "/" not in text or "\n" in text or len(text) > 1000:
        return False
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def check(folder: Path, secrets: Iterable[str] = ()) -> None:
    """Raise PublishError, naming file and line, where a text in a folder tells what should not be public.

    Args:
        secrets: more texts that may stand nowhere.
    """
    forbidden = [*_secrets(), *secrets]
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        where = path.relative_to(folder)
        content = path.read_bytes()
        for what, secret in ((what, one) for what, one in forbidden_bytes(forbidden)):
            if secret in content:
                raise PublishError(f"{where} holds {what}, which is not for others: take it out of the recipe")
        if path.suffix in _TEXTS:
            _check_lines(where, content.decode("utf-8", "replace"))


def forbidden_bytes(secrets: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """What may stand nowhere, with a word for it."""
    for secret in secrets:
        what = "a token" if _TOKEN.fullmatch(secret) else "a directory or the name of this machine"
        yield what, secret.encode()


def _check_lines(where: Path, text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if _TOKEN.search(line):
            raise PublishError(f"{where}:{number} holds a token of the Hub: take it out of the recipe")
        if found := _PATH.search(line):
            raise PublishError(
                f"{where}:{number} holds {found[0]}, a path of this machine: take it out of the recipe's description"
                " or names"
            )


def _secrets() -> list[str]:
    """Texts that tell where this is and who is logged in, as far as they are long enough to mean it."""
    from huggingface_hub import get_token

    found = [get_token() or "", os.environ.get("HF_TOKEN", ""), str(Path.home()), str(Path.cwd())]
    host = socket.gethostname()
    found += [host] if len(host) > 8 else []
    return [one for one in found if len(one) > 5]
