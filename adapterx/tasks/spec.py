"""What a task is: its format, labels, metrics, languages and where its data comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from adapterx import places
from adapterx.errors import AdapterxError
from adapterx.recipe.fields import LanguageCode, Model, Name, Strings, listed
from adapterx.recipe.problems import did_you_mean
from adapterx.tasks import metrics_qa, metrics_retrieval
from adapterx.tasks.examples import Format, Split
from adapterx.tasks.metrics import NAMES as METRICS
from adapterx.tasks.metrics import metric as metric_of
from adapterx.tasks.metrics import unit
from adapterx.tasks.tag_schemes import SchemeError
from adapterx.wording import plain, shown

Column = int | str
"""A position (tsv, conll), a key (jsonl), or a text with {keys} in it."""

FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pair-classification": (("text", "label"), ("text_pair",)),
    "tagging": (("words", "tags"), ()),
    "multiple-choice": (("context", "choices", "label"), ()),
    "extractive-qa": (("question", "context", "answers"), ()),
    "retrieval": (("query", "candidate"), ()),
    "masked-lm": (("text",), ()),
}
"""Per format, the fields a file must give and those it may; SQuAD's JSON names its own."""

Misplaced = Literal["refuse", "nearest", "drop"]
"""What becomes of an answer that does not stand where its `answer_start` says: an error; the occurrence nearest to it
(an error where there is none); or its question is left out, which is for training data."""

Missing = Literal["refuse", "drop", "keep"]
"""What becomes of a row that lacks a text, a word or a label: an error that names it; or it is left out and counted.
`keep` takes blank texts as they are, where published results count them; null and unknown labels are refused still."""

UNLABELLED = ("extractive-qa", "retrieval", "masked-lm")
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


def _by_position(column: str) -> bool:
    """Whether a text is a template of positions, as "{0}: {1}"."""
    keys = re.findall(r"\{(\w+)\}", column)
    return bool(keys) and all(key.isdecimal() for key in keys)


