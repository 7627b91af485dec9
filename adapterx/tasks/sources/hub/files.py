"""Files of datasets on the Hub: which commit a revision means, what it holds, and the files themselves.

What a commit lists is kept beside its files in the Hub's own cache, so that a plan asks the network once. Only files
that hold rows are fetched: no code, no pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from adapterx import hub
from adapterx.hub import HubError, Repository
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.hub.formats import TextFormat, ending

PIN = "`revision: COMMIT` in the task's source"
"""How a user names a commit, for messages."""
_SMALL = 1 << 22
"""Bytes up to which a text file is fetched to be counted; all its rows have to be read for it."""
_TAIL = 1 << 16  # bytes of a file that hold its metadata, nearly always
_ENDING = 8  # the length of the metadata and a magic number, at the very end


@dataclass(frozen=True)
class Blob:
    """A file of a commit."""

    id: str
    """Names its content: SHA-256 of a large file, else git's own name."""
    size: int


@dataclass(eq=False)
class Listing:
    """The files of a commit, by path."""

    dataset: str
    commit: str
    files: Mapping[str, Blob]
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of the files that were counted before; of text files by how they are read, too."""
    whole: bool = True
    """Whether these are all files: earlier versions noted parquet alone."""

    @cached_property
    def endings(self) -> frozenset[str]:
        """The ends of the names of files that can be read."""
        return frozenset(map(ending, self.files)) - {""}


@lru_cache(maxsize=256)
def listing(dataset: str, revision: str) -> Listing:
    """What a revision holds: asked of the Hub once in a process, and never again for a commit.

    Where the Hub gives no answer, a branch means the commit that it meant when last asked. Raises HubError.
    """

    def cached(commit: str) -> Listing | None:
        return _remembered(dataset, commit)

    def known(commit: str) -> Listing | None:
        return found if (found := cached(commit)) is not None and found.whole else None

    return hub.looked_up(_repository(dataset), revision, lambda: _ask(dataset, revision), known, cached)


def remembered(dataset: str, revision: str) -> Listing | None:
    """The same, if it is known without the network."""
    commit = hub.last_commit(_repository(dataset), revision)
    return None if commit is None else _remembered(dataset, commit)


def cached(dataset: str, commit: str, path: str) -> Path | None:
    """Where a file lies in the Hub's cache, if it does."""
    return hub.cached(_repository(dataset), commit, path)


def download(dataset: str, commit: str, path: str) -> Path:
    """A file of a commit, fetched unless it is in the Hub's cache."""
    return hub.download(_repository(dataset), commit, path)


def count(found: Listing, path: str) -> int:
    """Rows of a parquet file, by its metadata: of the file here, or of its last bytes on the Hub."""
    if path not in found.rows:
        here = cached(found.dataset, found.commit, path)
        found.rows[path] = _rows(here, path) if here else _rows(_tail(found, path), f"{found.dataset}: {path}")
        _remember(found)
    return found.rows[path]


def count_text(found: Listing, path: str, format: TextFormat) -> int | None:
    """Rows of a text file that is here or small enough to be fetched for it; None of a large one elsewhere."""
    key = _key(path, format)
    if key not in found.rows:
        here = cached(found.dataset, found.commit, path)
        if here is None and found.files[path].size > _SMALL:
            return None
        here = here or download(found.dataset, found.commit, path)
        found.rows[key] = format.count(here, f"{found.dataset}: {path}")
        _remember(found)
    return found.rows[key]


def counted_here(found: Listing, path: str, format: TextFormat | None) -> bool:
    """Whether a file's rows can be counted without the network."""
    return _key(path, format) in found.rows or cached(found.dataset, found.commit, path) is not None


def _key(path: str, format: TextFormat | None) -> str:
    """Under which a file's rows are noted."""
    return path if format is None else f"{path} as {format.name}"


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
    with hub.in_words(_repository(found.dataset), found.commit):
        headers = {**build_hf_headers(), "Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        response = get_session().get(url, headers=headers, timeout=hub.patience())
        hf_raise_for_status(response)
        return response.content


def _ask(dataset: str, revision: str) -> Listing:
    from huggingface_hub import HfApi

    facts = HfApi().dataset_info(dataset, revision=revision, files_metadata=True, timeout=hub.patience())
    if not hub.is_commit(facts.sha):
        raise HubError(f"the Hub names no commit for the dataset {dataset} at {revision}")
    files = {
        one.rfilename: Blob(one.lfs.sha256 if one.lfs else str(one.blob_id), one.size or 0)
        for one in facts.siblings or ()
    }
    commit = str(facts.sha)
    before = _remembered(dataset, commit)
    found = Listing(dataset, commit, files, before.rows if before else {})
    _remember(found, revision)
    return found


def _remember(found: Listing, revision: str | None = None) -> None:
    files = {path: [blob.id, blob.size] for path, blob in found.files.items()}
    content = {"files": files, "rows": found.rows, **({"whole": True} if found.whole else {})}
    hub.remember(_repository(found.dataset), found.commit, content, revision or found.commit)


def _remembered(dataset: str, commit: str) -> Listing | None:
    known = hub.remembered(_repository(dataset), commit)
    try:
        files = {path: Blob(str(id), int(size)) for path, (id, size) in known["files"].items()}
        rows = {path: int(rows) for path, rows in known["rows"].items()}
        return Listing(dataset, commit, files, rows, known.get("whole") is True)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _repository(dataset: str) -> Repository:
    return Repository(dataset, "dataset", PIN)
