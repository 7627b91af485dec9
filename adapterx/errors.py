"""The base of every error that a user can mend. Depends on no other package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class AdapterxError(Exception):
    """Something outside the program is wrong: a file, a setting, the machine, the network.

    Its text is all a user is told, so it names the file and row (or the key, or the field) and what to do. The command
    line prints it without a traceback and ends with exit code 2. Whatever does not derive from it is a defect of the
    program, and ends with exit code 70 and a log file.
    """


@contextmanager
def library_failures(error: Callable[[str], AdapterxError]) -> Iterator[None]:
    """Raise what a library raises, or the panic of its Rust core, as the error that is made of its message."""
    try:
        yield
    # A panic is an error of the binding's own kind that is no Exception.
    except BaseException as failure:
        if not isinstance(failure, Exception) and type(failure).__name__ != "PanicException":
            raise
        raise error(str(failure)) from failure
