"""LoRA in the files of `peft` 0.21.2, on the bare encoder (task type FEATURE_EXTRACTION)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.modules import MODULE_PATH, Module
from adapterx.backbones.shape import Encoder
from adapterx.files.errors import FormatError
from adapterx.files.peft_targets import matched
from adapterx.files.settings import flag, number, shortest, texts, whole
from adapterx.methods.lora.spec import Lora
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
"""Settings that change nothing about what stored weights compute: how they began, and for what library version."""

PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that leave the backbone as it is. Others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take the adapter's
start out of the backbone's weights, and the stored adapter means nothing without that."""

_READ = {
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
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


def read(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> Lora:
    """The method that a checked configuration means."""
    rank = whole(path, config, "r")
    alpha = number(path, config, "lora_alpha")
    dropout = number(path, config, "lora_dropout", 0.0, least=0.0, most=1.0)
    if flag(path, config, "use_rslora", default=False):
        # Scaled by alpha / sqrt(rank) there, by alpha / rank here.
        alpha *= math.sqrt(rank)
    modules, layers = matched(path, config, encoder.shape.layers, stem)
    # Not validated: a file may hold what a recipe may not, and its bounds are those above.
    return Lora.model_construct(
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        target_modules=modules,
        layers="all" if len(layers) == encoder.shape.layers else layers,
    )


def check(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what this package would compute otherwise."""
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
            raise FormatError(
                f"{path}: {key}: {shown(value)} is not supported; adapterx reads plain LoRA: merge the adapter into "
                "the backbone with peft's merge_and_unload, or train it without that setting"
            )


def _check_start(path: Path, value: object) -> None:
    if value not in PLAIN_STARTS:
        raise FormatError(
            f"{path}: init_lora_weights: {shown(value)} changes the backbone too: save the adapter again with peft's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it"
        )
