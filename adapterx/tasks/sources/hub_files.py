"""Files of datasets on the Hub: which commit a revision means, what it holds, and the files themselves.

What a commit lists is kept beside its files in the Hub's own cache, so that a plan asks the network once. Only parquet
files are fetched: no code, no pickles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adapterx.store.atomic import write_json
from adapterx.store.identity import JSON
from adapterx.tasks.sources.errors import DataError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAIL = 1 << 16  # bytes of a file that hold its metadata, nearly always
_ENDING = 8  # the length of the metadata and a magic number, at the very end


class HubError(DataError):
    """What the Hub does not give, worded for the user."""


@dataclass(frozen=True)
class Blob:
    """A file of a commit."""

    id: str
    """Names its content: SHA-256 of a large file, else git's own name."""
    size: int


@dataclass(eq=False)
class Listing:
    """The parquet files of a commit, by path."""

    dataset: str
    commit: str
    files: Mapping[str, Blob]
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of the files that were counted before."""


@lru_cache(maxsize=256)
def listing(dataset: str, revision: str) -> Listing:
    """What a revision holds: asked of the Hub once in a process, and never again for a commit.

    Where the Hub cannot be reached, a branch means the commit that it meant when last asked. Raises HubError.
    """
    if _COMMIT.fullmatch(revision):
        return _remembered(dataset, revision) or _look_up(dataset, revision)
    try:
        return _look_up(dataset, revision)
    except _UnreachableError:
        known = _remembered(dataset, revision)
        if known is None:
            raise
        return known


def remembered(dataset: str, revision: str) -> Listing | None:
    """The same, if it is known without the network."""
    return _remembered(dataset, revision)


def cached(dataset: str, commit: str, path: str) -> Path | None:
    """Where a file lies in the Hub's cache, if it does."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(dataset, path, revision=commit, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def download(dataset: str, commit: str, path: str) -> Path:
    """A file of a commit, fetched unless it is in the Hub's cache."""
    from huggingface_hub import hf_hub_download

    if known := cached(dataset, commit, path):
        return known
    with _in_words(dataset, commit):
        return Path(hf_hub_download(dataset, path, revision=commit, repo_type="dataset"))


def count(found: Listing, path: str) -> int:
    """Rows of a parquet file, by its metadata: of the file here, or of its last bytes on the Hub."""
    if path not in found.rows:
        here = cached(found.dataset, found.commit, path)
        found.rows[path] = _rows(here, path) if here else _rows(_tail(found, path), f"{found.dataset}: {path}")
        _remember(found)
    return found.rows[path]


def _rows(source: Any, name: str) -> int:
    import pyarrow
    import pyarrow.parquet

    try:
        reader = source if isinstance(source, Path) else pyarrow.BufferReader(source)
        return int(pyarrow.parquet.read_metadata(reader).num_rows)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{name}: is not a parquet file ({error})") from None


def _tail(found: Listing, path: str) -> bytes:
    """The end of a file that holds its metadata (Apache Parquet, File Format: footer, its length, magic number)."""
    size = found.files[path].size
    end = _range(found, path, max(0, size - _TAIL))
    needed = int.from_bytes(end[-_ENDING:-4], "little") + _ENDING
    return end if needed <= len(end) or len(end) == size else _range(found, path, max(0, size - needed))


def _range(found: Listing, path: str, start: int) -> bytes:
    from huggingface_hub import hf_hub_url

    # Public, but its package does not say so to type checkers.
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(found.dataset, path, revision=found.commit, repo_type="dataset")
    with _in_words(found.dataset, found.commit):
        headers = {**build_hf_headers(), "Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        response = get_session().get(url, headers=headers, timeout=60)
        hf_raise_for_status(response)
        return response.content


def _look_up(dataset: str, revision: str) -> Listing:
    from huggingface_hub import HfApi

    with _in_words(dataset, revision):
        facts = HfApi().dataset_info(dataset, revision=revision, files_metadata=True)
    if facts.sha is None:
        raise HubError(f"the Hub names no commit for the dataset {dataset} at {revision}")
    files = {
        one.rfilename: Blob(one.lfs.sha256 if one.lfs else str(one.blob_id), one.size or 0)
        for one in facts.siblings or ()
        if one.rfilename.endswith(".parquet")
    }
    before = _remembered(dataset, facts.sha)
    found = Listing(dataset, facts.sha, files, before.rows if before else {})
    _remember(found, revision)
    return found


def _directory(dataset: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"datasets--{dataset.replace('/', '--')}" / "listings"


def _remember(found: Listing, revision: str | None = None) -> None:
    """Keep a listing. A cache that cannot be written is no reason to stop."""
    files = {path: [blob.id, blob.size] for path, blob in found.files.items()}
    directory = _directory(found.dataset)
    try:
        write_json(directory / f"{found.commit}.json", cast(JSON, {"files": files, "rows": found.rows}))
        if revision and not _COMMIT.fullmatch(revision):
            write_json(directory / f"{revision.replace('/', '--')}.branch.json", {"commit": found.commit})
    except OSError:
        pass


def _remembered(dataset: str, revision: str) -> Listing | None:
    directory = _directory(dataset)
    try:
        commit = revision
        if not _COMMIT.fullmatch(revision):
            branch = directory / f"{revision.replace('/', '--')}.branch.json"
            commit = str(json.loads(branch.read_text(encoding="utf-8"))["commit"])
        known = json.loads((directory / f"{commit}.json").read_text(encoding="utf-8"))
        files = {path: Blob(str(id), int(size)) for path, (id, size) in known["files"].items()}
        return Listing(dataset, commit, files, {path: int(rows) for path, rows in known["rows"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class _UnreachableError(HubError):
    """No answer at all."""


@contextmanager
def _in_words(dataset: str, revision: str) -> Iterator[None]:
    """Turn whatever the Hub's client raises into a HubError."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HubError:
        raise
    except HFValidationError as error:
        raise HubError(f"{dataset!r} is no Hub id such as 'name/dataset'") from error
    except GatedRepoError as error:
        raise HubError(
            f"the dataset {dataset} is gated: accept its conditions on its Hub page, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"there is no dataset {dataset!r} on the Hub that you may see: check the name; if it is private, log in"
            " with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(
            f"the dataset {dataset} has no revision {revision!r} on the Hub: give a branch, a tag or a commit"
        ) from error
    except LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise HubError(_answered(error.__cause__, dataset)) from error
        raise _UnreachableError(_unreachable(dataset, revision)) from error
    except EntryNotFoundError as error:
        raise HubError(f"the dataset {dataset} at {revision[:12]} lacks a file that it lists") from error
    except HfHubHTTPError as error:
        raise HubError(_answered(error, dataset)) from error
    # The clients' transport errors share no base: requests' are OSErrors, httpx's are not.
    except Exception as error:
        raise _UnreachableError(_unreachable(dataset, revision)) from error


def _answered(error: HfHubHTTPError, dataset: str) -> str:
    """An HTTP status in words."""
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return f"the Hub refuses your login for {dataset} ({status}): renew it with `hf auth login`, or check HF_TOKEN"
    return f"the Hub does not give the dataset {dataset} now (HTTP status {status}): try again later"


def _unreachable(dataset: str, revision: str) -> str:
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
    return f"the dataset {dataset} at {revision[:20]} is not whole in the local Hub cache, and {why}"
