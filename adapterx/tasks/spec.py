"""What a task is: its format, labels, metrics, languages and where its data comes from."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from adapterx.recipe.fields import LanguageCode, Model, Name, Strings, listed
from adapterx.tasks import metrics_qa
from adapterx.tasks.examples import Format, Split
from adapterx.tasks.metrics import NAMES as METRICS
from adapterx.tasks.metrics import unit

Column = int | str
"""A position (tsv, conll), a key (jsonl), or a text with {keys} in it."""

FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pair-classification": (("text", "label"), ("text_pair",)),
    "tagging": (("words", "tags"), ()),
    "multiple-choice": (("context", "choices", "label"), ()),
    "extractive-qa": ((), ()),
    "masked-lm": (("text",), ()),
}
"""Per format, the fields a file must give and those it may; SQuAD's JSON names its own."""

UNLABELLED = ("extractive-qa", "masked-lm")
"""Formats whose answers are texts."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else listed(value)


def _parts(value: Any) -> Any:
    """A bare split name stands for `{split: name}`."""
    return tuple({"split": one} if isinstance(one, str) else one for one in _listed_values(_several(value)))


def _listed_values(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _texts(value: Any) -> Any:
    """Numbers are compared as they are written."""
    return tuple(str(one) if isinstance(one, int) else one for one in _listed_values(value))


class Embedded(Model):
    """Examples made from CLDR data, without any file."""

    kind: Literal["embedded"]
    sizes: dict[Split, PositiveInt]
    """Examples per split, in every language the same items."""
    seed: int = 1
    """Another seed makes other examples of the same items; which items are for testing never changes."""


class Fold(Model):
    """Every `of`-th row (of SQuAD's JSON, paragraph): those whose number, modulo `of`, is in `keep`."""

    of: Annotated[int, Field(ge=2)]
    keep: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _within(self) -> Self:
        if any(not 0 <= remainder < self.of for remainder in self.keep):
            raise ValueError(f"keep lists remainders below {self.of}")
        return self


class Aligned(Model):
    """Columns taken from a file with the same rows in another language, where a file's own are missing or wrong."""

    path: str
    columns: Strings


class Files(Model):
    """The files of one split in some languages."""

    paths: Strings
    """Relative to the data directory, read one after another; {language} is replaced by the language."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these files: all of the task's when null."""
    labels: str | None = None
    """A file with one label a line, for rows that carry none."""
    aligned: Aligned | None = None
    """Columns to take from another file of the same reader (jsonl), row by row."""
    fold: Fold | None = None
    """Rows to keep; all when null."""


class Local(Model):
    """Examples read from files under the data directory."""

    kind: Literal["local"]
    reader: Literal["tsv", "csv", "jsonl", "conll", "squad"]
    columns: dict[str, Column | Annotated[tuple[Column, ...], Field(strict=False)]]
    """Where each field of the format is found in a row; `id`, when given, names the item.

    SQuAD's JSON is read as it is: {}, or {id: id} where ids name questions.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per key of a row (jsonl) or for `label`: what is written → what is meant."""
    header: bool = False
    """Whether the first line of each tsv file names its columns; that of a csv file always does."""
    splits: dict[Split, Annotated[tuple[Files, ...], Field(strict=False), BeforeValidator(_several)]]

    def files(self, language: str, split: str) -> Files | None:
        """The files of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((files for files in several if files.languages is None or language in files.languages), None)


class HubRows(Model):
    """The rows of one split in some languages, among the parquet files of a Hub dataset."""

    split: Annotated[str, Field(min_length=1)]
    """What the dataset calls it."""
    config: str | None = None
    """In place of the source's; {language} is replaced."""
    paths: Strings | None = None
    """Patterns of files in the repository, where it follows none of the usual layouts; the first that matches counts.
    {language}, {config} and {split} are replaced."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these rows: all of the task's when null."""
    where: dict[str, Annotated[Strings, BeforeValidator(_texts)]] = Field(default_factory=dict)
    """Rows to keep, by column: those whose value, as text, is one of these."""
    fold: Fold | None = None
    """Rows to keep, of all rows before `where`; all when null."""


class Hub(Model):
    """Examples read from parquet files of a dataset on the Hub; no code of a repository is ever run."""

    kind: Literal["hub"]
    dataset: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: Annotated[str, Field(min_length=1)] = "refs/convert/parquet"
    """A commit, or a branch, which means its commit of the moment: by default that of the Hub's own conversion."""
    config: str = "default"
    """{language} is replaced by the dataset's code for the language."""
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """The dataset's codes of languages, where they differ from the task's."""
    columns: dict[str, str | Annotated[tuple[str, ...], Field(strict=False)]]
    """Where each field of the format is found; `a.b` is field b of the struct a. `id`, when given, names the item."""
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per column or for `label`: what is written (class labels: a number) → what is meant."""
    splits: dict[Split, Annotated[tuple[HubRows, ...], Field(strict=False), BeforeValidator(_parts)]]

    def rows(self, language: str, split: str) -> HubRows | None:
        """The rows of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((rows for rows in several if rows.languages is None or language in rows.languages), None)


Source = Annotated[Embedded | Local | Hub, Field(discriminator="kind")]


class TaskSpec(Model):
    """One task, as `catalog/*.yaml` or a user's own YAML describes it."""

    adapterx: Literal[1]
    name: Name
    description: str
    format: Format
    labels: Strings | tuple[()] = ()
    """Class names in the order of the head's outputs; for multiple choice the names of the positions; none where
    answers are texts."""
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
    version: PositiveInt = 1
    """Raised whenever the same files would be read as other examples."""
    same_task: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Tasks that ask the same of another data set: training on them is training for this one, not transfer to it."""
    derived_from: dict[
        Split, dict[Name, Annotated[tuple[Split, ...], Field(strict=False), BeforeValidator(listed)]]
    ] = Field(default_factory=dict)
    """Per split, the splits of other tasks whose items it holds, in translation, in part or changed."""
    licence: str
    citation: str = ""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """By name; the first is the default."""

    @property
    def metric(self) -> str:
        """The main metric, empty where the task is not scored."""
        return self.metrics[0] if self.metrics else ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, given, without in (("labels", self.labels, UNLABELLED), ("metrics", self.metrics, ("masked-lm",))):
            if bool(given) == (self.format in without):
                raise ValueError(f"{name}: the format {self.format} {'has none' if given else 'needs some'}")
        for source in self.sources.values():
            others = {*(source.sizes if isinstance(source, Embedded) else source.splits)} - {"train"}
            if self.format == "masked-lm" and others:
                raise ValueError(f"{min(others)}: text to learn from has a train split alone")
        if unknown := [metric for metric in self.metrics if metric not in METRICS]:
            raise ValueError(f"unknown metric '{unknown[0]}'; known: {', '.join(METRICS)}")
        if self.metric and unit(self.metric).better == "lower":
            raise ValueError(
                f"{self.metric} is better when lower, so it cannot be the first metric, which is maximised"
            )
        if "span_f1" in self.metrics and self.format != "tagging":
            raise ValueError("span_f1 scores spans of tags: it is for the format tagging")
        self._check_answers()
        for name, source in self.sources.items():
            if not isinstance(source, Embedded):
                self._check_columns(name, source)
            if isinstance(source, Local):
                self._check_local(name, source)
        return self

    def _check_answers(self) -> None:
        """Metrics of texts score texts, and MLQA's know its languages only."""
        answers = self.format == "extractive-qa"
        for metric in self.metrics:
            if (metric in metrics_qa.NAMES) != answers:
                fitting = [name for name in METRICS if (name in metrics_qa.NAMES) == answers]
                raise ValueError(f"{metric} is not for the format {self.format}; {', '.join(fitting)} are")
            unknown = [language for language in self.languages if language not in metrics_qa.MLQA_LANGUAGES]
            if metric.startswith("mlqa") and unknown:
                raise ValueError(f"{metric} has no rules for the language '{unknown[0]}'; the squad metrics fit any")
        if self.unanswerable and not answers:
            raise ValueError(f"unanswerable: questions of the format {self.format} always have an answer")

    def _check_columns(self, name: str, source: Local | Hub) -> None:
        required, optional = FIELDS[self.format]
        known = {*required, *optional, "id"}
        if unknown := [field for field in source.columns if field not in known]:
            raise ValueError(f"source {name}: {self.format} has no field '{unknown[0]}'")
        from_file: set[str] = set()
        if isinstance(source, Local) and all(f.labels for split in source.splits.values() for f in split):
            from_file = {"label"}
        if missing := [field for field in required if field not in source.columns and field not in from_file]:
            raise ValueError(f"source {name}: columns lacks '{missing[0]}'")

    def _check_local(self, name: str, source: Local) -> None:
        if source.header and source.reader != "tsv":
            raise ValueError(f"source {name}: header is of the tsv reader; a csv file has one, others have none")
        if source.reader != "jsonl" and any(f.aligned for split in source.splits.values() for f in split):
            raise ValueError(f"source {name}: columns are taken from aligned files by key, so their reader is jsonl")
        if (self.format == "tagging") != (source.reader == "conll"):
            raise ValueError(f"source {name}: the conll reader and the format tagging go together")
        if (self.format == "extractive-qa") != (source.reader == "squad"):
            raise ValueError(f"source {name}: the squad reader and the format extractive-qa go together")
        if source.reader == "squad" and source.columns not in ({}, {"id": "id"}):
            raise ValueError(f"source {name}: columns of SQuAD's JSON are {{}}, or {{id: id}} where ids name questions")
