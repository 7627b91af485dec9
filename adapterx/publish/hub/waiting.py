"""Asking the Hub again where it asks for patience: after too many requests, its own errors, and cut connections."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from adapterx import hub
from adapterx.hub import HubError, Repository

TRIES = 7
_FIRST, _LONGEST = 0.5, 900.0
"""Seconds of the first wait, each next one twice as long; and the longest that the Hub may ask for."""
_TRANSPORT = ("requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")
Found = TypeVar("Found")


def patiently(repository: Repository, call: Callable[[], Found], sleep: Callable[[float], None] = time.sleep) -> Found:
    """What a call gives, tried again where another try may succeed. Raises HubError.

    A commit is tried again too, which the Hub's client does not do: whoever calls asks first what is there already.
    """
    for attempt in range(TRIES):
        try:
            return call()
        except Exception as error:
            seconds = wait(error, attempt)
            if seconds is None:
                with hub.in_words(repository, None):
                    raise
            if attempt == TRIES - 1:
                raise HubError(
                    f"{hub.why(error)}, {TRIES} times in a row, for {repository}: run the command again, which goes on"
                    " where it was"
                ) from error
            if seconds >= 5:
                sys.stderr.write(f"the Hub asks for patience ({repository}): trying again in {seconds:.0f} s\n")
            sleep(seconds)
    raise AssertionError("the last try returns or raises")


def status(error: BaseException) -> int | None:
    """The HTTP status that a client's error tells of."""
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def wait(error: BaseException, attempt: int) -> float | None:
    """Seconds after which to try again; None where that would change nothing."""
    usual = _FIRST * 2**attempt
    code = status(error)
    if code is None:
        cut = isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.split(".")[0] in _TRANSPORT
        return usual if cut else None
    if code == 429:
        asked = _asked(error)
        return usual if asked is None else min(asked, _LONGEST)
    return usual if code >= 500 or code == 408 else None


def _asked(error: BaseException) -> float | None:
    """For how long the Hub says to wait: `Retry-After`, or `t=` of the `RateLimit` header."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    given = headers.get("Retry-After") or ""
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return float(given)
    found = re.search(r"\bt=(\d+)", headers.get("RateLimit") or "")
    return float(found[1]) if found else None
