"""Values of `peft` that differ from module to module: `rank_pattern` and `alpha_pattern`.

A key is a regular expression for the end of a module's name, as `peft.utils.other.get_pattern_key` matches it; the
first that matches decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.files.errors import FormatError
from adapterx.files.patterns import Pattern, PatternError
from adapterx.wording import plain, shown

_MOST = 1000
"""Keys of a pattern: one for each linear layer of a deep encoder."""


class ByModule:
    """What a pattern gives for a module's name."""

    def __init__(self, path: Path, config: Mapping[str, Any], setting: str) -> None:
        given = config.get(setting) or {}
        if not isinstance(given, dict) or len(given) > _MOST:
            raise FormatError(f"{path}: {setting} is {shown(given)}; it should give numbers by module")
        self._path, self._setting, self._given = path, setting, given
        self._patterns = {key: self._pattern(key) for key in given}

    def _pattern(self, key: str) -> Pattern:
        try:
            return Pattern(rf"(.*\.)?({key})")
        except PatternError as error:
            raise self._refused(key, error) from None

    def _refused(self, key: str, error: PatternError) -> FormatError:
        return FormatError(f"{self._path}: {self._setting} {shown(key)} {error}")

    def settings(self, name: str, key: str) -> dict[str, Any]:
        """`{key: VALUE}` for a module, to be read like the configuration; empty where no pattern is of it."""
        for pattern, compiled in self._patterns.items():
            try:
                if compiled.fullmatch(name):
                    return {key: self._given[pattern], f"{self._setting} of {plain(pattern)}": True}
            except PatternError as error:
                raise self._refused(pattern, error) from None
        return {}