class SettingError(ValueError):
    """What is wrong with one setting of a task, and where it stands in its YAML."""

    def __init__(self, location: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


def check_tags(labels: Sequence[str], task: str) -> None:
    """Refuse tags in which span_f1 would find no spans. Raises SchemeError."""
    metric_of("span_f1", labels, task)


class Embedded(Model):
    """Examples made from CLDR data, without any file."""

    kind: Literal["embedded"]
    sizes: dict[Split, PositiveInt]
    """Examples per split, in every language the same items."""
    seed: int = 1
    """Another seed makes other examples of the same items; which items are for testing never changes."""


def _at_home(value: str) -> str:
    try:
        return os.fspath(places.expanded(value)) if value.startswith("~") else value
    except AdapterxError as error:
        raise ValueError(str(error)) from None


DataPath = Annotated[str, AfterValidator(_at_home)]
"""Seen from the data directory, unless it is absolute or begins with `~`."""
DataPaths = Annotated[Strings, AfterValidator(lambda paths: tuple(map(_at_home, paths)))]


class Fold(Model):
    """Every `of`-th row (of extractive QA, passage): those whose number, modulo `of`, is in `keep`."""

    of: Annotated[int, Field(ge=2)]
    keep: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    by: str | None = None
    """A column that ends in a number, to go by that in place of the row's: where languages lack rows, say."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        if any(not 0 <= remainder < self.of for remainder in self.keep):
            raise ValueError(f"keep lists remainders below {self.of}")
        return self


class Aligned(Model):
    """Columns taken from a file with the same rows in another language, where a file's own are missing or wrong."""

    path: DataPath
    columns: Strings


class Files(Model):
    """The files of one split in some languages."""

    paths: DataPaths
    """Relative to the data directory, read one after another; {language} is replaced by the language."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these files: all of the task's when null."""
    labels: DataPath | None = None
    """A file with one label a line, for rows that carry none."""
    aligned: Aligned | None = None
    """Columns to take from another file of the same reader (jsonl), row by row."""
    fold: Fold | None = None
    """Rows to keep; all when null."""


class Local(Model):
    """Examples read from files under the data directory."""

    kind: Literal["local"]
    reader: Literal["tsv", "csv", "jsonl", "conll", "conllu", "squad", "text"]
    columns: dict[str, Column | Annotated[tuple[Column, ...], Field(strict=False)]]
    """Where each field of the format is found in a row; `id`, when given, names the item.

    SQuAD's JSON is read as it is: {}, or {id: id} where ids name questions. A line of text is the column `text`.
    Words and tags that a cell holds as one text stand between spaces, tabs or line feeds.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per key of a row (jsonl) or for `label`: what is written → what is meant."""
    header: bool = False
    """Whether the first line of each tsv file names its columns; that of a csv file always does."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
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
    """Rows to keep, by column: those whose value, as text, is one of these; a `*` at its end stands for any ending,
    {language} is replaced."""
    fold: Fold | None = None
    """Rows to keep, of all rows before `where`; all when null. Rows about one passage follow each other."""


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
    """Where each field of the format is found; `a.b` is field b of the struct a. `id`, when given, names the item.

    `answers` is a struct of two lists, `text` and `answer_start` (characters from the passage's beginning), both empty
    where the passage holds no answer; or a list of such pairs.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per column or for `label`: what is written (class labels: a number) → what is meant."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
    splits: dict[Split, Annotated[tuple[HubRows, ...], Field(strict=False), BeforeValidator(_parts)]]

    def rows(self, language: str, split: str) -> HubRows | None:
        """The rows of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((rows for rows in several if rows.languages is None or language in rows.languages), None)


class Texts(Model):
    """Texts of one language, from `.jsonl` files or, under any other name, tab-separated ones; `.gz` is unpacked."""

    paths: DataPaths
    """Relative to the data directory, read one after another; {language} is replaced, * stands for any part of a
    name."""
    text: Column
    """Where a text is found in a row: a position, a key, or a text with {keys} in it."""
    id: Column | None = None
    """What names it; its row when null."""


class Sides(Model):
    """What is searched for and among what, of one split in some languages."""

    queries: Texts
    candidates: Texts
    relevant: DataPath | None = None
    """A file of pairs of ids, query and candidate, tab-separated; or judgements as TREC writes them (query, 0,
    candidate, relevance). Where null, a query's candidate stands in the same row."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these files: all of the task's when null."""


class Search(Model):
    """Queries and candidates, each in files of their own."""

    kind: Literal["search"]
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """What {language} stands for, where it is not the task's code."""
    splits: dict[Split, Annotated[tuple[Sides, ...], Field(strict=False), BeforeValidator(_several)]]

    def sides(self, language: str, split: str) -> Sides | None:
        """The files of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((sides for sides in several if sides.languages is None or language in sides.languages), None)


class Sentences(Model):
    """Questions of an extractive QA task, to find the sentences that hold their answers among all sentences."""

    kind: Literal["sentences"]
    task: Name
    """Of the catalog."""
    source: str
    """Which of its sources."""


Source = Annotated[Embedded | Local | Hub | Search | Sentences, Field(discriminator="kind")]
Pool = Literal["own", "each", "all"]


class TaskSpec(Model):
    """One task, as `catalog/*.yaml` or a user's own YAML describes it."""

    adapterx: Literal[1]
    name: Name
    description: str
    format: Format
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
        if self.labels and self.label_file:
            raise ValueError("labels and label_file exclude each other: the labels stand here or in the file")
        labels = self.labels or self.label_file
        for name, given, without in (("labels", labels, UNLABELLED), ("metrics", self.metrics, ("masked-lm",))):
            if bool(given) == (self.format in without):
                raise ValueError(f"{name}: the format {self.format} {'has none' if given else 'needs some'}")
        for name, source in self.sources.items():
            self._check_splits(name, source)
        if unknown := [metric for metric in self.metrics if metric not in METRICS]:
            near = did_you_mean(unknown[0], METRICS)
            hint = f" ({near})" if near.startswith("did you mean") else ""
            raise ValueError(f"unknown metric '{plain(unknown[0])}'; known: {', '.join(METRICS)}{hint}")
        if self.metric and unit(self.metric).better == "lower":
            raise ValueError(
                f"{self.metric} is better when lower, so it cannot be the first metric, which is maximised"
            )
        if "span_f1" in self.metrics and self.format != "tagging":
            raise ValueError("span_f1 scores spans of tags: it is for the format tagging")
        if "span_f1" in self.metrics and self.labels:
            try:
                check_tags(self.labels, self.name)
            except SchemeError as error:
                raise SettingError(("labels",), str(error)) from None
        self._check_answers()
        for name, source in self.sources.items():
            if isinstance(source, Local):
                self._check_local(name, source)
            if isinstance(source, Local | Hub):
                self._check_columns(name, source)
                self._check_misplaced(name, source)
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
        """Text is learnt from alone, retrieval is tested alone."""
        if isinstance(source, Search | Sentences) and self.format != "retrieval":
            raise ValueError(f"source {name}: the kind {source.kind} and the format retrieval go together")
        if isinstance(source, Sentences):
            return
        splits = {*(source.sizes if isinstance(source, Embedded) else source.splits)}
        if self.format == "masked-lm" and (others := splits - {"train"}):
            raise ValueError(f"{min(others)}: text to learn from has a train split alone")
        if self.format == "retrieval" and "train" in splits:
            raise ValueError(f"source {name}: nothing is trained on what is retrieved; its splits are dev and test")
        if self.mines and "dev" not in splits:
            raise ValueError(f"source {name}: how alike mined pairs must be is chosen on dev data; add a dev split")

    def _check_answers(self) -> None:
        """Metrics of texts score texts, those of rankings rankings; MLQA's know its languages only."""
        answers = self.format == "extractive-qa"
        kinds = {"extractive-qa": metrics_qa.NAMES, "retrieval": metrics_retrieval.NAMES}
        special = {name for names in kinds.values() for name in names}
        fitting = kinds.get(self.format, tuple(name for name in METRICS if name not in special))
        for metric in self.metrics:
            if metric not in fitting:
                raise ValueError(f"{metric} is not for the format {self.format}; {', '.join(fitting)} are")
            unknown = [language for language in self.languages if language not in metrics_qa.MLQA_LANGUAGES]
            if metric.startswith("mlqa") and unknown:
                raise ValueError(f"{metric} has no rules for the language '{unknown[0]}'; the squad metrics fit any")
        if self.unanswerable and not answers:
            raise ValueError(f"unanswerable: questions of the format {self.format} always have an answer")
        if len({metric in metrics_retrieval.MINING_NAMES for metric in self.metrics}) > 1:
            raise ValueError("metrics: pairs are mined or candidates ranked, not both")
        if self.pool != "own" and (self.format != "retrieval" or self.mines or not self.parallel):
            raise ValueError(f"pool: {self.pool}: other languages are searched by rankings with parallel: true alone")

    def _check_misplaced(self, name: str, source: Local | Hub) -> None:
        if source.misplaced != "refuse" and self.format != "extractive-qa":
            raise ValueError(f"source {name}: misplaced is of answers, and the format {self.format} has none")
        if source.misplaced == "drop" and "test" in source.splits:
            raise ValueError(f"source {name}: misplaced: drop would leave out test items; 'nearest' keeps them")

    def _check_columns(self, name: str, source: Local | Hub) -> None:
        required, optional = FIELDS[self.format]
        if isinstance(source, Local) and source.reader == "squad":
            return
        known = {*required, *optional, "id"}
        if unknown := [field for field in source.columns if field not in known]:
            hint = did_you_mean(unknown[0], sorted(known))
            raise ValueError(f"source {name}: {self.format} has no field '{plain(unknown[0])}' ({hint})")
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
        if self.format == "retrieval":
            raise ValueError(f"source {name}: files of the format retrieval are of the kind search")
        for reader, format_ in (("conll", "tagging"), ("conllu", "tagging"), ("text", "masked-lm")):
            if source.reader == reader and self.format != format_:
                raise ValueError(f"source {name}: the {reader} reader is for the format {format_}")
        if (self.format == "extractive-qa") != (source.reader == "squad"):
            raise ValueError(f"source {name}: the squad reader and the format extractive-qa go together")
        folds = [f.fold for split in source.splits.values() for f in split]
        if source.reader in ("conll", "conllu", "squad", "text") and any(
            fold is not None and fold.by for fold in folds
        ):
            raise ValueError(f"source {name}: the {source.reader} reader gives no column to fold by")
        if source.reader == "squad" and source.columns not in ({}, {"id": "id"}):
            raise ValueError(f"source {name}: columns of SQuAD's JSON are {{}}, or {{id: id}} where ids name questions")
        self._check_places(name, source)

    def _check_places(self, name: str, source: Local) -> None:
        """Files whose columns have no names are read by position, others by name."""
        if source.reader == "squad":
            return
        positions = source.reader in ("conll", "conllu") or (source.reader == "tsv" and not source.header)
        for field, given in source.columns.items():
            for column in given if isinstance(given, tuple) else (given,):
                if isinstance(column, int) == positions:
                    continue
                if positions and isinstance(column, str) and _by_position(column) and source.reader == "tsv":
                    continue
                what = f"columns of the {source.reader} reader{' without `header: true`' * (source.reader == 'tsv')}"
                kind = "are positions, counted from 0" if positions else "have names"
                message = f"{what} {kind}: {field} cannot be {shown(column)}"
                raise SettingError(("sources", name, "columns", field), message)
