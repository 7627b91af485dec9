"""What `adapterx publish` does with a session's repositories, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adapterx.errors import AdapterxError
from adapterx.publish.hub import grid
from adapterx.publish.hub.bases import CARD
from adapterx.publish.hub.client import Remote
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.folder import Existing
from adapterx.publish.hub.index import Listed
from adapterx.publish.hub.journal import Journal
from adapterx.publish.hub.plans import PlannedRepository
from adapterx.publish.hub.session import Session
from adapterx.publish.hub.uploaded_base import with_base
from adapterx.publish.hub.uploading import Uploading, differing, files, verified


@dataclass(frozen=True)
class ToldLine:
    """One line for the user."""

    text: str
    failed: bool = False


def act(session: Session, action: str) -> Iterator[ToldLine]:
    """Do one of `ACTIONS`; a line for each repository, as it is done."""
    return ACTIONS[action](session)


def _each(session: Session, do: Callable[[PlannedRepository], str]) -> Iterator[ToldLine]:
    """A line for each repository. What is wrong with one of several does not keep the others from being done."""
    for planned in session.planned:
        try:
            yield ToldLine(do(planned))
        except AdapterxError as error:
            if len(session.planned) == 1:
                raise
            yield ToldLine(f"{planned.id}: {error}", failed=True)


def dry_run(session: Session) -> Iterator[ToldLine]:
    """Write every folder, exactly as it would be uploaded, and have its library answer with it."""
    session, lines = with_base(session, upload=False)
    yield from map(ToldLine, lines)

    def do(planned: PlannedRepository) -> str:
        publication = session.maker.publication(planned)
        out = session.folder(planned)
        session.maker.write(publication, out)
        checked = session.maker.check(publication, out, offline=True)
        return f"{out}: would be {planned.id}; {checked}"

    yield from _each(session, do)


def upload(session: Session) -> Iterator[ToldLine]:
    """Publish every repository, then the collection and the index of a run."""
    with session.locked():
        session, lines = with_base(session, upload=True)
        yield from map(ToldLine, lines)
        journal = Journal.of(session.folders)
        uploading = Uploading(
            session.maker, journal, private=session.settings.private, propose=session.settings.pull_request
        )
        listed: list[Listed] = []

        def do(planned: PlannedRepository) -> str:
            publication, sent = uploading.upload(planned, session.folder(planned))
            listed.append(Listed.of(publication))
            where = sent.pull_request or f"at {sent.commit[:12]}"
            return f"{planned.id}: {sent.how} {where}"

        yield from _each(session, do)
        if session.whole_run and listed:
            yield ToldLine(grid.gather(session, journal, listed))


def cards_only(session: Session) -> Iterator[ToldLine]:
    """Update cards and scores of what is up."""
    with session.locked():
        session, _ = with_base(session, upload=False)
        journal = Journal.of(session.folders)
        uploading = Uploading(
            session.maker, journal, private=session.settings.private, propose=session.settings.pull_request
        )

        def do(planned: PlannedRepository) -> str:
            sent = uploading.cards(planned, session.folder(planned))
            return f"{planned.id}: card {sent.how} {sent.pull_request or f'at {sent.commit[:12]}'}"

        yield from _each(session, do)


def status(session: Session) -> Iterator[ToldLine]:
    """Tell what is up, changed or missing."""
    session, _ = with_base(session, upload=False)
    journal = Journal.of(session.folders)

    def do(planned: PlannedRepository) -> str:
        head = Remote(planned.id).head()
        known = journal.entry(planned.id)
        if head is None:
            gone = " (it was there: it has been deleted or renamed)" if known.commit else ""
            return f"{planned.id}: missing{gone}"
        publication = session.maker.publication(planned)
        out = session.folder(planned)
        card = Existing(Remote(planned.id).text(CARD, head.commit)) if CARD in head.files else None
        session.maker.write(publication, out, card)
        changed = differing(out, head)
        others = [name for name in head.files if name not in files(out) and name != ".gitattributes"]
        told = f"up at {head.commit[:12]}"
        if changed:
            told = f"changed: {len(changed)} of {len(files(out))} files differ ({', '.join(changed[:3])})"
        more = f"; {len(others)} files of others" if others else ""
        waiting = f"; proposed in {known.pull_request}" if known.pull_request and changed else ""
        return f"{planned.id}: {told}{more}{waiting}"

    return _each(session, do)


def verify(session: Session) -> Iterator[ToldLine]:
    """Download what is up, compare it, and have its library answer with it."""
    session, _ = with_base(session, upload=False)
    return _each(session, lambda planned: verified(planned, session.maker, session.folder(planned)))


def delete(session: Session) -> Iterator[ToldLine]:
    """Delete the session's repositories, of those alone that the journal says were published from here."""
    with session.locked():
        journal = Journal.of(session.folders)
        ids = [planned.id for planned in session.planned if planned.id in journal.entries]
        ids += [one for one in grid.beside(session) if one in journal.entries]
        if not ids:
            raise PublishError(f"{journal.path} knows none of these repositories, and no others are ever deleted")
        for id in ids:
            there = Remote(id).delete()
            journal.forget(id)
            yield ToldLine(f"{id}: {'deleted' if there else 'was not there any more'}")


ACTIONS: Mapping[str, Callable[[Session], Iterator[ToldLine]]] = {
    "upload": upload,
    "dry_run": dry_run,
    "status": status,
    "verify": verify,
    "cards_only": cards_only,
    "delete": delete,
}
