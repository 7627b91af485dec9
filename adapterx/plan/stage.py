"""One piece of work with its own stored result: train an intermediate, train a target, evaluate it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.limits import Limit
from adapterx.methods.base import MethodSpec
from adapterx.plan.adoption import Adoption
from adapterx.plan.memory import StageMemory
from adapterx.recipe import Lane, Sampling
from adapterx.recipe.batches import Batches
from adapterx.recipe.contrastive import ContrastiveSettings
from adapterx.recipe.schema import Rounding
from adapterx.store import JSON
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings
from adapterx.transfers.base import TransferSpec

StageKind = Literal["intermediate", "target", "evaluation"]


@dataclass(frozen=True)
class Training:
    """A training as the engine needs it: every setting concrete."""

    tasks: tuple[TaskPart, ...]
    """Sorted by name."""
    sampling: Sampling
    """Normalised."""
    train: TrainSettings
    seed: int
    transfer: TransferSpec | None
    """How the adapters of the stage's inputs are used; None where there are no inputs."""
    prefix: Rounding = "exact"
    """How hidden states below the lowest adapter are rounded."""
    member_dev: tuple[tuple[TaskPart, ...], ...] = ()
    """What each input learnt, dev data included, where the weights of a merger are chosen on those."""
    lane: Lane = "fused"
    batches: Batches | None = None
    """Batches of one language beside batches of pairs of languages; None where every example is drawn by itself."""
    contrastive: ContrastiveSettings | None = None
    """How queries and candidates are compared, where some are learnt from."""
    text_share: float = 0.0
    """Part of the steps that learn the text among the tasks; 0 where there is none beside others."""

    @property
    def paired(self) -> bool:
        """Whether some examples pair languages."""
        return self.batches is not None and self.batches.monolingual < 1

    @property
    def lies_upon_inputs(self) -> bool:
        """Whether the adapters of the inputs stay frozen below what is trained."""
        return self.transfer is not None and self.transfer.freezes


@dataclass(frozen=True)
class SearchSettings:
    """How retrieval turns texts into vectors and compares them."""

    layer: int
    """How many layers the hidden states have passed."""
    pooling: Literal["mean", "cls"]
    special_tokens: bool
    similarity: Literal["cosine", "margin"]
    neighbours: int | None
    """Of each text, behind a margin or a mined pair; None where nothing asks for them."""
    max_length: int
    """Tokens per text."""
    query_prefix: str | None = None
    """Words before every query."""
    candidate_prefix: str | None = None
    """Words before every candidate."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation on the test split."""

    task: TaskPart
    limit: Limit | None
    """Items per language; the same items in every language that shares their ids."""
    prefix: Rounding = "exact"
    """How hidden states below the lowest adapter are rounded."""
    swapped: tuple[str, ...] = ()
    """The languages whose own adapters, the stage's inputs after the first, take the place of the frozen one below."""
    lane: Lane = "fused"
    """That of the training."""
    search: SearchSettings | None = None
    """Of retrieval."""


@dataclass(frozen=True)
class Cost:
    """What a stage takes. All but the first are estimates."""

    trainable_parameters: int
    memory: StageMemory
    """At the peak, in a bundle of any size."""
    rows: int
    """Token rows of a typical step, all candidates together."""
    seconds: float | None
    """Alone; None where the size of the data is not known beforehand."""
    disk_bytes: int
    shared_seconds: float = 0.0
    """How many of them the cells of a bundle take once for all of them."""
    items: int | None = None
    """Test items of an evaluation, of all languages together; None where their number is not known."""

    @property
    def memory_bytes(self) -> int:
        """Of the stage alone, beyond the program's own."""
        return self.memory.of().needed

    @property
    def own_bytes(self) -> int:
        """What a second stage like it adds to a bundle."""
        return self.memory.of(2).needed - self.memory_bytes

    @property
    def shared_bytes(self) -> int:
        """What a bundle takes once."""
        return self.memory_bytes - self.own_bytes


@dataclass(frozen=True)
class Coordinates:
    """The names, in the recipe, of the axis entries a stage belongs to (the first, where several share the stage)."""

    backbone: str
    method: str
    intermediate: str
    seed: int
    transfer: str = "none"
    target: str | None = None
    language: str | None = None
    """Of an adapter for one language."""

    @property
    def label(self) -> str:
        """The readable name: the coordinates joined by dots, transfer, target and language where there are any."""
        transfer = [] if self.transfer == "none" else [self.transfer]
        rest = [part for part in (self.target, self.language) if part is not None]
        return ".".join([self.backbone, self.method, self.intermediate, *transfer, *rest, f"seed{self.seed}"])


@dataclass(frozen=True, eq=False)
class Stage:
    """A node of the plan. Two stages are the same if their ids are."""

    kind: StageKind
    id: str
    """64 hex digits over kind, stage version, settings and inputs."""
    settings: Mapping[str, JSON]
    """Everything that can change the result, settings at their default left out."""
    inputs: tuple[str, ...]
    """Ids of the stages whose results this one reads; an evaluation of the backbone as it is has none."""
    coordinates: Coordinates
    backbone: Backbone
    info: BackboneInfo
    method: MethodSpec
    work: Training | Evaluation | Adoption
    cost: Cost

    @property
    def label(self) -> str:
        """The readable part of the stage's name in the store."""
        return self.coordinates.label

    @property
    def candidates(self) -> int:
        """Trainings that the stage comes to: one per learning rate where it prunes, else 1; 0 for an evaluation."""
        return len(self.work.train.candidates) if isinstance(self.work, Training) else 0
