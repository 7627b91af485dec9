"""The recipe: what a user writes, as immutable typed values. Attribute docstrings are its reference.

`recipe.read` builds one from YAML with positions in its errors; the models themselves check what can be seen
inside one value.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    field_validator,
    model_validator,
)

from adapterx.backbones.spec import Backbone
from adapterx.config.fields import Languages, Model, Name, PositiveFloat, PositiveInt, Seeds, Strings, shorthand, unique
from adapterx.limits import Limit, Sample
from adapterx.methods.registry import Method
from adapterx.recipe.batches import Batches, Beside
from adapterx.recipe.comparison import Compare
from adapterx.recipe.contrastive import ContrastiveSettings
from adapterx.recipe.publishing import Publish
from adapterx.recipe.retrieval import RetrievalSettings
from adapterx.recipe.training import PhaseTrain, Train
from adapterx.transfers.registry import DEFAULT, Transfer
from adapterx.wording import plain

Lane = Literal["fused", "reference"]
Rounding = Literal["exact", "float16", "bfloat16"]
"""How kept hidden states are rounded."""
Axis = Literal["backbones", "methods", "intermediates", "transfers", "targets", "seeds"]


def _not_too_cold(temperature: float) -> float:
    if temperature < COLDEST:
        raise ValueError(
            f"should be at least {COLDEST:g}, not {temperature:g}: sizes to the power of its inverse overflow"
        )
    return temperature


COLDEST = 0.05
"""The lowest temperature: a trillion examples to the power of its inverse is still a number."""
Temperature = Annotated[
    float,
    Field(gt=0.0, allow_inf_nan=True),
    AfterValidator(_not_too_cold),
    BeforeValidator(lambda value: math.inf if value == "uniform" else value),
    PlainSerializer(lambda value: "uniform" if value == math.inf else value, when_used="json"),
]


TaskName = Annotated[str, Field(min_length=1, max_length=64)]
SourceNames = Annotated[
    Annotated[str, Tag("a name")] | Annotated[dict[str, str], Tag("by task")],
    Discriminator(lambda value: "by task" if isinstance(value, dict) else "a name"),
]


class Sampling(Model):
    """How training examples are drawn from the pools of an intermediate, one pool per task and language.

    p_i ∝ min(n_i, cap)^(1 / temperature), jiant's formula (Phang et al. 2020). A bare `proportional` is
    temperature 1; `uniform` is an infinite one, all pools alike. Or fixed weights, task by task.
    """

    temperature: Temperature = 1.0
    """1 draws in proportion to size; larger values favour small pools; `uniform` treats all alike."""
    cap: PositiveInt | None = None
    """Sizes above this count as this."""
    weights: Annotated[dict[str, PositiveFloat], Field(min_length=1)] | None = None
    """Relative share of each task, whatever its size; its languages divide it in proportion to their sizes.

    One for every task. Excludes temperature and cap.
    """
    language_temperature: Temperature | None = None
    """How the languages of a task divide its share: p ∝ n^(1 / language_temperature). Temperature and cap then concern
    whole tasks. Null makes each language of each task a pool like any other."""
    unimax: PositiveFloat | None = None
    """All pools alike, but none passed over more often than this (UniMax, Chung et al. 2023). Excludes all else."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: object) -> object:
        if isinstance(data, str):
            if data not in ("proportional", "uniform"):
                raise ValueError(
                    "should be 'proportional', 'uniform', or a mapping with temperature and cap, or with weights"
                )
            return {"temperature": "uniform" if data == "uniform" else 1.0}
        return data

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        others = {"temperature": self.temperature != 1.0, "cap": self.cap is not None}
        if self.unimax is not None:
            others |= {
                "weights": self.weights is not None,
                "language_temperature": self.language_temperature is not None,
            }
            if (other := next((name for name, given in others.items() if given), None)) is not None:
                raise ValueError(f"gives both unimax and {other}: keep one of them")
        if self.weights is not None and any(others.values()):
            other = next(name for name, given in others.items() if given)
            raise ValueError(f"gives both weights and {other}: keep one of them")
        return self

    def __hash__(self) -> int:
        # A mapping has none of its own, and equal ones may differ in their order.
        weights = frozenset((self.weights or {}).items())
        return hash((self.temperature, self.cap, weights, self.language_temperature, self.unimax))

    @property
    def normalised(self) -> Self:
        """The same with weights that sum to 1, in the order of the tasks' names: equal mixtures, equal values.

        A single task has all of it, however much its weight. Weights count as they are written in decimals, so that
        0.1 and 0.2 are the shares that 1 and 2 are.
        """
        if self.weights is None:
            return self
        exact = {task: Fraction(repr(weight)) for task, weight in sorted(self.weights.items())}
        shares = {task: float(weight / sum(exact.values())) for task, weight in exact.items()}
        return self.model_copy(update={"weights": shares if len(shares) > 1 else None})


