"""The prediction head of a task: what turns the rows the encoder was asked for into scores and a loss.

Its layers and its loss are its kind's: see `adapterx.tasks.kinds`. Architectures are those of XLM-R's own heads and of
AdapterHub's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from adapterx.methods.parameters import Initialiser, Parameter, normal, ones, zeros
from adapterx.tasks import kinds
from adapterx.tasks.kinds.base import Targets, TaskKind

_STARTS: Mapping[str, Initialiser] = {"normal": normal(0.02), "zeros": zeros, "ones": ones}


@dataclass(frozen=True)
class VectorComparison:
    """How the vectors of texts are made and compared."""

    temperature: float
    pooling: Literal["mean", "cls"]


@dataclass(frozen=True)
class Head:
    """The head of one task.

    Tensors are named `head.<task>.dense.{weight,bias}` and `head.<task>.output.{weight,bias}`, say.
    """

    reduces: ClassVar[bool] = False
    """Whether `units` makes less of `scores`, and is done before they are fetched from a device."""

    task: str
    format: str
    """The name of the task's kind."""
    labels: int
    """As `TaskKind.size` counts: classes, positions of choices, tokens of a vocabulary; 0 where there are none."""
    contrast: VectorComparison | None = None
    """How vectors are made and compared, of a head whose examples are told apart by each other."""

    @property
    def kind(self) -> TaskKind[Any]:
        """What it is a head of."""
        return kinds.kind(self.format)

    @property
    def prefix(self) -> str:
        """What the names of its tensors begin with."""
        return f"head.{self.task}."

    def parameters(self, hidden: int) -> list[Parameter]:
        """The head's tensors for an encoder of this width."""
        return [
            Parameter(f"{self.prefix}{one.name}", one.shape, _STARTS[one.start], one.decays)
            for one in self.kind.tensors(hidden, self.labels)
        ]

    def scores(self, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """(R, o) scores of the (R, d) rows read. `tensors`: of one cell."""
        return self.kind.scores(self.prefix, tensors, rows)

    def units(self, scores: Tensor, reads: Tensor) -> Tensor:
        """(U, classes): one line per label, of extractive QA per row.

        Args:
            scores: (R, o) from `scores`.
            reads: (n,) rows read for each of the n examples.
        """
        return self.kind.units(scores, reads)

    def total(
        self,
        tensors: Mapping[str, Tensor],
        rows: Tensor,
        targets: Targets,
        unembed: Callable[[Tensor], Tensor],
        embeddings: Tensor,
    ) -> Tensor:
        """The loss of the rows that one cell reads, summed over labels with the weight of each; as `TaskKind.total`."""
        if self.contrast is not None:
            return self.joint(self.vectors(rows, targets), targets)
        return self.kind.total(self.prefix, tensors, rows, targets, unembed, embeddings)

    def vectors(self, rows: Tensor, targets: Targets) -> Tensor:
        """(s, d) of each sequence of a coupled head, of the (R, d) rows of a batch or of a part of one."""
        from adapterx.tasks.kinds.contrastive import loss

        assert self.contrast is not None
        return loss.vectors(rows, targets.windows, self.contrast.pooling)

    def joint(self, vectors: Tensor, targets: Targets) -> Tensor:
        """The loss of the (s, d) vectors of a whole batch."""
        from adapterx.tasks.kinds.contrastive import loss

        assert self.contrast is not None
        return loss.info_nce(vectors, targets, self.contrast.temperature)

    def losses(
        self, tensors: Mapping[str, Tensor], rows: Tensor, labels: Tensor, weights: Tensor, reads: int
    ) -> Tensor:
        """(K,) losses of K cells at once; arguments as of `TaskKind.losses`."""
        return self.kind.losses(self.prefix, tensors, rows, labels, weights, reads)
