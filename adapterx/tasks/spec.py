"""What a task is: its kind, labels, metrics, languages and where its data comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PositiveInt, model_validator
from pydantic_core import PydanticKnownError

from adapterx.config.fields import LanguageCode, Model, Name, Strings, listed
from adapterx.config.problems import did_you_mean
from adapterx.tasks import metrics_qa, metrics_retrieval
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds import kind, kinds
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.metrics import metric as metric_of
from adapterx.tasks.metrics import scorings, unit
from adapterx.tasks.sources.base import SourceSettingError
from adapterx.tasks.sources.fields import DataPath
from adapterx.tasks.sources.registry import Source
from adapterx.tasks.tag_schemes import SchemeError
from adapterx.wording import plain


def _known(value: object) -> str:
    """The name of a kind; pydantic's error of a literal for anything else."""
    if isinstance(value, str) and value in kinds():
        return value
    *names, last = (repr(name) for name in kinds())
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names)} or {last}"})


Format = Annotated[str, BeforeValidator(_known)]
"""The name of a kind of task."""


def check_tags(labels: Sequence[str], task: str) -> None:
    """Refuse tags in which span_f1 would find no spans. Raises SchemeError."""
    metric_of("span_f1", labels, task)


Pool = Literal["own", "each", "all"]


class Benchmark(Model):
    """A data set on the Hub that shows results of models: `dataset` with its id, `task` with the id within it."""

    dataset: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    task: Annotated[str, Field(min_length=1, max_length=100)]