class Intermediate(Model):
    """What the adapter learns before it meets a target."""

    model_config = ConfigDict(serialize_by_alias=True)

    tasks: Strings = ()
    """One task or several."""
    members: Strings | None = None
    """Other intermediates, each trained alone, whose adapters `fuse` and `merge` bring together. Excludes all else."""
    init: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """An adapter one already has, in place of a training: a directory, or its name on the Hub (ID@REVISION/FOLDER).
    Excludes all else."""
    languages: Languages = ("en",)
    """The training languages: a code, a list, or `all`."""
    source: SourceNames | None = None
    """Where the data comes from, for tasks that have several sources, or each task's, by its name; a task's first by
    default."""
    sampling: Sampling = Sampling()
    """How examples are drawn where there are several tasks or languages."""
    batches: Batches | None = None
    """Batches of one language beside batches of pairs of languages; null draws every example by itself."""
    contrastive: ContrastiveSettings | None = None
    """Of tasks of the format contrastive: how queries and candidates are compared."""
    beside: Annotated[Beside | None, Field(alias="with")] = None
    """Text that is learnt in some of the steps."""
    per_language: bool = False
    """One adapter for each language instead of one for all, swapped at evaluation (MAD-X)."""
    method: Method | None = None
    """What is trained, where it is not the cell's method: for what is stacked below."""
    train: PhaseTrain | None = None
    """Training settings of its own, before those of the intermediate phase."""

    def source_of(self, task: str) -> str | None:
        """Where the data of one of the tasks comes from; None for its first source."""
        return self.source.get(task) if isinstance(self.source, dict) else self.source

    @model_validator(mode="before")
    @classmethod
    def _tasks_or_members(cls, data: object) -> object:
        for alone, why in (
            ("members", "what is learnt is up to each member"),
            ("init", "the adapter is as it is"),
        ):
            if not (isinstance(data, dict) and data.get(alone) is not None):
                continue
            other = next((key for key, value in data.items() if key != alone and value is not None), None)
            if other is not None:
                raise ValueError(f"gives both {alone} and {plain(other)}: {why}")
        return data

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        named = self.source if isinstance(self.source, dict) else {}
        if unknown := [task for task in named if task not in self.tasks]:
            raise ValueError(f"source names '{plain(unknown[0])}', which is not among the tasks")
        if not self.tasks and self.members is None and self.init is None:
            raise ValueError("has neither tasks nor members")
        if self.members is not None and len(self.members) < 2:
            raise ValueError("has a single member: name it directly, or give two or more")
        if self.per_language and self.batches is not None:
            raise ValueError("gives both per_language and batches: an adapter for each language has batches of one")
        if self.beside is not None and self.beside.task in self.tasks:
            raise ValueError(f"names '{plain(self.beside.task)}' both among the tasks and under with: keep one of them")
        return self


class Target(Model):
    """A task to train for and to evaluate."""

    task: TaskName
    """The task that is evaluated."""
    train_task: TaskName | None = None
    """The task that is trained on (same format and labels); `task` by default. Of a retrieval task: any, or none, to
    search with what the intermediate learnt, or with the backbone as it is."""
    train_languages: Languages = ("en",)
    """The training languages: a code, a list, or `all`."""
    languages: Languages = ("all",)
    """The languages evaluated: a code, a list, or `all`."""
    source: str | None = None
    """Where the data comes from, for tasks that have several sources; the task's first by default."""
    retrieval: RetrievalSettings | None = None
    """Of a retrieval task: which hidden states are compared, and how."""
    batches: Batches | None = None
    """Batches of one language beside batches of pairs of languages; null draws every example by itself."""
    contrastive: ContrastiveSettings | None = None
    """Of a `train_task` of the format contrastive: how queries and candidates are compared."""
    train: PhaseTrain | None = None
    """Training settings of its own, before those of the target phase."""

    @model_validator(mode="before")
    @classmethod
    def _bare_string(cls, data: object) -> object:
        return shorthand(data, "task")


