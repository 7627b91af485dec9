"""Argos Translate, with the packages of languages that are installed; it is asked for nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from adapterx.errors import library_failures
from adapterx.store.identity import JSON
from adapterx.translate.engines.base import EngineOptions, Markers
from adapterx.translate.errors import EngineError
from adapterx.wording import plain

_MARKERS: tuple[Markers, ...] = (("<a>", "</a>"), ("[", "]"))


def make(argument: str, options: EngineOptions) -> ArgosEngine:
    """The library, where it is installed; EngineError where it is not."""
    try:
        library = import_module("argostranslate.translate"), import_module("argostranslate.package")
    except ImportError:
        raise EngineError(
            "--engine argos needs the package argostranslate: install it (pip install argostranslate), and a package"
            " of each pair of languages (argospm install translate-en_de)",
            hint="pip install argostranslate",
        ) from None
    return ArgosEngine(*library, options)


class ArgosEngine:
    """Asks the library text by text; a pair without a package of its own goes through those that it joins."""

    name = "argos"

    def __init__(self, translate: Any, package: Any, options: EngineOptions) -> None:
        self._translate, self._package, self._codes = translate, package, options.codes
        self.markers = _MARKERS if options.markers is None else options.markers
        self._known: dict[tuple[str, str], Any] = {}

    def check(self, source: str, target: str) -> None:
        """Refuse a pair that no installed packages translate."""
        self._pair(source, target)

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """The library's name, the pair, and the versions of the installed packages."""
        installed = sorted(
            f"{one.from_code}-{one.to_code} {one.package_version}" for one in self._package.get_installed_packages()
        )
        return {"engine": self.name, "pair": [self._code(source), self._code(target)], "packages": installed}

    def versions(self) -> Mapping[str, str]:
        """The library's."""
        try:
            return {"argostranslate": version("argostranslate")}
        except PackageNotFoundError:
            return {"argostranslate": "unknown"}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """What the library makes of each text."""
        pair = self._pair(source, target)
        done: dict[int, str] = {}
        for place, text in enumerate(texts):
            with library_failures(lambda why: EngineError(f"argostranslate: {plain(why, 300)}", done=done)):
                done[place] = str(pair.translate(text))
        return [done[place] for place in range(len(texts))]

    def close(self) -> None:
        """Nothing has been started."""

    def _code(self, language: str) -> str:
        return self._codes.get(language, language)

    def _pair(self, source: str, target: str) -> Any:
        wanted = (self._code(source), self._code(target))
        if wanted not in self._known:
            languages = {one.code: one for one in self._translate.get_installed_languages()}
            found = None
            if wanted[0] in languages and wanted[1] in languages:
                found = languages[wanted[0]].get_translation(languages[wanted[1]])
            if found is None:
                known = ", ".join(sorted(languages)) or "none"
                raise EngineError(
                    f"argostranslate has no package from {wanted[0]} to {wanted[1]} (installed languages: {known});"
                    f" install one (argospm install translate-{wanted[0]}_{wanted[1]}), or give its codes with --codes"
                )
            self._known[wanted] = found
        return self._known[wanted]
