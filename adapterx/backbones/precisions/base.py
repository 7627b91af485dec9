"""What a number format of frozen weights decides: `Precision`, of which each format is one object. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from adapterx.machine.kernels import Kernels

if TYPE_CHECKING:
    from torch import Tensor, nn

    StoredLayer: TypeAlias = Callable[[Tensor, Tensor], nn.Module]
    """Makes a frozen linear layer from a weight (o, i) in float32 and a bias (o,)."""


REORDERED = 4 << 30
"""Bytes of frozen layers up to which a CPU keeps copies of them in the order that its kernels read."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


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

    def weights(self, embeddings: int, layers: int) -> int:
        """Bytes of a backbone's weights as they are stored in memory.

        Args:
            embeddings, layers: parameters of both.
        """
        return int(self.rest_bytes * embeddings + self.matrix_bytes * layers)

    @property
    def rest_bytes(self) -> int:
        """Of a number that is not in a layer's matrix."""
        return _BYTES[self.rest]

    def hidden_bytes(self, kernels: Kernels) -> int:
        """Of a number of the hidden states, as `compute.hidden_format` chooses their format."""
        return 2 if self.rest == "bfloat16" and kernels.bfloat16 else 4

    def copied_bytes(self, layers: int, kernels: Kernels) -> int:
        """Of a layer's weight in a copy that is kept for each direction of a pass (`products.Reordered`); 0 without.

        Args:
            layers: parameters of all layers.
        """
        own = self.rest_bytes
        kept = not kernels.gpu and own == self.hidden_bytes(kernels)
        return own if kept and own * layers <= REORDERED else 0

    def scratch_bytes(self, kernels: Kernels) -> int:
        """Of a weight of the largest matrix, which is turned into another format for each product; 0 if it is not."""
        return 0 if self.rest_bytes == self.hidden_bytes(kernels) else self.hidden_bytes(kernels)
