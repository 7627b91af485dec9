"""What `adapterx publish` does with a session's repositories, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adapterx.errors import AdapterxError
from adapterx.publish.hub.session import Session


@dataclass(frozen=True)
class Line:
    """One line for the user."""

    text: str
    failed: bool = False


def act(session: Session, action: str) -> Iterator[Line]:
    """Do one of `ACTIONS`; a line for each repository, as it is done."""
    return ACTIONS[action](session)


def dry_run(session: Session) -> Iterator[Line]:
    """Write every folder, exactly as it would be uploaded, and have its library answer with it."""
    for planned in session.planned:
        try:
            publication = session.maker.publication(planned)
            out = session.folder(planned)
            session.maker.write(publication, out)
            checked = session.maker.check(publication, out, offline=True)
        except AdapterxError as error:
            if len(session.planned) == 1:
                raise
            yield Line(f"{planned.id}: {error}", failed=True)
            continue
        yield Line(f"{out}: would be {planned.id}; {checked}")


ACTIONS: Mapping[str, Callable[[Session], Iterator[Line]]] = {"dry_run": dry_run}
