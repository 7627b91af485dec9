"""What holds the repositories of a run together: its index, and a collection."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.publish.hub import index, plans, privacy
from adapterx.publish.hub.bases import CARD
from adapterx.publish.hub.client import Remote, collection
from adapterx.publish.hub.index import Listed
from adapterx.publish.hub.journal import Journal
from adapterx.publish.hub.making import RunMaker, rewrite
from adapterx.publish.hub.session import Session
from adapterx.publish.hub.uploading import digest


def index_id(session: Session) -> str:
    """The id of the index's repository."""
    namespace = session.planned[0].id.partition("/")[0]
    return plans.check_id(f"{namespace}/{plans.named(f'{session.settings.prefix or session.name}-index')}")


def beside(session: Session) -> list[str]:
    """The repositories beside those of adapters."""
    return [index_id(session)] if session.whole_run else []


def gather(session: Session, journal: Journal, listed: Sequence[Listed]) -> str:
    """Publish the index, and put everything into the run's collection; a line that tells of it. Raises HubError.

    Whatever is there already stays as it is, so that this can be repeated.
    """
    maker = session.maker
    assert isinstance(maker, RunMaker)
    id = index_id(session)
    remote, out = Remote(id), session.folders / id.rpartition("/")[2]
    head = remote.head()
    existing = remote.text(CARD, head.commit) if head is not None and CARD in head.files else ""
    title = session.settings.prefix or session.name
    rewrite(out, lambda new: index.write(new, title, maker.run, maker.reported, listed, existing))
    privacy.check(out)
    sent = remote.send(
        out,
        [CARD],
        f"Index by adapterx ({digest(out)[:12]})",
        private=session.settings.private,
        propose=session.settings.pull_request,
    )
    journal.note(id, uploaded=digest(out), commit=sent.commit, pull_request=sent.pull_request, files=(CARD,))
    journal.collection = collection(
        id.partition("/")[0],
        title,
        maker.run.description or f"Adapters of the run {maker.run.name}, trained with adapterx",
        [id, *sorted(one.repository for one in listed)],
        private=session.settings.private,
    )
    journal.save()
    return f"{id}: {sent.how} at {sent.commit[:12]}; collection {journal.collection}"
