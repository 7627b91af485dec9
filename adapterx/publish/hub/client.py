"""The Hub as publishing uses it: one repository at a time, what it holds, and one commit to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from adapterx import hub
from adapterx.hub import HubError, Repository
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.waiting import patiently, status

_TRIES = 4
"""Times that a commit is made anew because somebody else's came first."""
Found = TypeVar("Found")


def user() -> str | None:
    """Who is logged in; None where nobody is, or the Hub gives no answer."""
    from huggingface_hub import HfApi, get_token

    if not get_token():
        return None
    try:
        with hub.in_words(Repository("your account"), None):
            return str(HfApi().whoami()["name"])
    except HubError:
        return None


@dataclass(frozen=True)
class StoredFile:
    """A file of a repository, by the hash of its content."""

    blob: str
    """Git's SHA-1."""
    sha256: str | None
    """Of a file that is stored apart from git."""

    def is_of(self, content: bytes) -> bool:
        """Whether this is the content."""
        if self.sha256 is not None:
            return self.sha256 == hashlib.sha256(content).hexdigest()
        return self.blob == git_blob(content)


def git_blob(content: bytes) -> str:
    """Git's name of a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class RemoteHead:
    """What the main branch of a repository holds."""

    commit: str
    files: Mapping[str, StoredFile]


@dataclass(frozen=True)
class Committed:
    """What became of an upload."""

    commit: str
    how: Literal["new", "changed", "unchanged", "proposed"]
    pull_request: str = ""
    """Its address, where it was proposed."""


@dataclass(frozen=True)
class Remote:
    """A repository of a model on the Hub."""

    id: str

    @property
    def repository(self) -> Repository:
        """It in messages."""
        return Repository(self.id, pin="REPO@COMMIT")

    def head(self) -> RemoteHead | None:
        """What it holds now; None where there is no such repository. Raises HubError."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError

        def ask() -> RemoteHead | None:
            try:
                facts = HfApi().model_info(self.id, files_metadata=True, timeout=hub.patience())
            except RepositoryNotFoundError:
                return None
            files = {one.rfilename: StoredFile(one.blob_id or "", _sha256(one)) for one in facts.siblings or ()}
            return RemoteHead(str(facts.sha), files)

        return self._asked(ask)

    def create(self, *, private: bool) -> None:
        """Make it, unless it is there. Raises HubError."""
        from huggingface_hub import HfApi

        if not self._asked(lambda: HfApi().repo_exists(self.id)):
            self._asked(lambda: HfApi().create_repo(self.id, private=private, exist_ok=True))

    def text(self, name: str, commit: str) -> str:
        """A text file of a commit. Raises HubError."""
        path = self._asked(lambda: hub.download(self.repository, commit, name))
        return path.read_text(encoding="utf-8")

    def download(self, commit: str, into: Path) -> None:
        """All files of a commit. Raises HubError."""
        from huggingface_hub import snapshot_download

        self._asked(lambda: snapshot_download(self.id, revision=commit, local_dir=into))

    def send(
        self,
        folder: Path,
        names: Iterable[str],
        message: str,
        *,
        gone: Iterable[str] = (),
        private: bool = False,
        propose: bool = False,
        renewed: Callable[[RemoteHead], None] | None = None,
    ) -> Committed:
        """Make one commit of the files that differ, upon the commit that was looked at; none where nothing differs.

        Whatever is interrupted or refused for the moment is tried again, after looking at what is there by then: so
        nothing is committed twice.

        Args:
            names: of the folder's files.
            gone: files of an earlier upload that are no more.
            private: of a repository that is made.
            propose: whether a pull request is opened instead.
            renewed: hears what the repository holds where it has changed, before the folder's files are compared again.

        Raises HubError, and PublishError where others commit faster.
        """
        wanted, stale = list(names), list(gone)
        before = self.head()
        if before is None:
            self.create(private=private)
        for _ in range(_TRIES):
            found = self._asked(
                lambda: self._once(folder, wanted, stale, message, propose=propose, fresh=before is None)
            )
            if found is not None:
                return found
            head = self.head()
            if renewed is not None and head is not None:
                renewed(head)
        raise PublishError(f"others commit to {self.id} all the time: try again later")

    def _once(
        self, folder: Path, names: list[str], gone: list[str], message: str, *, propose: bool, fresh: bool
    ) -> Committed | None:
        """One try; None where another commit has come first."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        head = self.head()
        files = {} if head is None else head.files
        changed = [one for one in names if one not in files or not files[one].is_of((folder / one).read_bytes())]
        removed = [one for one in gone if one in files]
        if not changed and not removed:
            return Committed("" if head is None else head.commit, "unchanged")
        if propose and (known := self._proposed(message)):
            return Committed("" if head is None else head.commit, "proposed", known)
        operations: list[Any] = [CommitOperationAdd(one, folder / one) for one in changed]
        operations += [CommitOperationDelete(one) for one in removed]
        try:
            made = HfApi().create_commit(
                self.id,
                operations,
                commit_message=message,
                parent_commit=None if head is None else head.commit,
                create_pr=propose,
            )
        except Exception as error:
            if status(error) == 412:
                return None
            raise
        if propose:
            return Committed(made.oid, "proposed", made.pr_url or "")
        return Committed(made.oid, "new" if fresh else "changed")

    def _proposed(self, message: str) -> str:
        """The address of an open pull request of this title; empty where there is none."""
        from huggingface_hub import HfApi

        for one in HfApi().get_repo_discussions(self.id, discussion_type="pull_request", discussion_status="open"):
            if one.title == message:
                return one.url
        return ""

    def delete(self) -> bool:
        """Delete it; whether it was there. Raises HubError."""
        from huggingface_hub import HfApi

        there: bool = self._asked(lambda: HfApi().repo_exists(self.id))
        if there:
            self._asked(lambda: HfApi().delete_repo(self.id, missing_ok=True))
        return there

    def _asked(self, call: Callable[[], Found]) -> Found:
        return patiently(self.repository, call)


def _sha256(sibling: Any) -> str | None:
    lfs = sibling.lfs
    if lfs is None:
        return None
    return str(lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256)


def collection(namespace: str, title: str, description: str, ids: Iterable[str], *, private: bool) -> str:
    """The slug of the collection of this title, which has these repositories, each once. Raises HubError."""
    from huggingface_hub import HfApi

    of = Repository(f"the collection '{title}'")
    api = HfApi()
    made = patiently(
        of,
        lambda: api.create_collection(
            title, namespace=namespace, description=description[:150], private=private, exists_ok=True
        ),
    )
    there = {item.item_id for item in made.items}
    for id in ids:
        if id not in there:
            patiently(of, lambda id=id: api.add_collection_item(made.slug, id, "model", exists_ok=True))  # type: ignore[misc]
    return str(made.slug)
