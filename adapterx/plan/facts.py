"""What a plan asks about tasks and backbones, each question once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.config.fields import ALL_LANGUAGES
from adapterx.config.problems import did_you_mean
from adapterx.errors import AdapterxError
from adapterx.limits import Limit
from adapterx.plan.looks import Look, unseen
from adapterx.tasks.facts import Seen, Split, TaskPart
from adapterx.wording import plain, shown


class Translated(Protocol):
    """Where the texts of a source come from that are translations."""

    def of(self, language: str) -> str:
        """Where those in a language come from: written, machine or people."""


class TaskLike(Protocol):
    """A task of the catalog, as far as a plan looks at it."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> Sequence[str]: ...
    @property
    def sources(self) -> Mapping[str, object]: ...
    @property
    def tokens(self) -> int: ...
    @property
    def scored(self) -> Sequence[str]: ...
    @property
    def parallel(self) -> bool: ...
    @property
    def translated(self) -> Mapping[str, Translated]: ...


Task = TypeVar("Task", bound=TaskLike)


class TaskFacts(Protocol[Task]):
    """The catalog of tasks. Every method may raise ValueError, LookupError or OSError, worded for the user."""

    def find(self, name: str, beside: Path | None) -> Task:
        """The task of this name, in the catalog or in a YAML file beside the recipe."""

    def fingerprint(self, spec: Task, source: str, splits: Mapping[str, Sequence[str]]) -> str:
        """Names the content of these languages of these splits."""

    def sizes(self, spec: Task, source: str, language: str, split: str) -> int | None:
        """Examples in a split, 0 where there is none, None where counting would take long."""

    def texts(self, spec: Task, source: str, language: str, split: str) -> int | None:
        """Texts that a search of a split reads, queries and candidates together; None where it is not known."""


class Refusal(AdapterxError):
    """Why cells that need something cannot be run."""


class Absent(Refusal):
    """Files of a task that are not there."""


Answer = TypeVar("Answer")


