"""One repository from this machine to the Hub: folder, check, commit, journal."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from adapterx.publish.hub import card, evaluations, folder
from adapterx.publish.hub.bases import CARD
from adapterx.publish.hub.client import Committed, Remote, RemoteHead
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.folder import Existing
from adapterx.publish.hub.journal import Journal
from adapterx.publish.hub.making import Maker
from adapterx.publish.hub.plans import PlannedRepository
from adapterx.publish.hub.publication import Publication

_TOLD = (CARD, folder.RECIPE, folder.RECORD)
"""Files beside the scores that tell of an adapter, and change nothing about what it computes."""


@dataclass(frozen=True)
class Uploading:
    """Sends the folders of one session."""

    maker: Maker
    journal: Journal
    private: bool
    propose: bool

    def upload(self, planned: PlannedRepository, out: Path) -> tuple[Publication, Committed]:
        """Make the folder, have its library answer with it, and commit what differs from what is up.

        Raises PublishError where the check fails, and then nothing is uploaded; HubError.
        """
        publication = self.maker.publication(planned)
        remote = Remote(planned.id)
        head = remote.head()
        self._write(publication, out, remote, head)
        if digest(out) != self.journal.entry(planned.id).checked:
            self.maker.check(publication, out, offline=False)
            self.journal.note(planned.id, checked=digest(out))
        sent = self._send(publication, out, remote, files(out))
        return publication, sent

    def cards(self, planned: PlannedRepository, out: Path) -> Committed:
        """Update the card and the scores of a repository that is up; no weights. Raises PublishError, HubError."""
        publication = self.maker.publication(planned)
        remote = Remote(planned.id)
        head = remote.head()
        if head is None:
            raise PublishError(f"{planned.id} is not on the Hub: publish it whole first")
        self._write(publication, out, remote, head)
        names = [one for one in files(out) if one in _TOLD or one.startswith((evaluations.FOLDER, "evaluation/"))]
        return self._send(publication, out, remote, names, whole=False)

    def _write(self, publication: Publication, out: Path, remote: Remote, head: RemoteHead | None) -> None:
        there = head is not None and CARD in head.files
        existing = Existing(remote.text(CARD, head.commit)) if head is not None and there else None
        self.maker.write(publication, out, existing)

    def _send(
        self, publication: Publication, out: Path, remote: Remote, names: list[str], *, whole: bool = True
    ) -> Committed:
        id = publication.repository
        known = self.journal.entry(id)
        gone = [one for one in known.files if one not in files(out)] if whole else []
        message = f"{publication.adapters.metadata.cell or id} by adapterx ({digest(out)[:12]})"

        def renewed(head: RemoteHead) -> None:
            # Somebody has edited the repository meanwhile: the card, perhaps.
            folder.write_card(
                out, publication, Existing(remote.text(CARD, head.commit)) if CARD in head.files else None
            )

        sent = remote.send(out, names, message, gone=gone, private=self.private, propose=self.propose, renewed=renewed)
        noted = {"stage": publication.stage, "commit": sent.commit, "pull_request": sent.pull_request}
        whole_now = {"uploaded": digest(out), "files": tuple(files(out))} if whole else {}
        self.journal.note(id, **noted, **whole_now)
        return sent


def files(out: Path) -> list[str]:
    """The names of a folder's files, with slashes, sorted."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def digest(out: Path) -> str:
    """A name for the content of a folder."""
    found = hashlib.sha256()
    for name in files(out):
        found.update(name.encode() + b"\0" + hashlib.sha256((out / name).read_bytes()).digest())
    return found.hexdigest()


def differing(out: Path, head: RemoteHead) -> list[str]:
    """The files of a folder that a repository lacks or holds otherwise."""
    return [
        name for name in files(out) if name not in head.files or not head.files[name].is_of((out / name).read_bytes())
    ]


def verified(planned: PlannedRepository, maker: Maker, out: Path) -> str:
    """Download what is up, compare it with a folder made now, and have its library answer; what was found.

    Raises PublishError where it is not there, or answers otherwise.
    """
    remote = Remote(planned.id)
    head = remote.head()
    if head is None:
        raise PublishError(f"{planned.id} is not on the Hub")
    publication = maker.publication(planned)
    maker.write(publication, out)
    changed = [one for one in differing(out, head) if one != card.NAME]
    with tempfile.TemporaryDirectory(prefix="adapterx-verify-") as scratch:
        downloaded = Path(scratch) / planned.name
        remote.download(head.commit, downloaded)
        checked = maker.check(publication, downloaded, offline=True)
    told = f"{len(changed)} files differ ({', '.join(changed[:3])})" if changed else "every file is the same"
    return f"{planned.id} at {head.commit[:12]}: {told}; {checked}"
