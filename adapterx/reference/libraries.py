"""The two libraries, imported when they are needed, and what may be asked of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.errors import AdapterxError
from adapterx.methods.lora.peft_files import PLAIN_STARTS

NAME = "adapterx_{}"
"""What a library is to call the adapter in a slot: nothing in an encoder is called so."""


class LibraryError(AdapterxError, ValueError):
    """What a library lacks or refuses, worded for the user."""


def peft() -> Any:
    """The library `peft`."""
    # Where bitsandbytes is installed, peft imports it, which tells of a kernel that nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError as error:
        raise LibraryError(f"needs peft, which cannot be imported ({error}): pip install 'adapterx[peft]'") from error
    return peft


def adapters() -> Any:
    """The library `adapters`."""
    try:
        import adapters
    except ImportError as error:
        raise LibraryError(
            f"needs adapters, which cannot be imported ({error}): pip install 'adapterx[adapterhub]', which brings the"
            " old transformers that it works with"
        ) from error
    logging.getLogger("adapters").setLevel(logging.ERROR)  # it announces each adapter that is added or left out
    return adapters


def peft_config(settings_json: str) -> Any:
    """The configuration of `peft` for a bare encoder. LibraryError for what it does not know.

    Args:
        settings_json: a JSON object of `peft_type` and other fields of its configuration class.
    """
    library = peft()
    settings = json.loads(settings_json)
    kind = settings.pop("peft_type")
    known = getattr(library.PeftType, kind, None)
    if known is None:
        raise LibraryError(f"wants peft_type {kind}, which peft {library.__version__} does not have: upgrade it")
    config_class = library.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[known]
    fields = [name for name in config_class.__dataclass_fields__ if name not in _OURS]
    for name in settings:
        if name not in fields:
            hint = did_you_mean(name, fields)
            known_as = f"unknown to {kind} of peft {library.__version__}" + (f": {hint}" if hint else "")
            raise LibraryError(f"has the setting {name!r}, {known_as}")
    if settings.get("init_lora_weights", True) not in PLAIN_STARTS[:-1]:
        raise LibraryError(
            f"has init_lora_weights {settings['init_lora_weights']!r}, which needs data or changes the backbone, and"
            " the backbone stays as it is for others: use true or gaussian"
        )
    with refusals("peft"):
        return config_class(task_type="FEATURE_EXTRACTION", **settings)


_OURS = {"peft_type", "task_type", "inference_mode", "auto_mapping", "base_model_name_or_path", "revision"}
"""What this lane sets itself, or the library for its files."""


def adapters_config(text: str) -> Any:
    """The configuration that a string of `adapters` stands for, or a JSON object as its files hold one.

    LibraryError for what it does not know.
    """
    library = adapters()
    given = json.loads(text) if text.startswith("{") else text
    with refusals("adapters"):
        config = library.AdapterConfig.load(given)
    fields = getattr(config, "__dataclass_fields__", {})
    for name, value in given.items() if isinstance(given, dict) else ():
        if name not in fields and config.architecture != "union" and value not in (None, False, {}, [], ""):
            raise LibraryError(f"has the setting {name!r}, unknown to adapters {library.__version__}")
    return config


@contextmanager
def refusals(library: str) -> Iterator[None]:
    """Errors of a library that builds something, as its refusal."""
    try:
        yield
    # The libraries raise whatever their code runs into: assertions, KeyError, TypeError.
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LibraryError(f"is refused by `{library}`: {text}") from error
