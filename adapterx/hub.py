"""The Hugging Face Hub: what a revision of a repository means, its files, and what goes wrong there, in words.

What was asked of a commit, and which commit a branch meant, is kept beside the repository's files in the Hub's own
cache. Where the Hub gives no answer (no network, too many requests, an error of its own), that serves in its place, and
stderr names the commit. No message holds what the client says, in which a token may stand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from adapterx.errors import AdapterxError
from adapterx.reading import read_json
from adapterx.store.atomic import write_json
from adapterx.wording import plain, shown

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BUSY = (408, 429)
"""Statuses below 500 that say nothing about what was asked for."""
_REFUSED = {
    409: "it is in conflict with what is there: look at the repository, and try again",
    412: "somebody has changed the repository meanwhile: try again",
    413: "it is too large",
}
"""Of those who write."""
_LARGEST_LISTING = 100_000_000
"""Bytes of a list of a commit's files."""
_SHOWN = 3
Found = TypeVar("Found")
_ANSWERING: set[Repository] = set()
"""Of which the Hub has told this process something."""


class HubError(AdapterxError, ValueError):
    """What the Hub does not give, worded for the user."""


class UnavailableError(HubError):
    """No answer, or one that says nothing about what was asked for: what is in the cache may serve instead."""


@dataclass(frozen=True)
class Repository:
    """A repository on the Hub."""

    id: str
    kind: Literal["model", "dataset"] = "model"
    """Adapters lie in repositories of models."""
    pin: str = "`revision: COMMIT`"
    """How the user names a commit of it."""

    def __str__(self) -> str:
        return f"the dataset {plain(self.id, 200)}" if self.kind == "dataset" else plain(self.id, 200)

    @property
    def folder(self) -> Path:
        """Where the Hub's cache keeps it."""
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.id.replace('/', '--')}"


@dataclass(frozen=True)
class RepositoryListing:
    """A commit, and the names of its files."""

    commit: str
    names: frozenset[str]


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit, whose files never change."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def listing(repository: Repository, revision: str | None) -> RepositoryListing:
    """The commit that a revision (default: the main branch) of a model means, and its files' names. Raises HubError."""
    from huggingface_hub import HfApi

    def ask() -> RepositoryListing:
        facts = HfApi().model_info(repository.id, revision=revision, timeout=patience())
        if not is_commit(facts.sha):
            raise HubError(f"the Hub names no commit for {repository} at {plain(revision or 'main')}")
        found = RepositoryListing(str(facts.sha), frozenset(sibling.rfilename for sibling in facts.siblings or ()))
        remember(repository, found.commit, {"names": sorted(found.names)}, revision)
        return found

    def known(commit: str) -> RepositoryListing | None:
        names = remembered(repository, commit).get("names")
        return RepositoryListing(commit, frozenset(map(str, names))) if isinstance(names, list) else None

    return looked_up(repository, revision, ask, known, lambda commit: known(commit) or _snapshot(repository, commit))


def looked_up(
    repository: Repository,
    revision: str | None,
    ask: Callable[[], Found],
    known: Callable[[str], Found | None],
    cached: Callable[[str], Found | None],
) -> Found:
    """What a revision holds: of a known commit without asking, otherwise what the Hub says.

    Args:
        ask: asks the Hub, and remembers what it says.
        known: what the Hub said of a commit; None where it was not asked.
        cached: the same as far as the cache can tell, for when the Hub gives no answer.

    Raises HubError.
    """
    if revision is not None and is_commit(revision) and (found := known(revision)) is not None:
        return found
    try:
        with in_words(repository, revision):
            found = ask()
        _ANSWERING.add(repository)
        return found
    except UnavailableError as error:
        commit = last_commit(repository, revision)
        found = cached(commit) if commit is not None else None
        if found is None:
            raise
        if not is_commit(revision):
            _tell(
                f"{why(error.__cause__ or error)}: {repository} is read from the local Hub cache, at commit {commit}, "
                f"which {shown(revision or 'main')} meant when it was last asked for"
            )
        return found


def cached(repository: Repository, commit: str, name: str) -> Path | None:
    """Where a file of a commit lies in the Hub's cache, if it does."""
    from huggingface_hub import try_to_load_from_cache

    with in_words(repository, commit):
        found = try_to_load_from_cache(repository.id, name, revision=commit, repo_type=repository.kind)
    return Path(found) if isinstance(found, str) else None


def download(repository: Repository, commit: str, name: str) -> Path:
    """A file of a commit, fetched unless it is in the Hub's cache."""
    from huggingface_hub import hf_hub_download

    if known := cached(repository, commit, name):
        return known
    with in_words(repository, commit):
        reach(repository, commit)
        return Path(hf_hub_download(repository.id, name, revision=commit, repo_type=repository.kind))


def reach(repository: Repository, commit: str) -> None:
    """Ask the Hub for a commit, once in a process: clients would ask a silent Hub for each file, again and again.

    Raises HubError, so where the Hub gives no answer, at once and not after half a minute aloud.
    """
    from huggingface_hub import HfApi

    with in_words(repository, commit):
        if repository not in _ANSWERING:
            HfApi().repo_info(repository.id, revision=commit, repo_type=repository.kind, timeout=patience())
            _ANSWERING.add(repository)


def patience() -> float:
    """Seconds for which the Hub may keep silent."""
    from huggingface_hub import constants

    return float(constants.HF_HUB_ETAG_TIMEOUT)


