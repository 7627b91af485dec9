"""(IA)³ in the files of `peft` 0.21.2, on the bare encoder (task type FEATURE_EXTRACTION)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.modules import MODULE_PATH, Module
from adapterx.backbones.shape import Encoder
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.files.peft_targets import matched, name_of, naming, targets
from adapterx.files.settings import texts
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.meant import Meant
from adapterx.wording import plain, shown

READS = "IA3"
"""The library's name of the method."""
SETTINGS = ("peft_type", "target_modules", "feedforward_modules")
"""What makes the same adapter anew."""
_HEADS = {"classifier", "score"}
"""What the library trains along with (IA)³ for SEQ_CLS and TOKEN_CLS."""
_UNUSED: dict[str, Any] = {
    "auto_mapping": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_ia3_weights": True,
    "modules_to_save": None,
    "peft_version": "0.21.2",
}
"""What (IA)³ leaves as it is."""
_READ = {"exclude_modules", "feedforward_modules", "peft_type", "target_modules"}
_HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "init_ia3_weights",
    "peft_version",
    "revision",
    "task_type",
}
"""Settings that change nothing about what stored weights compute."""


def config(method: Ia3, encoder: Encoder) -> dict[str, Any]:
    """`adapter_config.json`."""
    layers = method.adapted(encoder.shape.layers)
    return {
        **_UNUSED,
        "base_model_name_or_path": encoder.model or None,
        "revision": encoder.revision,
        "feedforward_modules": _names(method, method.entered, layers),
        "peft_type": READS,
        "target_modules": _names(method, method.target_modules, layers),
        "task_type": "FEATURE_EXTRACTION",
    }


def _names(method: Ia3, modules: Collection[Module], layers: Collection[int]) -> list[str]:
    """Modules as the library finds them: by endings where all layers have them, else by their whole names.

    `output.dense` ends the attention's output too, so the feed-forward's is named whole.
    """
    if method.layers == "all" and "output" not in modules:
        return sorted(module if module in ("query", "key", "value") else MODULE_PATH[module] for module in modules)
    return sorted(f"encoder.layer.{layer}.{MODULE_PATH[module]}" for layer in layers for module in modules)


def name_in_file(key: str) -> str:
    """The library's name of a tensor, less what it calls the model."""
    return key


def check(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what this package would compute otherwise."""
    for key, value in config.items():
        if key in _READ or key in _HARMLESS or (key == "modules_to_save" and set(texts(value) or [key]) <= _HEADS):
            continue
        if key not in _UNUSED:
            if value not in (None, False, {}, [], ""):
                raise FormatError(
                    f"{path}: the setting {plain(key)} ({shown(value)}) is not known, and may change what is computed"
                )
        elif value != _UNUSED[key] and value not in (None, {}, []):
            raise FormatError(f"{path}: {key}: {shown(value)} is not supported; adapterx reads plain (IA)³")


def library_settings(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> dict[str, Any]:
    """What the library is told of the same adapter on the bare encoder, every linear layer named in full."""
    depth = encoder.shape.layers
    named = sorted(map(name_of, targets(path, config, depth, stem)))
    scaled = naming(path, "feedforward_modules", config.get("feedforward_modules") or [])
    entered = [name for name in named if scaled(f"{stem}{name}")]
    return {"peft_type": READS, "target_modules": named, "feedforward_modules": entered}


def read(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> Meant:
    """The method that a checked configuration means."""
    depth = encoder.shape.layers
    modules, layers = matched(path, config, depth, stem)
    scaled: tuple[Module, ...] = ()
    if config.get("feedforward_modules"):
        meant = {**config, "target_modules": config["feedforward_modules"], "exclude_modules": None}
        scaled, _ = matched(path, meant, depth, stem)
    entered = tuple(module for module in scaled if module in modules)
    if wrong := [module for module in entered if module not in ("attention_output", "output")]:
        raise LibraryAloneError(
            f"{path}: feedforward_modules {shown(config['feedforward_modules'])} scale the inputs of {wrong[0]};"
            " adapterx scales those of attention_output and output"
        )
    # Not validated: a file may hold what a recipe may not.
    return Meant(
        Ia3.model_construct(
            target_modules=modules, feedforward_modules=entered, layers="all" if len(layers) == depth else layers
        )
    )
