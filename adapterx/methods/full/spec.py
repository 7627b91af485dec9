"""What a recipe says of full fine-tuning, and what follows for a plan."""

from __future__ import annotations

from typing import ClassVar, Literal

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.base import MethodSpec, Table


class Full(MethodSpec):
    """Full fine-tuning: every weight of the encoder is trained, embeddings too; nothing stays frozen."""

    layers_in: ClassVar[str] = "adapterx.methods.full.layers"
    trains_backbone: ClassVar[bool] = True

    kind: Literal["full"] = "full"
    gradient_checkpointing: bool = False
    """Compute each layer again on the way back: less memory, about a third more time, the same result."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """With 8 bits the moments take a byte each instead of four, by `bitsandbytes`: other results, nearly as good."""

    @classmethod
    def frozen_defaults(cls, settings: Table) -> Table:
        return {"gradient_checkpointing": False, "optimizer": "adamw"}

    def kept(self, info: BackboneInfo) -> float:
        """What enters each product: of query, key and value, after attention, and of the feed-forward block."""
        return 3 * info.hidden + info.intermediate

    @property
    def eight_bit(self) -> bool:
        return self.optimizer == "adamw_8bit"

    @property
    def checkpoints_layers(self) -> bool:
        return self.gradient_checkpointing

    @property
    def needs(self) -> tuple[str, str] | None:
        return ("bitsandbytes", "keeps moments in 8 bits") if self.eight_bit else None

    @property
    def not_exported(self) -> str:
        return "trains every weight, so there is no adapter to export"

    @property
    def not_by_library(self) -> str:
        if self.optimizer == "adamw":
            return ""
        return f"has optimizer {self.optimizer}, and the reference lane torch's adamw alone"

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        """Those of the encoder."""
        return info.parameters