class TextOrigin(Model):
    """Where the texts of a source's training items come from, where they are translations."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    origin: Annotated[LanguageCode, Field(alias="from")]
    """The language that they were written in."""
    by: Literal["machine", "people"]
    via: LanguageCode | None = None
    """A language between: items in the language they were written in are translations too, there and back."""

    def of(self, language: str) -> Literal["written", "machine", "people"]:
        """Where the texts in a language come from."""
        return "written" if language == self.origin and self.via is None else self.by


class TaskSpec(Model):
    """One task, as `catalog/*.yaml` or a user's own YAML describes it."""

    adapterx: Literal[1]
    name: Name
    description: str
    format: Format
    """The name of a kind of task."""
    labels: Strings | tuple[()] = ()
    """Class names in the order of the head's outputs; for multiple choice the names of the positions; none where
    answers are texts."""
    label_file: DataPath | None = None
    """A file under the data directory with one label a line, in place of `labels` where they are many."""
    metrics: Strings | tuple[()] = ()
    """The first is the main one. Text to learn from has none: it is not scored."""
    languages: Annotated[tuple[LanguageCode, ...], Field(strict=False, min_length=1)]
    """In the order a table shows them."""
    tokens: PositiveInt = 32
    """Of a typical sequence, special tokens included; a plan's estimates of time and memory use it."""
    parallel: bool = False
    """Whether an id is the same item in every language, so that scores pair across languages."""
    unanswerable: bool = False
    """Of extractive QA: whether some passages hold no answer, so that "none" may be the answer."""
    pool: Pool = "own"
    """Of retrieval, among what a query searches: the candidates of its own language; those of each other language in
    turn; or those of all languages that are evaluated, together."""
    version: PositiveInt = 1
    """Raised whenever the same files would be read as other examples."""
    same_task: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Tasks that ask the same of another data set: training on them is training for this one, not transfer to it."""
    derived_from: dict[
        Split, dict[Name, Annotated[tuple[Split, ...], Field(strict=False), BeforeValidator(listed)]]
    ] = Field(default_factory=dict)
    """Per split, the splits of other tasks whose items it holds, in translation, in part or changed."""
    translated: dict[str, TextOrigin] = Field(default_factory=dict)
    """By source: of which its training items are translations. Of one that is not named, all are written in their
    language. It changes no result; a plan and a report tell arms apart by it."""
    licence: str
    citation: str = ""
    benchmark: Benchmark | None = None
    """Of a task that is a benchmark on the Hub, which takes results of models, as published adapters bring them."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """By name; the first is the default."""

    @property
    def kind(self) -> TaskKind[Any]:
        """What kind of task it is."""
        return kind(self.format)

    @property
    def metric(self) -> str:
        """The main metric, empty where the task is not scored."""
        return self.metrics[0] if self.metrics else ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.labels and self.label_file:
            raise ValueError("labels and label_file exclude each other: the labels stand here or in the file")
        labels = self.labels or self.label_file
        for name, given, wanted in (
            ("labels", labels, self.kind.labelled),
            ("metrics", self.metrics, self.kind.scored),
        ):
            if bool(given) != wanted:
                raise ValueError(f"{name}: the format {self.format} {'has none' if given else 'needs some'}")
        if astray := [name for name in self.translated if name not in self.sources]:
            raise ValueError(f"translated: no source is called '{plain(astray[0])}'")
        for name, source in self.sources.items():
            self._check_splits(name, source)
        if unknown := [metric for metric in self.metrics if metric not in scorings()]:
            near = did_you_mean(unknown[0], scorings())
            hint = f" ({near})" if near.startswith("did you mean") else ""
            raise ValueError(f"unknown metric '{plain(unknown[0])}'; known: {', '.join(scorings())}{hint}")
        if self.metric and unit(self.metric).better == "lower":
            raise ValueError(
                f"{self.metric} is better when lower, so it cannot be the first metric, which is maximised"
            )
        if "span_f1" in self.metrics and not self.kind.tags:
            raise ValueError("span_f1 scores spans of tags: it is for the format tagging")
        if "span_f1" in self.metrics and self.labels:
            try:
                check_tags(self.labels, self.name)
            except SchemeError as error:
                raise SourceSettingError(("labels",), str(error)) from None
        self._check_answers()
        for name, source in self.sources.items():
            source.check(self, name)
        return self

    @property
    def scored(self) -> tuple[Split, ...]:
        """The splits that an evaluation reads: where pairs are mined, dev data say how alike they must be."""
        return ("dev", "test") if self.mines else ("test",)

    @property
    def mines(self) -> bool:
        """Of retrieval: whether pairs are to be found among texts most of which have none, instead of a ranking."""
        return self.metric in metrics_retrieval.MINING_NAMES

    def _check_splits(self, name: str, source: Source) -> None:
        """Some kinds lack splits, and some sources are of some kinds only."""
        source.check_format(self, name)
        splits = source.split_names
        if splits is None:
            return
        self.kind.check_splits(name, {*splits})
        if self.mines and "dev" not in splits:
            raise ValueError(f"source {name}: how alike mined pairs must be is chosen on dev data; add a dev split")

    def _check_answers(self) -> None:
        """Metrics of texts score texts, those of rankings rankings; MLQA's know its languages only."""
        fitting = [name for name, one in scorings().items() if one.answers in self.kind.answers]
        for metric in self.metrics:
            if metric not in fitting:
                raise ValueError(f"{metric} is not for the format {self.format}; {', '.join(fitting)} are")
            unknown = [language for language in self.languages if language not in metrics_qa.MLQA_LANGUAGES]
            if metric.startswith("mlqa") and unknown:
                raise ValueError(f"{metric} has no rules for the language '{unknown[0]}'; the squad metrics fit any")
        if self.unanswerable and not self.kind.passages:
            raise ValueError(f"unanswerable: questions of the format {self.format} always have an answer")
        if len({metric in metrics_retrieval.MINING_NAMES for metric in self.metrics}) > 1:
            raise ValueError("metrics: pairs are mined or candidates ranked, not both")
        if self.pool != "own" and (not self.kind.searched or self.mines or not self.parallel):
            raise ValueError(f"pool: {self.pool}: other languages are searched by rankings with parallel: true alone")
