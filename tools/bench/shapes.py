"""Backbones at hand: sizes of the XLM-R family with random weights and a small vocabulary.

Embeddings are frozen and only looked up, so a vocabulary of 5,000 costs what one of 250,002 costs, without its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VOCABULARY = 5_000
LABELS = 3


@dataclass(frozen=True)
class Shape:
    """One size of encoder."""

    architecture: str
    layers: int
    hidden: int
    heads: int
    intermediate: int

    def __str__(self) -> str:
        return f"{self.layers} × {self.hidden}"


SHAPES = {
    "tiny": Shape("xlm-roberta", 6, 32, 4, 64),
    "small": Shape("xlm-roberta", 12, 384, 12, 1536),
    "base": Shape("xlm-roberta", 12, 768, 12, 3072),
    "large": Shape("xlm-roberta", 24, 1024, 16, 4096),
    "xl": Shape("xlm-roberta-xl", 36, 2560, 32, 10240),
}


def configuration(shape: Shape, dropout: float) -> Any:
    """The Hugging Face configuration. Dropout is the backbone's own, on in training; Hugging Face's default is 0.1."""
    from transformers import XLMRobertaConfig, XLMRobertaXLConfig

    kind: Any = {"xlm-roberta": XLMRobertaConfig, "xlm-roberta-xl": XLMRobertaXLConfig}[shape.architecture]
    return kind(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=LABELS,
    )


def encoder(shape: Shape, device: str, dtype: Any) -> Any:
    """The bare encoder, without pooler."""
    from transformers import XLMRobertaModel, XLMRobertaXLModel

    kind: Any = {"xlm-roberta": XLMRobertaModel, "xlm-roberta-xl": XLMRobertaXLModel}[shape.architecture]
    config = configuration(shape, 0.0)
    return filled(_built(lambda: kind(config, add_pooling_layer=False), device, dtype))


def classifier(shape: Shape, dropout: float, device: str, dtype: Any) -> Any:
    """The same encoder under Hugging Face's own classification head, whose weights the caller sets."""
    from transformers import XLMRobertaForSequenceClassification, XLMRobertaXLForSequenceClassification

    kinds: Any = {
        "xlm-roberta": XLMRobertaForSequenceClassification,
        "xlm-roberta-xl": XLMRobertaXLForSequenceClassification,
    }
    config = configuration(shape, dropout)
    model = _built(lambda: kinds[shape.architecture](config), device, dtype)
    filled(model.roberta)
    return model


def _built(make: Any, device: str, dtype: Any) -> Any:
    """Built where it will live and in its number format: XL in fp32 on the host would not fit beside its likes."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return make()
    finally:
        torch.set_default_dtype(before)


def stored(model: Any, load: str, rest: bool = True) -> Any:
    """The encoder's linear layers in a precision, as `backbones.assemble` stores them; changed in place.

    Args:
        rest: whether embeddings and norms are stored in the precision's format too.
    """
    import torch

    from adapterx.backbones.precisions import precision

    number, layer = getattr(torch, precision(load).rest), precision(load).layer()
    for path, module in list(model.named_modules()):
        if layer is not None and path.startswith("encoder.") and type(module) is torch.nn.Linear:
            parent, _, own = path.rpartition(".")
            bias = module.bias.data.to(number) if rest else module.bias.data
            setattr(model.get_submodule(parent), own, layer(module.weight.data, bias))
        elif rest and not list(module.children()):
            module.to(number)
    return model


def filled(model: Any) -> Any:
    """Give every parameter the value that its name and a fixed seed decide, the same in every process."""
    import torch

    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(0)
    # 0.02 at base width, as in pretraining; narrower encoders must not fall silent.
    deviation = 0.02 * (768 / model.config.hidden_size) ** 0.5
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            tensor.normal_(0.0, deviation, generator=generator)
            if "LayerNorm" in name or "layer_norm" in name:
                tensor.add_(1.0 if name.endswith("weight") else 0.0)
    return model
