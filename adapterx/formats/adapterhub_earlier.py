"""What earlier versions of AdapterHub's library wrote, as today's would: adapter-transformers 1 to 3, adapters 1.0.

`adapters` 1.3.0 still loads it. What it does then (`AdapterLoader` of `loading.py`, and
`configuration/adapter_config.py`) is done here to the configuration and to the names of tensors, so that all else reads
today's form alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from adapterx.files.errors import FormatError
from adapterx.wording import shown

logger = logging.getLogger(__name__)

_SEQUENTIAL = {
    "mh_adapter": False,
    "non_linearity": "relu",
    "original_ln_before": True,
    "output_adapter": True,
    "reduction_factor": 16,
}
_DOUBLE = {**_SEQUENTIAL, "mh_adapter": True, "non_linearity": "swish", "original_ln_before": False}
_PARALLEL = {**_SEQUENTIAL, "is_parallel": True, "original_ln_before": False, "reduction_factor": 2, "scaling": 4.0}
_INVERTIBLE = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2}
_NAMED: dict[str, dict[str, Any]] = {
    "pfeiffer": _SEQUENTIAL,
    "houlsby": _DOUBLE,
    "parallel": _PARALLEL,
    "pfeiffer+inv": {**_SEQUENTIAL, **_INVERTIBLE},
    "houlsby+inv": {**_DOUBLE, **_INVERTIBLE},
}
_NAMED |= {
    "seq_bn": _NAMED["pfeiffer"],
    "double_seq_bn": _NAMED["houlsby"],
    "par_bn": _NAMED["parallel"],
    "seq_bn_inv": _NAMED["pfeiffer+inv"],
    "double_seq_bn_inv": _NAMED["houlsby+inv"],
}
"""Configurations that a file may give by name alone."""
_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}
"""What names meant before files bore a version: then `gelu` was the approximation by tanh."""
_NAMES = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
"""Modules of version 1, and what they are called since."""


def name_today(name: str) -> str:
    """What today's library calls a tensor."""
    return ".".join(_NAMES.get(part, part) for part in name.split("."))


def config_today(path: Path, whole: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The configuration of an adapter as today's library would have written it.

    Args:
        whole: all of `adapter_config.json`.
        names: of the adapter's tensors, as today's library calls them.

    Raises FormatError for a configuration by an unknown name, and for settings that version 1 alone knew.
    """
    given = whole.get("config")
    if isinstance(given, str) and given in _NAMED:
        given = _NAMED[given]
    if not isinstance(given, dict):
        raise FormatError(f"{path}: config is {shown(given)}; save the adapter again with adapters 1.0 or later")
    config = _invertible_today(path, dict(given))
    activation = config.get("non_linearity")
    if "version" not in whole and isinstance(activation, str):
        config["non_linearity"] = _ACTIVATIONS.get(activation, activation)
    if whole.get("type") == "text_task" and not any("invertible_adapters" in name.split(".") for name in names):
        # Version 1 noted an invertible adapter beside every task adapter, and trained none.
        config |= {"inv_adapter": None, "inv_adapter_reduction_factor": None}
    if config.get("architecture") == "lora" and config.get("r") != config.get("alpha"):
        version = whole.get("version")
        if _scales_by_one(path, version):
            logger.warning("%s: %s did not scale LoRA by alpha / r: it is computed as it was trained", path, version)
            config["alpha"] = config.get("r")
    return config


def _invertible_today(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Version 1 described an invertible adapter in a table of its own."""
    given = config.pop("invertible_adapter", None)
    if not given:
        return config
    if not isinstance(given, dict):
        raise FormatError(f"{path}: invertible_adapter is {shown(given)}; it should be a table")
    activation = given.get("non_linearity", config.get("non_linearity"))
    if activation != config.get("non_linearity"):
        raise FormatError(
            f"{path}: non_linearity of the invertible_adapter is {shown(activation)}, that of the adapter "
            f"{shown(config.get('non_linearity'))}; adapterx reads one for both"
        )
    return config | {
        "inv_adapter": given.get("block_type"),
        "inv_adapter_reduction_factor": given.get("reduction_factor"),
    }


def _scales_by_one(path: Path, version: object) -> bool:
    """Whether the library of this version left the factor alpha / r out (adapters before 1.1, its pull request 770)."""
    if not isinstance(version, str) or not version.startswith("adapters."):
        return False
    found = re.fullmatch(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(.{0,40})", version.removeprefix("adapters."))
    if found is None:
        raise FormatError(f"{path}: the version {shown(version)} is none of `adapters`")
    numbers = tuple(int(number or 0) for number in found.groups()[:3])
    early = re.match(r"[._-]?(dev|a|b|c|rc|alpha|beta|pre)", found[4]) is not None
    return numbers < (1, 1, 0) or (numbers == (1, 1, 0) and early)
