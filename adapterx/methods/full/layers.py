"""Full fine-tuning: the encoder's own weights, named as Hugging Face names them, under `encoder.` or `embeddings.`."""

from __future__ import annotations

from adapterx.backbones.shape import Shape
from adapterx.methods.full.spec import Full
from adapterx.methods.parameters import Parameter, zeros


def parameters(method: Full, shape: Shape) -> list[Parameter]:
    """Every tensor of the encoder. Weight decay applies to matrices, not to biases and norms, as in the usual trainers.

    A training starts from a backbone's weights, so the initialiser is never used.
    """
    if not shape.weights:
        raise ValueError("full fine-tuning needs the names of the encoder's own tensors")
    return [Parameter(name, size, zeros, decays=len(size) > 1) for name, size in shape.weights]
