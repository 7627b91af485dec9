"""The base of every error that a user can mend. Depends on no other room."""

from __future__ import annotations


class AdapterxError(Exception):
    """Something outside the program is wrong: a file, a setting, the machine, the network.

    Its text is all a user is told, so it names the file and row (or the key, or the field) and what to do. The command
    line prints it without a traceback and ends with exit code 2. Whatever does not derive from it is a defect of the
    program, and ends with exit code 70 and a log file.
    """
