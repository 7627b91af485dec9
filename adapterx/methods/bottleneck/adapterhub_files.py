"""Bottleneck adapters in the files of AdapterHub's `adapters` 1.3.0: `seq_bn`, `double_seq_bn` and `par_bn`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from adapterx.backbones.shape import Encoder
from adapterx.files.adapterhub_settings import check_known, dropout, kept_layers, left_out, positive
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.files.settings import shortest
from adapterx.methods.bottleneck import invertible
from adapterx.methods.bottleneck.layers import name
from adapterx.methods.bottleneck.spec import Activation, Bottleneck, Placement
from adapterx.methods.meant import Meant
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
"""What the three placements share; the library computes other values, which its own model then does."""
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
_ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "swish": "swish",
    "silu": "swish",
    "tanh": "tanh",
    "leakyrelu": "leakyrelu",
    "leaky_relu": "leakyrelu",
}
_SMALLEST_FACTOR = 1e-3
"""A bottleneck a thousand times as wide as the encoder, which nobody means."""
_CHECKED_DEFAULTS: dict[str, Any] = {"is_parallel": False, "original_ln_before": False}


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


def name_in_file(key: str, adapter: str) -> str:
    """`….adapter.down.weight` → `….adapters.NAME.adapter_down.0.weight`."""
    if key.startswith(invertible.PREFIX):
        part, direction, kind = key.removeprefix(invertible.PREFIX).split(".")
        return f"invertible_adapters.{adapter}.{part}.{0 if direction == 'down' else 2}.{kind}"
    place, end = key.split(".adapter.")
    direction, kind = end.split(".")
    step = "adapter_down.0" if direction == "down" else "adapter_up"
    return f"{place}.adapters.{adapter}.{step}.{kind}"


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


def read(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Meant:
    """What a configuration means: of the largest width, where factors differ from layer to layer."""
    check_known(path, _meaningful(config), _BOTTLENECK, _BOTTLENECK_REST, "bottleneck")
    flags = {key: config.get(key, _CHECKED_DEFAULTS.get(key)) for key in _PLACEMENTS["sequential"]}
    placement = next((name for name, wanted in _PLACEMENTS.items() if wanted == flags), None)
    if placement is None:
        raise LibraryAloneError(
            f"{path}: {shown(flags, 200)} is none of seq_bn, double_seq_bn and par_bn, which adapterx reads"
        )
    activation = config.get("non_linearity")
    if not isinstance(activation, str) or activation.lower() not in _ACTIVATIONS:
        error = LibraryAloneError if isinstance(activation, str) else FormatError
        raise error(f"{path}: non_linearity {shown(activation)} is not supported; {', '.join(_ACTIVATIONS)} are")
    if config.get("scaling") in ("learned", "channel"):
        raise LibraryAloneError(f"{path}: scaling {shown(config['scaling'])} is not supported; a number is")
    layers = kept_layers(path, config, encoder)
    # Not validated: a file may hold what a recipe may not, and its bounds are those above.
    whole = Bottleneck.model_construct(
        placement=placement,
        reduction_factor=1.0,
        activation=_ACTIVATIONS[activation.lower()],
        scaling=positive(path, config, "scaling", 1.0),
        dropout=dropout(path, config),
        layers=layers,
        invertible=_invertible(path, config),
    )
    return _with_factors(whole, _factors(path, config, whole.adapted(encoder.shape.layers)))


def _meaningful(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings less those that others leave without effect."""
    unread = {"cross_adapter"}  # an encoder has no attention to another one
    if not config.get("original_ln_before") or config.get("is_parallel"):
        unread.add("residual_before_ln")
    if not config.get("ln_after") or config.get("is_parallel"):
        unread.add("adapter_residual_before_ln")
    return {key: value for key, value in config.items() if key not in unread}


def _factors(path: Path, config: Mapping[str, Any], layers: Sequence[int]) -> dict[int, float]:
    """The reduction factor of each layer: one for all, or a table by layer with a default."""
    given = config.get("reduction_factor")
    if not isinstance(given, dict):
        return dict.fromkeys(layers, positive(path, config, "reduction_factor", None, least=_SMALLEST_FACTOR))
    own = {layer: {"reduction_factor": given.get(str(layer), given.get("default"))} for layer in layers}
    return {
        layer: positive(path, factor, "reduction_factor", None, least=_SMALLEST_FACTOR) for layer, factor in own.items()
    }


def _with_factors(method: Bottleneck, factors: Mapping[int, float]) -> Meant:
    """The method with the smallest factor, and what the other layers have where theirs are larger."""
    sized = {factor: method.model_copy(update={"reduction_factor": factor}) for factor in factors.values()}
    widest = sized[min(sized)]
    if len(sized) == 1:
        return Meant(widest)
    places = {name(layer, place): sized[factors[layer]] for layer in factors for place in method.sites}
    return Meant(widest, {**places, invertible.PREFIX.removesuffix("."): widest})


def _invertible(path: Path, config: Mapping[str, Any]) -> Literal["nice"] | None:
    kind, factor = config.get("inv_adapter"), config.get("inv_adapter_reduction_factor")
    if kind is None:
        return None
    if kind != "nice" or factor != invertible.REDUCTION:
        error = LibraryAloneError if kind in ("nice", "glow") else FormatError
        raise error(
            f"{path}: the invertible adapter is {shown(kind)} with a reduction factor of {shown(factor)}; adapterx "
            f"reads 'nice' with {invertible.REDUCTION}"
        )
    return "nice"
