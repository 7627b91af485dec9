"""A linear probe has no tensors beside the head's, and leaves the encoder as it is."""

from __future__ import annotations

from adapterx.backbones.shape import Shape
from adapterx.methods.parameters import Parameter
from adapterx.methods.probe.spec import Probe


def parameters(method: Probe, shape: Shape) -> list[Parameter]:
    """None."""
    return []
