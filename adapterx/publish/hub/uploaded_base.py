"""The embedded backbone on its way to the Hub, before the adapters that name it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapterx.backbones import embedded
from adapterx.backbones.spec import Backbone
from adapterx.hub import HubError
from adapterx.publish.hub import base_folder, plans
from adapterx.publish.hub.bases import PublicBase
from adapterx.publish.hub.client import Remote
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.journal import Journal
from adapterx.publish.hub.making import RunMaker, rewrite
from adapterx.publish.hub.session import Session
from adapterx.publish.hub.uploading import differing, digest, files
from adapterx.results.run_file import BackboneSize

UNKNOWN = "main"
"""The revision of a base model that is not up yet."""


def with_base(session: Session, *, upload: bool) -> tuple[Session, list[str]]:
    """The session with the base model that its adapters name, and lines that tell of it.

    A dry run names the commit that is up where that holds the same files, otherwise the main branch.

    Args:
        upload: whether the base model is uploaded now.

    Raises PublishError where the run has not the embedded backbone alone, and HubError.
    """
    wanted, maker = session.upload_base, session.maker
    if wanted is None:
        return session, []
    if not isinstance(maker, RunMaker):
        raise PublishError("--upload-base is for cells of a run: a directory names its base model with --base-model")
    size = _the_only(session, maker)
    id = plans.check_id(wanted)
    out = session.folders / id.rpartition("/")[2]
    backbone = Backbone(model=size.model)
    rewrite(out, lambda new: base_folder.write(new, backbone, id))
    remote, lines = Remote(id), []
    if upload:
        message = f"{size.model} by adapterx ({digest(out)[:12]})"
        sent = remote.send(out, files(out), message, private=session.settings.private)
        journal = Journal.of(session.folders)
        journal.note(id, uploaded=digest(out), commit=sent.commit, files=tuple(files(out)))
        revision = sent.commit
        lines.append(f"{id}: base model, {sent.how} at {sent.commit[:12]}")
    else:
        revision = _up(remote, out) or UNKNOWN
        lines.append(f"{out}: would be {id}, the base model")
    base = PublicBase(id, revision, embedded.LICENCE, embedded.ORIGIN)
    made = replace(maker, uploaded={size.name: base}, copies={size.name: out})
    return replace(session, maker=made), lines


def _the_only(session: Session, maker: RunMaker) -> BackboneSize:
    names = sorted({one.cell.backbone for planned in session.planned for one in planned.cells})
    if len(names) > 1:
        raise PublishError(
            f"--upload-base is for cells of one backbone, and these have {', '.join(names)}: publish them one after"
            " another, each with `publish.cells` or by a cell's name"
        )
    return maker.run.backbones[names[0]]


def _up(remote: Remote, out: Path) -> str:
    """The commit that holds a folder's files; empty where none does, or nobody can be asked."""
    try:
        head = remote.head()
    except HubError:
        return ""
    return head.commit if head is not None and not differing(out, head) else ""
