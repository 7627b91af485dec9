"""LoRA in the files of `peft` 0.21.2, on the bare encoder (task type FEATURE_EXTRACTION)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from adapterx.backbones.modules import MODULE_PATH, Module
from adapterx.backbones.shape import Encoder
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.files.peft_patterns import ByModule
from adapterx.files.peft_targets import name_of, spanned, targets
from adapterx.files.settings import flag, number, shortest, texts, whole
from adapterx.methods.lora.spec import Lora
from adapterx.methods.meant import Meant
from adapterx.wording import plain, shown

READS = "LORA"
"""The library's name of the method."""
SETTINGS = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "layers_to_transform", "layers_pattern")
"""What makes the same adapter anew."""
_HEADS = {"classifier", "score"}
"""What the library trains along with LoRA for SEQ_CLS and TOKEN_CLS."""

_UNUSED: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "kasa_config": None,
    "layer_replication": None,
    "loftq_config": {},
    "lora_bias": False,
    "lora_ga_config": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "monteclora_config": None,
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "rank_pattern": {},
    "target_parameters": None,
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_dora": False,
    "use_qalora": False,
    "velora_config": None,
}
"""What a plain LoRA leaves as it is."""

_HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "fan_in_fan_out",
    "inference_mode",
    "ensure_weight_tying",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
}
"""Settings that change nothing about what stored weights compute: how they began, for what library version, and
`fan_in_fan_out`, which the library turns off for a linear layer as encoders have it."""
BY_LIBRARY: Mapping[str, tuple[object, ...]] = {
    "bias": ("all", "lora_only"),
    "lora_bias": (True,),
    "use_dora": (True,),
}
"""Settings that the engine has not got, with the values that the library computes."""

PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that leave the backbone as it is. Others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take the adapter's
start out of the backbone's weights, and the stored adapter means nothing without that."""

_FARTHEST = 1e6
"""Between the scalings of two layers, so that one in place of the other overflows nothing."""

_READ = {
    "alpha_pattern",
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "use_rslora",
}


def config(method: Lora, encoder: Encoder) -> dict[str, Any]:
    """`adapter_config.json`."""
    targets = {_suffix(module) for module in method.target_modules}
    if "output" in method.target_modules:
        if "attention_output" in method.target_modules:
            # One suffix means both, and no other module of a layer.
            targets = targets - {MODULE_PATH["attention_output"]} | {MODULE_PATH["output"]}
        else:
            # The suffix alone would reach the attention's output too.
            layers = method.adapted(encoder.shape.layers)
            targets |= {f"encoder.layer.{layer}.{MODULE_PATH['output']}" for layer in layers}
    return {
        **_UNUSED,
        "base_model_name_or_path": encoder.model or None,
        "revision": encoder.revision,
        "layers_pattern": None if method.layers == "all" else "layer",
        "layers_to_transform": None if method.layers == "all" else list(method.adapted(encoder.shape.layers)),
        "lora_alpha": shortest(method.plain_alpha),
        "lora_dropout": method.dropout,
        "peft_type": "LORA",
        "r": method.rank,
        "target_modules": sorted(targets - {""}),
        "task_type": "FEATURE_EXTRACTION",
        "use_rslora": False,
    }


def _suffix(module: Module) -> str:
    """The shortest name that ends only this module's path; empty for `output`, which has none of its own."""
    if module in ("query", "key", "value"):
        return module
    return "" if module == "output" else MODULE_PATH[module]


def name_in_file(key: str) -> str:
    """The library's name of a tensor, less what it calls the model."""
    return f"{key}.weight"


