"""Bottleneck adapters in the files of AdapterHub's `adapters` 1.3.0: `seq_bn`, `double_seq_bn` and `par_bn`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from adapterx.backbones.shape import Encoder
from adapterx.files.adapterhub_settings import check_known, dropout, kept_layers, left_out, positive
from adapterx.files.errors import FormatError
from adapterx.files.settings import shortest
from adapterx.methods.bottleneck import invertible
from adapterx.methods.bottleneck.spec import Activation, Bottleneck, Placement
from adapterx.wording import shown

READS: str | None = None
"""The library's `architecture`."""
_PLACEMENTS: dict[Placement, dict[str, Any]] = {
    "sequential": {"mh_adapter": False, "is_parallel": False, "original_ln_before": True},
    "double": {"mh_adapter": True, "is_parallel": False, "original_ln_before": False},
    "parallel": {"mh_adapter": False, "is_parallel": True, "original_ln_before": False},
}
_BOTTLENECK: dict[str, Any] = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "ln_after": False,
    "ln_before": False,
    "original_ln_after": True,
    "output_adapter": True,
    "phm_layer": False,
    "residual_before_ln": True,
    "use_gating": False,
}
"""What the three placements share, and what any other configuration is refused for."""
_BOTTLENECK_REST: dict[str, Any] = {
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights_seed": None,
    "learn_phm": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_rank": 1,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
}
"""Means nothing for stored weights of a plain bottleneck."""
_ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu", "swish": "swish", "silu": "swish"}
_SMALLEST_FACTOR = 1e-3
"""A bottleneck a thousand times as wide as the encoder, which nobody means."""
_CHECKED_DEFAULTS: dict[str, Any] = {"is_parallel": False}


def config(method: Bottleneck, encoder: Encoder) -> dict[str, Any]:
    """The library's configuration."""
    return {
        **_BOTTLENECK,
        **_BOTTLENECK_REST,
        **_PLACEMENTS[method.placement],
        "dropout": method.dropout,
        "inv_adapter": method.invertible,
        "inv_adapter_reduction_factor": invertible.REDUCTION if method.invertible else None,
        "init_weights": "mam_adapter" if method.placement == "parallel" else "bert",
        "leave_out": left_out(method.adapted(encoder.shape.layers), encoder),
        "non_linearity": method.activation,
        "reduction_factor": _reduction_factor(method.inside(encoder.shape.hidden), method, encoder),
        "scaling": method.scaling,
    }


def _reduction_factor(width: int, method: Bottleneck, encoder: Encoder) -> float | int:
    """A factor from which the library works out the same width: floor(hidden / factor), at least 1."""
    hidden, factor = encoder.shape.hidden, method.reduction_factor
    if max(1, int(hidden // factor)) != width:
        factor = hidden / width
        while int(hidden // factor) < width:
            factor = math.nextafter(factor, 0.0)
    return shortest(factor)


def name_in_file(key: str, name: str) -> str:
    """`….adapter.down.weight` → `….adapters.NAME.adapter_down.0.weight`."""
    if key.startswith(invertible.PREFIX):
        part, direction, kind = key.removeprefix(invertible.PREFIX).split(".")
        return f"invertible_adapters.{name}.{part}.{0 if direction == 'down' else 2}.{kind}"
    place, end = key.split(".adapter.")
    direction, kind = end.split(".")
    step = "adapter_down.0" if direction == "down" else "adapter_up"
    return f"{place}.adapters.{name}.{step}.{kind}"


def check_stack(methods: Sequence[Bottleneck]) -> str:
    """Why the library computes several of them, one upon the other, in another way; empty where it does not."""
    if any(method.placement == "parallel" for method in methods):
        return (
            "of several parallel adapters adapters 1.3.0 lets only the last one act, here they add: "
            "neither library's files hold such a stack"
        )
    if any(method.invertible for method in methods[1:]):
        return "adapters 1.3.0 knows an invertible adapter in the lowest adapter of a stack only"
    return ""


def read(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Bottleneck:
    """The method that a configuration means; FormatError for what this package would compute otherwise."""
    check_known(path, config, _BOTTLENECK, _BOTTLENECK_REST, "bottleneck")
    flags = {key: config.get(key, _CHECKED_DEFAULTS.get(key)) for key in _PLACEMENTS["sequential"]}
    placement = next((name for name, wanted in _PLACEMENTS.items() if wanted == flags), None)
    if placement is None:
        raise FormatError(
            f"{path}: {shown(flags, 200)} is none of seq_bn, double_seq_bn and par_bn, which adapterx reads"
        )
    activation = config.get("non_linearity")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise FormatError(f"{path}: non_linearity {shown(activation)} is not supported; {', '.join(_ACTIVATIONS)} are")
    # Not validated: a file may hold what a recipe may not, and its bounds are those above.
    return Bottleneck.model_construct(
        placement=placement,
        reduction_factor=positive(path, config, "reduction_factor", None, least=_SMALLEST_FACTOR),
        activation=_ACTIVATIONS[activation],
        scaling=positive(path, config, "scaling", 1.0),
        dropout=dropout(path, config),
        layers=kept_layers(path, config, encoder),
        invertible=_invertible(path, config),
    )


def _invertible(path: Path, config: Mapping[str, Any]) -> Literal["nice"] | None:
    kind, factor = config.get("inv_adapter"), config.get("inv_adapter_reduction_factor")
    if kind is None:
        return None
    if kind != "nice" or factor != invertible.REDUCTION:
        raise FormatError(
            f"{path}: the invertible adapter is {shown(kind)} with a reduction factor of {shown(factor)}; adapterx "
            f"reads 'nice' with {invertible.REDUCTION}"
        )
    return "nice"