def remember(repository: Repository, commit: str, content: dict[str, Any], revision: str | None = None) -> None:
    """Keep what the Hub said of a commit, and that a branch or tag means it.

    A cache that cannot be written is no reason to stop.
    """
    try:
        write_json(_record(repository, commit), content)
        if not is_commit(revision):
            write_json(_branch(repository, revision), {"commit": commit})
    except OSError:
        pass


def remembered(repository: Repository, commit: str) -> dict[str, Any]:
    """What the Hub said of a commit; empty where it was not asked."""
    return _read(_record(repository, commit))


def last_commit(repository: Repository, revision: str | None) -> str | None:
    """The commit that a branch or tag meant when the Hub was last asked; of a commit itself."""
    if is_commit(revision):
        return revision
    commit = _read(_branch(repository, revision)).get("commit")
    if commit is None:
        # Where others than this package have fetched it, the client notes the commit here.
        try:
            commit = (repository.folder / "refs" / (revision or "main")).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    return commit if isinstance(commit, str) and is_commit(commit) else None


def _record(repository: Repository, commit: str) -> Path:
    return repository.folder / "listings" / f"{commit}.json"


def _branch(repository: Repository, revision: str | None) -> Path:
    return repository.folder / "listings" / f"{(revision or 'main').replace('/', '--')}.branch.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path, _LARGEST_LISTING)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _snapshot(repository: Repository, commit: str) -> RepositoryListing | None:
    """The files of a commit that are in the cache, which need not be all."""
    root = repository.folder / "snapshots" / commit
    names = frozenset(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return RepositoryListing(commit, names) if names else None


@lru_cache(maxsize=256)
def _tell(text: str) -> None:
    """A line on stderr, once in a process."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def in_words(repository: Repository, revision: str | None) -> Iterator[None]:
    """Turn whatever the Hub's client raises into a HubError. What goes wrong with files of this machine passes."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = plain(revision or "main")
    try:
        yield
    except HubError:
        raise
    except HFValidationError as error:
        raise HubError(_no_id(repository)) from error
    except GatedRepoError as error:
        raise HubError(
            f"{repository} is gated: accept its conditions on its Hub page, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise HubError(_not_found(repository)) from error
    except RevisionNotFoundError as error:
        raise HubError(
            f"{repository} has no revision {shown(revision)} on the Hub: give a branch, a tag or a commit"
        ) from error
    except LocalEntryNotFoundError as error:
        cause = error.__cause__
        raise _answered(repository, revision, cause if isinstance(cause, HfHubHTTPError) else error) from error
    except EntryNotFoundError as error:
        raise HubError(f"{repository} at {name} lacks a file that it lists") from error
    except OSError as error:
        # The clients' transport errors share no base: requests' are OSErrors without a number, httpx's are not.
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise _answered(repository, revision, error) from error
    except Exception as error:
        raise _answered(repository, revision, error) from error


def _answered(repository: Repository, revision: str | None, error: BaseException) -> HubError:
    """What to raise for an HTTP status, or for no answer."""
    status = _status(error)
    if status in (401, 403):
        return HubError(
            f"the Hub refuses your login for {repository} ({status}): renew it with `hf auth login`, or check HF_TOKEN;"
            " who publishes needs a token that may write"
        )
    if status in _REFUSED:
        return HubError(f"the Hub does not take the change of {repository} ({status}): {_REFUSED[status]}")
    if status is not None and status < 500 and status not in _BUSY:
        return HubError(f"the Hub does not give {repository} (HTTP status {status})")
    return UnavailableError(_unavailable(repository, revision, why(error)))


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def why(error: BaseException) -> str:
    """Why the Hub gives no answer, as a clause."""
    from huggingface_hub import constants

    status = _status(error) or _status(error.__cause__ or error)
    if status is not None:
        asked = " after too many requests" if status == 429 else ""
        return f"the Hub gives no answer now (HTTP status {status}{asked})"
    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the Hub cannot be reached"


def _unavailable(repository: Repository, revision: str | None, why: str) -> str:
    if revision is not None and is_commit(revision):
        return f"{repository} at {revision[:12]} is not whole in the local Hub cache, and {why}"
    here = "" if repository.kind == "dataset" else f"there is no directory {shown(repository.id)} here, "
    known = _commits(repository)
    if known:
        more = ", …" if len(known) > _SHOWN else ""
        cure = f"name a commit that is in the cache with {repository.pin}: {', '.join(known[:_SHOWN])}{more}"
    else:
        cure = f"once it is downloaded, a commit that is pinned with {repository.pin} needs no network"
    what = f"{plain(revision or 'main')!r} of {repository}"
    return f"{here}which commit {what} means is not known from the local Hub cache, and {why}: {cure}"


def _commits(repository: Repository) -> list[str]:
    """The commits of which files are in the cache, the latest first."""
    try:
        found = [path for path in (repository.folder / "snapshots").iterdir() if is_commit(path.name)]
        return [path.name for path in sorted(found, key=lambda path: -path.stat().st_mtime_ns)]
    except (OSError, ValueError):
        return []


def _no_id(repository: Repository) -> str:
    if repository.kind == "dataset":
        return f"{shown(repository.id)} is no Hub id such as 'name/dataset'"
    return f"{shown(repository.id)} is neither a directory here nor a Hub id such as 'name/model'"


def _not_found(repository: Repository) -> str:
    if repository.kind == "dataset":
        return (
            f"there is no dataset {shown(repository.id)} on the Hub that you may see: check the name; if it is "
            "private, log in with `hf auth login`"
        )
    return (
        f"there is neither a directory {shown(repository.id)} here nor a model of that name on the Hub that you may "
        "see: check the name; if the model is private, log in with `hf auth login`"
    )
