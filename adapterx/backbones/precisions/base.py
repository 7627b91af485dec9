"""What a number format of frozen weights decides: `Precision`, of which each format is one object. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

    StoredLayer: TypeAlias = Callable[[Tensor, Tensor], nn.Module]
    """Makes a frozen linear layer from a weight (o, i) in float32 and a bias (o,)."""


class Precision:
    """A number format in which a backbone is loaded. It changes results, so it is part of what a stage is.

    Which kernel multiplies with the weights, and in which format hidden states are computed, is the machine's choice.
    """

    name: ClassVar[str]
    """As recipes and records write it."""
    description: ClassVar[str]
    """For tables of what fits: a few words."""
    rest: ClassVar[Literal["float32", "bfloat16", "float16"]]
    """Torch's name for the format of embeddings, biases and norms, and of matrices that are not stored as `layer`."""
    matrix_bytes: ClassVar[float]
    """Bytes of a weight in a layer's matrix, scales included."""
    trainable: ClassVar[bool] = False
    """Whether full fine-tuning runs in it: its weights are kept in float32 beside those it computes with."""
    exact: ClassVar[bool] = False
    """Whether weights are as checkpoints store them: some libraries train nothing else."""
    library: ClassVar[bool] = True
    """Whether libraries of adapters know layers stored so."""
    needs: ClassVar[str] = ""
    """The package, which is also the extra, that stores weights so."""
    capability: ClassVar[tuple[int, int]] = (0, 0)
    """Of the GPU that it needs; (0, 0) where a CPU runs it too."""

    def layer(self) -> StoredLayer | None:
        """How a linear layer inside the encoder is stored; None for an `nn.Linear` in the format of the rest."""
        return None

    def weights(self, embeddings: int, layers: int, reordered: int) -> int:
        """Bytes in memory of a backbone's weights.

        Args:
            embeddings, layers: parameters of both.
            reordered: up to how many bytes of layers a CPU keeps copies of, in the order in which it multiplies them.
        """
        return int(self.rest_bytes * embeddings + self.matrix_bytes * layers)

    @property
    def rest_bytes(self) -> int:
        return 4 if self.rest == "float32" else 2
