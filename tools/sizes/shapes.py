"""Checkpoints of the XLM-R family with random weights: true shapes, the whole vocabulary, fewer layers where asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

EMBEDDED = "embedded/e5-small"
"""The embedded backbone, which is not written but made by adapterx: 12 layers, 384 wide, trained."""
SHARD = 1 << 30


@dataclass(frozen=True)
class Size:
    """One size of encoder, under the names of its configuration."""

    model_type: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    whole: int = 0
    """Layers of the real model."""

    @classmethod
    def of(cls, name: str, layers: int | None = None) -> Size:
        """The size of that name, whole or with its first layers only."""
        size = SIZES[name]
        whole = size.num_hidden_layers
        return replace(size, num_hidden_layers=min(layers or whole, whole), whole=whole)

    def config(self) -> dict[str, Any]:
        """A `config.json`."""
        settings = {key: value for key, value in asdict(self).items() if key != "whole"}
        return settings | {
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "hidden_act": "gelu",
        }

    def write(self, directory: Path) -> None:
        """Write a checkpoint in float32, shard by shard."""
        import torch
        from safetensors.torch import save_file

        from adapterx.doctor.points import write_tokenizer

        directory.mkdir(parents=True)
        (directory / "config.json").write_text(json.dumps(self.config()))
        write_tokenizer(directory)
        generator = torch.Generator().manual_seed(0)
        placed: dict[str, str] = {}
        for number, shard in enumerate(self._shards()):
            name = f"model-{number + 1:05}.safetensors"
            tensors = {key: _random(key, shape, self.hidden_size, generator) for key, shape in shard}
            save_file(tensors, directory / name, metadata={"format": "pt"})
            placed |= dict.fromkeys(tensors, name)
        (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))

    def _shards(self) -> Iterator[list[tuple[str, tuple[int, ...]]]]:
        from math import prod

        from adapterx.backbones.sizes import tensors

        shard: list[tuple[str, tuple[int, ...]]] = []
        held = 0
        for key, shape in tensors(self.config()):
            shard.append((key, shape))
            held += 4 * prod(shape)
            if held >= SHARD:
                yield shard
                shard, held = [], 0
        if shard:
            yield shard


SIZES = {
    "base": Size("xlm-roberta", 12, 768, 12, 3072, 250_002),
    "large": Size("xlm-roberta", 24, 1024, 16, 4096, 250_002),
    "xl": Size("xlm-roberta-xl", 36, 2560, 32, 10240, 250_880),
    "xxl": Size("xlm-roberta-xl", 48, 4096, 32, 16384, 250_880),
}


def _random(key: str, shape: tuple[int, ...], hidden: int, generator: Any) -> Any:
    """Weights as wide as pretraining leaves them: 0.02 at base's width; norms near 1."""
    import torch

    tensor = torch.randn(shape, generator=generator) * (0.02 * (768 / hidden) ** 0.5)
    norm = key.endswith("weight") and ("LayerNorm" in key or "layer_norm" in key)
    return tensor + 1.0 if norm else tensor