def read(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> Meant:
    """The method that a checked configuration means: of the largest rank, scaled as most of its places are."""
    meant = targets(path, config, encoder.shape.layers, stem)
    modules, layers = spanned(meant)
    shared: dict[str, Any] = {
        "dropout": number(path, config, "lora_dropout", 0.0, least=0.0, most=1.0),
        "target_modules": modules,
        "layers": "all" if len(layers) == encoder.shape.layers else layers,
    }
    ranks, alphas = ByModule(path, config, "rank_pattern"), ByModule(path, config, "alpha_pattern")
    places: dict[str, Lora] = {}
    for target in meant:
        name = name_of(target)
        own = {**config, **ranks.settings(f"{stem}{name}", "r"), **alphas.settings(f"{stem}{name}", "lora_alpha")}
        places[name] = _sized(path, own, shared)
    first, *others = places.values()
    even = all((one.rank, one.alpha) == (first.rank, first.alpha) for one in others)
    if even and len(meant) == len(modules) * len(layers):
        return Meant(first)
    ((scaling, _),) = Counter(one.scaling for one in places.values() if one.scaling).most_common(1) or ((1.0, 0),)
    factors = {name: one.scaling / scaling for name, one in places.items() if one.scaling != scaling}
    far = (name for name, one in factors.items() if one and not 1 / _FARTHEST <= abs(one) <= _FARTHEST)
    if apart := next(far, None):
        raise FormatError(f"{path}: the scaling of {apart} is {factors[apart]:g} times that of other layers")
    rank = max(one.rank for one in places.values())
    method = Lora.model_construct(rank=rank, alpha=scaling * rank, **shared)
    return Meant(method, places, {f"{name}.lora_B": factor for name, factor in factors.items()})


def _sized(path: Path, config: Mapping[str, Any], shared: Mapping[str, Any]) -> Lora:
    """The LoRA of one linear layer, by its own rank and alpha."""
    rank, alpha = whole(path, config, "r"), number(path, config, "lora_alpha")
    if flag(path, config, "use_rslora", default=False):
        # Scaled by alpha / sqrt(rank) there, by alpha / rank here.
        alpha *= math.sqrt(rank)
    # Not validated: a file may hold what a recipe may not, and its bounds are those above.
    return Lora.model_construct(rank=rank, alpha=alpha, **shared)


def library_settings(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> dict[str, Any]:
    """What the library is told of the same adapter on the bare encoder, every linear layer named in full.

    Never more than what is read here: of some settings the library imports what they name.
    """
    meant = read(path, config, encoder, stem)
    lora = cast(Lora, meant.method)
    places = meant.places or {name_of(one): lora for one in targets(path, config, encoder.shape.layers, stem)}
    sizes = {name: cast(Lora, one) for name, one in places.items()}
    return {
        "peft_type": READS,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(sizes),
        "rank_pattern": {re.escape(name): one.rank for name, one in sizes.items() if one.rank != lora.rank},
        "alpha_pattern": {re.escape(name): one.alpha for name, one in sizes.items() if one.alpha != lora.alpha},
        **{key: config[key] for key, values in BY_LIBRARY.items() if config.get(key) in values},
    }


def check(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what this package would compute otherwise: LibraryAloneError where that is all, and the library does."""
    alone = ""
    for key, value in config.items():
        if key in _READ or key in _HARMLESS:
            continue
        if key == "init_lora_weights":
            _check_start(path, value)
            continue
        if key == "modules_to_save" and set(texts(value) or [key]) <= _HEADS:
            continue
        if key not in _UNUSED:
            if value not in (None, False, {}, [], ""):
                raise FormatError(
                    f"{path}: the setting {plain(key)} ({shown(value)}) is not known, and may change what is computed"
                )
        elif value != _UNUSED[key] and value not in (None, {}, []):
            told = f"{path}: {key}: {shown(value)} is not supported"
            if value not in BY_LIBRARY.get(key, ()):
                raise FormatError(f"{told}; train the adapter without that setting")
            alone = told
    if alone:
        raise LibraryAloneError(f"{alone} by the fused engine")


def _check_start(path: Path, value: object) -> None:
    if value not in PLAIN_STARTS:
        raise FormatError(
            f"{path}: init_lora_weights: {shown(value)} changes the backbone too: save the adapter again with peft's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it"
        )