class Evaluate(Model):
    """How targets are evaluated."""

    limit: PositiveInt | None = None
    """Test items per language, the same items in every language that shares their ids; all of them when null."""
    sample: Sample = "random"
    """Which items a limit keeps: a random sample, the same for all cells; or the first of the data."""
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """Without effect: intervals were resampled once, and are computed now. Recipes that have it can still be read."""

    @property
    def scored(self) -> Limit | None:
        """Which of the test items are scored; None for all."""
        return Limit.of(self.limit, self.sample)


class PrefixCacheSettings(Model):
    """Hidden states below adapters that sit in upper layers only: computed once per example, and kept."""

    where: Literal["memory", "disk", "none"] = "memory"
    """In memory while a backbone is loaded; on disk in the store, from run to run; or computed each time."""
    precision: Rounding = "exact"
    """Exact keeps the backbone's own number format and changes no result; the others round, and are part of it."""
    gigabytes: PositiveFloat = 8.0
    """What may be kept at once. Examples of a language that do not fit whole are computed each time."""


class Skip(Model):
    """A part of the grid to leave out: the cells that match every axis named here."""

    backbones: Strings | None = None
    methods: Strings | None = None
    intermediates: Strings | None = None
    transfers: Strings | None = None
    targets: Strings | None = None
    seeds: Annotated[Seeds | None, BeforeValidator(lambda value: (value,) if isinstance(value, int) else value)] = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if all(getattr(self, axis) is None for axis in type(self).model_fields):
            raise ValueError("names no axis, so it would skip every cell")
        return self


class Recipe(Model):
    """A grid of trainings: the product of its axes, minus `skip`."""

    adapterx: Literal[1]
    """Version of the recipe's schema."""
    name: Name
    """Names the run's directory in the store."""
    description: str = ""
    """Shown at the head of the report."""
    backbones: Annotated[dict[Name, Backbone], Field(min_length=1)]
    methods: Annotated[dict[Name, Method], Field(min_length=1)]
    intermediates: Annotated[dict[Name, Intermediate | None], Field(min_length=1)] = Field(
        default_factory=lambda: dict[str, Intermediate | None](none=None)
    )
    """What is learnt first; a null entry goes straight to the target."""
    transfers: Annotated[dict[Name, Transfer], Field(min_length=1)] = Field(
        default_factory=lambda: dict[str, Transfer]({DEFAULT.kind: DEFAULT})
    )
    """How an intermediate adapter reaches the target. A list of kinds is short for transfers named after them."""
    targets: Annotated[dict[Name, Target], Field(min_length=1)]
    """A list of task names is short for targets named after their tasks."""
    seeds: Seeds = (1,)
    lane: Lane = "fused"
    """How trainings are done: fused, many side by side; or each alone, through the libraries' own models."""
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    prefix_cache: PrefixCacheSettings = PrefixCacheSettings()
    skip: Annotated[tuple[Skip, ...], Field(strict=False)] = ()
    compare: Compare | None = None
    publish: Publish | None = None

    @field_validator("targets", mode="before")
    @classmethod
    def _targets_by_task(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if not all(isinstance(task, str) for task in value):
                raise ValueError(
                    "should be a list of task names, or a mapping of named targets: {choice: {task: place-choice}}"
                )
            unique(tuple(value))
            return {task: {"task": task} for task in value}
        return value

    @field_validator("transfers", mode="before")
    @classmethod
    def _transfers_by_kind(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if not all(isinstance(kind, str) for kind in value):
                raise ValueError(
                    "should be a list of kinds, or a mapping of named transfers: {ties: {kind: merge, method: ties}}"
                )
            if len(set(value)) < len(value):
                raise ValueError("lists a transfer more than once")
            return {kind: {"kind": kind} for kind in value}
        return value

    @field_validator("transfers", mode="after")
    @classmethod
    def _none_is_taken(cls, value: dict[str, Transfer]) -> dict[str, Transfer]:
        if "none" in value:
            raise ValueError("'none' already names the cells without an intermediate: choose another name")
        return value

    @field_validator("intermediates", mode="after")
    @classmethod
    def _one_null(cls, value: dict[str, Intermediate | None]) -> dict[str, Intermediate | None]:
        nulls = [name for name, intermediate in value.items() if intermediate is None]
        if len(nulls) > 1:
            raise ValueError(f"has {len(nulls)} null entries ({', '.join(nulls)}), which would be the same cells")
        return value
