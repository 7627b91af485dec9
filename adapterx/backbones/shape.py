"""The widths of a backbone that decide the shapes of its adapters."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapterx.backbones.modules import Module


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder: `layers` layers of `hidden` features with feed-forwards `intermediate` wide."""

    layers: int
    hidden: int
    intermediate: int
    weights: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), repr=False)
    """Names and shapes of the encoder's own tensors, which `full` trains."""

    def widths(self, module: Module) -> tuple[int, int]:
        """Input and output features of a linear layer."""
        if module == "intermediate":
            return self.hidden, self.intermediate
        if module == "output":
            return self.intermediate, self.hidden
        return self.hidden, self.hidden


@dataclass(frozen=True)
class Encoder:
    """The encoder that an adapter sits in."""

    architecture: str
    """`xlm-roberta` or `xlm-roberta-xl`."""
    shape: Shape
    model: str = ""
    """Its name, as other libraries are told it."""
    revision: str | None = None
