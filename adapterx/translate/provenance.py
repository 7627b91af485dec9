"""What `provenance.json` says of the engine and of what was asked for."""

from __future__ import annotations

from adapterx.store import JSON
from adapterx.translate.engines.base import Engine
from adapterx.translate.request import Request


def engine(request: Request, used: Engine) -> dict[str, JSON]:
    """The engine: what decides its translations in each direction, and the versions of its libraries."""
    directions: dict[str, JSON] = {str(one): dict(used.identity(one.source, one.target)) for one in request.directions}
    return {"name": used.name, "directions": directions, "versions": dict(used.versions())}


def arguments(request: Request, used: Engine) -> dict[str, JSON]:
    """The options of the command line that decide what is written."""
    limit = request.limit
    return {
        "to": list(request.targets),
        "from": request.language,
        "via": request.via,
        "split": list(request.splits),
        "limit": None if limit is None else {"items": limit.items, "sample": limit.sample},
        "batch": request.batch,
        "same_items": request.same_items,
        "markers": [list(pair) for pair in used.markers] if request.spec.kind.passages else None,
    }


def in_words(request: Request, used: Engine) -> str:
    """The engine with the model or file it works by, for a description."""
    first = request.directions[0]
    identity = used.identity(first.source, first.target)
    what = identity.get("model") or identity.get("file")
    return f"{used.name} ({what})" if isinstance(what, str) else used.name
