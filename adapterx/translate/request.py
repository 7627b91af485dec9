"""What is asked for: which items of which task, into which languages, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from adapterx.config.problems import did_you_mean
from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.examples import Split
from adapterx.tasks.spec import TaskSpec
from adapterx.translate.errors import TranslationError
from adapterx.translate.journal import Languages
from adapterx.translate.translator import route
from adapterx.wording import shown

JOURNAL = "journal"
"""The folder of what has been translated so far."""
TASK = "task.json"
"""In it: which data it is of."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
_TEST = (
    "test items are not translated: whoever learns from them has seen what is scored. Translate train and dev, and"
    " score on a task that has test items in the language"
)


@dataclass(frozen=True)
class Request:
    """A task's items to be translated, checked."""

    spec: TaskSpec
    source: str
    """Which of the task's sources."""
    language: str
    """The language that is translated from."""
    splits: tuple[Split, ...]
    targets: tuple[str, ...]
    via: str | None
    limit: Limit | None
    batch: int
    same_items: bool
    """Whether what is untranslatable into one language is left out of all."""
    out: Path
    called: str | None = None
    """The name of the task that is written, where it is given."""

    @property
    def name(self) -> str:
        """Of the task that is written."""
        return self.called or f"{self.spec.name}-translated"

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of the task that is written, the one that is translated from first."""
        return (self.language, *(one for one in self.targets if one != self.language))

    @property
    def back(self) -> bool:
        """Whether the first language is translated too, there and back."""
        return self.language in self.targets

    def legs(self, target: str) -> tuple[Languages, ...]:
        """The directions that lead to a language."""
        return route(self.language, target, self.via)

    @property
    def directions(self) -> list[Languages]:
        """All that an engine is asked for, each once."""
        return list(dict.fromkeys(leg for target in self.targets for leg in self.legs(target)))


def requested(
    spec: TaskSpec,
    targets: Sequence[str],
    out: Path,
    *,
    source: str | None = None,
    language: str | None = None,
    splits: Sequence[str] | None = None,
    via: str | None = None,
    limit: Limit | None = None,
    batch: int = 32,
    same_items: bool = False,
    name: str | None = None,
) -> Request:
    """A request that can be met as far as the task says. Raises TranslationError.

    Args:
        source: default the task's first.
        language: that is translated from; default the task's first.
        splits: default train and dev, as far as the task has them.
        name: of the task that is written; default the task's with "-translated" behind it.
    """
    if spec.kind.untranslated:
        raise TranslationError(f"the task '{spec.name}' ({spec.format}) is not translated: {spec.kind.untranslated}")
    source = _known(spec, source, spec.sources, "source")
    language = _known(spec, language, spec.languages, "language")
    _check_languages(language, targets, via)
    if "{" in str(out):
        raise TranslationError(f"{out}: a task's YAML cannot name a directory with '{{' in it; give another --out", out)
    _check_directory(out)
    return Request(
        spec=spec,
        source=source,
        language=language,
        splits=_splits(spec, source, language, splits),
        targets=tuple(targets),
        via=via,
        limit=limit,
        batch=batch,
        same_items=same_items,
        out=out,
        called=name,
    )


def _known(spec: TaskSpec, given: str | None, known: Collection[str], noun: str) -> str:
    if given is None:
        return next(iter(known))
    if given not in known:
        hint = did_you_mean(given, known) or f"it has {', '.join(known)}"
        raise TranslationError(f"the task '{spec.name}' has no {noun} {shown(given)} ({hint})")
    return given


def _check_languages(language: str, targets: Sequence[str], via: str | None) -> None:
    for option, code in (*(("--to", one) for one in targets), *([("--via", via)] if via else [])):
        if not _LANGUAGE.fullmatch(code) or code == "all":
            raise TranslationError(f"{option}: {shown(code)} is no code of a language, such as de or zh-Hant")
    if via == language:
        raise TranslationError(f"--via {via} is the language that is translated from: leave it out")
    if language in targets and via is None:
        raise TranslationError(
            f"--to {language} is the language that is translated from: leave it out, or go through another with"
            f" --via LANG for its back-translation"
        )


def _splits(spec: TaskSpec, source: str, language: str, given: Sequence[str] | None) -> tuple[Split, ...]:
    """Those asked for, or of train and dev those that hold something."""
    wanted = ("train", "dev") if given is None else given
    if "test" in wanted:
        raise TranslationError(f"--split test: {_TEST}")
    if unknown := [one for one in wanted if one not in get_args(Split)]:
        raise TranslationError(f"--split {unknown[0]}: there are train and dev")
    found = [one for one in wanted if data.sizes(spec, source, language, one) != 0]
    missing = [one for one in wanted if one not in found]
    if missing and (given is not None or not found):
        raise TranslationError(
            f"the task '{spec.name}' ({source}) has no {' or '.join(missing)} data in '{language}': name others with"
            " --split, --source or --from"
        )
    return tuple(cast(Split, one) for one in found)


def _check_directory(out: Path) -> None:
    """Refuse a place where there is something that no earlier call has begun."""
    if out.exists() and not out.is_dir():
        raise TranslationError(f"{out} is a file; give a new directory with --out", out)
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if there - {JOURNAL} and not (out / JOURNAL / TASK).is_file():
        raise TranslationError(f"{out} has other files in it; give a new directory with --out", out)