class Facts(Generic[Task]):
    """Answers about a recipe's tasks and backbones, remembered, with failures turned into refusals."""

    def __init__(
        self,
        describe: Callable[[Backbone], BackboneInfo],
        tasks: TaskFacts[Task],
        beside: Path | None,
        look: Look = unseen,
    ) -> None:
        self._describe = describe
        self._tasks = tasks
        self._beside = beside
        self._look = look
        self.remarks: dict[str, None] = {}
        """What is left out of the data that was asked for, in the order of asking."""
        self.single_labels: dict[str, None] = {}
        """Splits whose items all have one label, in the order of asking."""
        self._answers: dict[object, object] = {}

    def once(self, key: object, ask: Callable[[], Answer]) -> Answer:
        """What asking gives, once for each key; a failure is a refusal, every time."""
        if key not in self._answers:
            try:
                self._answers[key] = ask()
            except (ValueError, LookupError, OSError) as error:
                kind = Absent if isinstance(error, FileNotFoundError) else Refusal
                self._answers[key] = kind(_message(error))
        answer = self._answers[key]
        if isinstance(answer, Refusal):
            raise answer
        return cast(Answer, answer)

    def backbone(self, backbone: Backbone) -> BackboneInfo:
        """Its sizes and content key."""
        return self.once(("backbone", backbone), lambda: self._describe(backbone))

    def task(self, name: str) -> Task:
        """The task of this name."""
        return self.once(("task", name), lambda: self._tasks.find(name, self._beside))

    def source(self, name: str, source: str | None) -> str:
        """The source asked for, or the task's first."""
        sources = self.task(name).sources
        if source is None:
            return next(iter(sources))
        if source not in sources:
            hint = did_you_mean(source, sources)
            if source in ("train", "dev", "test"):
                hint = f"that is a split; its sources are {', '.join(sources)}"
            raise Refusal(f"the task '{name}' has no source '{plain(source)}'" + (f" ({hint})" if hint else ""))
        return source

    def size(self, name: str, source: str, language: str, split: str) -> int | None:
        """Examples of one split in one language."""
        spec = self.task(name)

        def size() -> int | None:
            known = self._look.size((name, source, language, split))
            return self._tasks.sizes(spec, source, language, split) if known is None else known

        return self.once(("size", name, source, language, split), size)

    def ahead(self, splits: Sequence[Split]) -> None:
        """Have splits looked at that are asked for next."""
        self._look.ahead(splits)

    def count(self, parts: tuple[TaskPart, ...], split: str, limit: Limit | None) -> int | None:
        """Examples over all tasks and languages, None where one is unknown and unlimited."""
        total, most = 0, None if limit is None else limit.items
        for part in parts:
            for language in part.languages:
                size = self.size(part.task, part.source, language, split)
                if size is None and most is None:
                    return None
                total += min(number for number in (size, most) if number is not None)
        return total

    def origin(self, name: str, source: str, language: str) -> str:
        """Where a task's training texts in a language come from: written, machine or people."""
        found = self.task(name).translated.get(source)
        return "written" if found is None else found.of(language)

    def seen(self, name: str, source: str, language: str, split: str) -> Seen:
        """What a look at one split in one language tells; a row that cannot be read is a refusal."""
        return self.once(("look", name, source, language, split), lambda: self._look(name, source, language, split))

    def texts(self, part: TaskPart) -> int | None:
        """Texts that a search of all scored splits and languages of a part reads; None where it is not known."""
        spec, total = self.task(part.task), 0
        for split in spec.scored:
            for language in part.languages:
                ask = partial(self._tasks.texts, spec, part.source, language, split)
                found = self.once(("texts", part.task, part.source, language, split), ask)
                if found is None:
                    return None
                total += found
        return total

    def part(self, name: str, source: str | None, languages: tuple[str, ...], splits: tuple[str, ...]) -> TaskPart:
        """The named languages of a task, all of which must have every split; `all` takes those that do.

        What `all` leaves out although the task says that it is there, and items that are left out, are remarks.
        """
        spec, chosen = self.task(name), self.source(name, source)
        if languages == ALL_LANGUAGES:
            usable = self._usable(spec, chosen, splits)
        else:
            usable = languages
            self._check(spec, chosen, usable, splits)
        ordered = tuple(sorted(usable))
        self._look_at(name, chosen, ordered, splits)
        data = self.once(
            ("data", name, chosen, ordered, splits),
            lambda: self._tasks.fingerprint(spec, chosen, dict.fromkeys(splits, ordered)),
        )
        return TaskPart(spec.name, spec.format, tuple(spec.labels), chosen, ordered, data, spec.tokens)

    def _usable(self, spec: Task, source: str, splits: tuple[str, ...]) -> tuple[str, ...]:
        """The languages that have every split; a remark for each whose files should hold one and do not."""
        usable, lacking = [], {}
        for code in spec.languages:
            try:
                split = self._lacking(spec.name, source, code, splits)
                if split is None:
                    usable.append(code)
                elif why := self._nothing(spec.name, source, code, split):
                    lacking[code] = why
            except Absent as refusal:
                lacking[code] = str(refusal)
        if not usable:
            first = f": {next(iter(lacking.values()))}" if lacking else ""
            raise Refusal(f"the task '{spec.name}' ({source}) has no {splits[0]} data in any language{first}")
        for code, why in lacking.items():
            self.remarks[f"the language '{code}' of the task '{spec.name}' ({source}): {why}"] = None
        return tuple(usable)

    def _check(self, spec: Task, source: str, languages: tuple[str, ...], splits: tuple[str, ...]) -> None:
        for code in languages:
            if code not in spec.languages:
                hint = did_you_mean(code, spec.languages)
                raise Refusal(f"the task '{spec.name}' has no language '{code}'" + (f" ({hint})" if hint else ""))
            if lacking := self._lacking(spec.name, source, code, splits):
                if why := self._nothing(spec.name, source, code, lacking):
                    raise Refusal(f"the task '{spec.name}' ({source}) has no {lacking} data in '{code}': {why}")
                cure = "; a target can train on another task: train_task" if lacking == "train" else ""
                raise Refusal(f"the task '{spec.name}' ({source}) has no {lacking} data in '{code}'{cure}")

    def _lacking(self, name: str, source: str, language: str, splits: tuple[str, ...]) -> str | None:
        return next((split for split in splits if self.size(name, source, language, split) == 0), None)

    def _nothing(self, name: str, source: str, language: str, split: str) -> str:
        """Why a split has no items though the task says where they are; empty where it does not say so."""
        found = self.seen(name, source, language, split)
        left_out = "".join(f", {count:,} left out for {why}" for why, count in found.left_out.items())
        return f"there is nothing in {found.origin}{left_out}" if found.origin else ""

    def _look_at(self, name: str, source: str, languages: tuple[str, ...], splits: tuple[str, ...]) -> None:
        """Look at all splits that are used, and remark upon items left out and labels that never vary."""
        for split in splits:
            for code in languages:
                found = self.seen(name, source, code, split)
                where = f"of the task '{name}' ({source}) in '{code}'"
                for why, count in found.left_out.items():
                    items = f"{count:,} {split} item{'' if count == 1 else 's'}"
                    self.remarks[f"{items} {where}, for {why}"] = None
                if found.only_label:
                    self.single_labels[f"all {split} items {where} have the label {shown(found.only_label)}"] = None


def _message(error: Exception) -> str:
    """The words of an error; str() of a KeyError would put them in quotes."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
