"""What programs read of a command: JSON on stdout, and of an error an envelope with its type."""

from __future__ import annotations

import argparse
import json
import sys

from adapterx.store.identity import JSON


def json_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help='for programs; errors too, as {"error": {…}}')


def tell(value: JSON) -> None:
    """Write a value to stdout, characters that its encoding lacks escaped."""
    from adapterx.cli import common

    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=common.is_narrow(), allow_nan=False) + "\n")


def error(caught: Exception, message: str) -> dict[str, JSON]:
    """An error as a value.

    Args:
        message: what a user is told of it.

    Returns:
        `type`, the name of its class, `Defect` for what nobody foresaw; `message`; `where`, the file that it is about;
        `hint`, what to do. The last two are null where nothing says them apart from the message.
    """
    from adapterx.errors import AdapterxError

    foreseen = isinstance(caught, AdapterxError | OSError | MemoryError)
    named = getattr(caught, "filename", None)
    where = getattr(caught, "where", None) or (None if named is None else str(named))
    told: dict[str, JSON] = {
        "type": type(caught).__name__ if foreseen else "Defect",
        "message": message,
        "where": None if where is None else str(where),
        "hint": getattr(caught, "hint", None),
    }
    return {"error": told}
