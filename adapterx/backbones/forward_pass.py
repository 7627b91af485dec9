"""One pass over the layers of an encoder: which rows cells still share, and what adapters do at each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from adapterx.backbones.layout import PackedBatch
from adapterx.backbones.modules import Module, Place
from adapterx.backbones.products import Product
from adapterx.backbones.residual import add_norm
from adapterx.kernels.tiles import CellRows

QKV: tuple[Module, ...] = ("query", "key", "value")


class Adapters(Protocol):
    """What the encoder asks of a bundle's adapters. `rows` are the token rows of each cell, in order."""

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        """Whether any of these linear layers and residual connections of a layer is changed."""
        ...

    def changes(self, layer: int, modules: Sequence[Module]) -> bool:
        """Whether inputs or outputs of any of these linear layers are changed."""
        ...

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        """Outputs (N, len(modules) * d_out) of frozen linear layers on the same inputs (N, d_in), adapted."""
        ...

    def product(
        self, layer: int, modules: Sequence[Module], product: Product, inputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        """The same, with the frozen product yet to be computed."""
        ...

    @property
    def rescales(self) -> bool:
        """Whether what `linear` does is a factor for each feature of the outputs, whatever the inputs are."""
        ...

    def enters(self, layer: int, module: Module) -> bool:
        """Whether the inputs of a linear layer are changed; asked of those after attention and in the feed-forward."""
        ...

    def entering(self, layer: int, module: Module, inputs: Tensor, rows: tuple[int, ...]) -> Tensor:
        """Inputs (N, d_in) of a frozen linear layer as it is to see them."""
        ...

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        """norm(update + residual), both (N, d), with whatever adapter sits there. A pre-LN layer has no norm here."""
        ...

    @property
    def embeds(self) -> bool:
        """Whether what the embeddings give is changed."""
        ...

    def embedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        """Embeddings (N, d) as the layers are to see them."""
        ...

    def unembedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        """What `embedding` makes `hidden` (N, d) of."""
        ...


class Unadapted:
    """The frozen backbone as it is."""

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        return False

    def changes(self, layer: int, modules: Sequence[Module]) -> bool:
        return self.adapts(layer, modules)

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        return outputs

    def product(
        self, layer: int, modules: Sequence[Module], product: Product, inputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        return self.linear(layer, modules, inputs, product(inputs), rows)

    @property
    def rescales(self) -> bool:
        return False

    def enters(self, layer: int, module: Module) -> bool:
        return False

    def entering(self, layer: int, module: Module, inputs: Tensor, rows: tuple[int, ...]) -> Tensor:
        return inputs

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        return update + residual if norm is None else add_norm(update, residual, norm)

    @property
    def embeds(self) -> bool:
        return False

    def embedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        return hidden

    def unembedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        return hidden


class ForwardPass:
    """One pass over a batch: over rows that cells share up to the first adapter, and rows of their own from there."""

    def __init__(self, batch: PackedBatch, adapters: Adapters, projected: Tensor | None = None) -> None:
        self.batch = batch
        self.layout = batch.shared
        self.adapters = adapters
        self._projected = projected

    @property
    def apart(self) -> bool:
        """Whether each cell has rows of its own."""
        return self.batch.expansion is None or self.layout is self.batch

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each cell as they stand, with their tiles where kernels are to find them."""
        return CellRows.of(self.layout.rows, self.layout.row_tiles, ragged=self.layout.ragged)

    @property
    def read_rows(self) -> tuple[int, ...]:
        """Read rows of each cell likewise."""
        return CellRows.of(self.layout.read_rows, self.layout.read_tiles, reads=True, ragged=self.layout.ragged)

    def projected(self) -> Tensor | None:
        """What is known of the first layer's products, once: a copy, as adapters add to it in place."""
        known, self._projected = self._projected, None
        return None if known is None else known.clone()

    def expand(
        self, layer: int, places: Sequence[Module | Place], rows: Sequence[Tensor] = (), reads: Sequence[Tensor] = ()
    ) -> tuple[Tensor, ...]:
        """The tensors, with a line for every cell's rows from here on if an adapter sits at one of these places.

        Args:
            rows: tensors over all rows.
            reads: tensors over the read rows.
        """
        if not self.adapters.adapts(layer, places):
            return (*rows, *reads)
        return self.expand_all(rows, reads)

    def expand_all(self, rows: Sequence[Tensor] = (), reads: Sequence[Tensor] = ()) -> tuple[Tensor, ...]:
        """The tensors with a line for every cell's rows."""
        expansion = self.batch.expansion
        if expansion is None or self.layout is self.batch:
            return (*rows, *reads)
        self.layout = self.batch
        return (
            *(tensor.index_select(0, expansion.rows) for tensor in rows),
            *(tensor.index_select(0, expansion.reads) for tensor in reads),
        )

    def read(self, hidden: Tensor) -> Tensor:
        """(R, d) rows that are read, of (N, d) states as they stand; the forward goes on as if nobody had looked."""
        if self.layout is not self.batch and self.batch.expansion is not None:
            hidden = hidden.index_select(0, self.batch.expansion.rows)
        return hidden.index_select(0, self.batch.reads)
