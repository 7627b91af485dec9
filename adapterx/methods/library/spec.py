"""Methods that a library makes: `{peft: {peft_type: IA3}}` and `{adapters: compacter}`.

Their settings are the libraries' own. Names of kinds are checked here, without importing a library; all else is
checked by building the adapter when a plan asks for its size.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from adapterx.backbones.info import BackboneInfo
from adapterx.config.fields import Model
from adapterx.config.problems import did_you_mean
from adapterx.methods.base import Library, MethodSpec
from adapterx.wording import shown

PeftType = Literal[
    "LORA",
    "DORA",
    "IA3",
    "VERA",
    "LOHA",
    "LOKR",
    "OFT",
    "HRA",
    "FOURIERFT",
    "RANDLORA",
    "LN_TUNING",
    "VBLORA",
    "MISS",
    "C3A",
    "ROAD",
    "DELORA",
    "HIRA",
    "WAVEFT",
]
"""The types that were seen to train on a frozen encoder; DORA is short for LORA with use_dora."""

_PROMPT = "puts tokens or keys of its own before the text; {adapters: prefix_tuning} does that on an encoder"
_UNSUITABLE = {
    "PROMPT_TUNING": _PROMPT,
    "P_TUNING": _PROMPT,
    "PREFIX_TUNING": _PROMPT,
    "CARTRIDGE": _PROMPT,
    "ADAPTION_PROMPT": "sits in decoders only",
    "CPT": "sits in decoders only",
    "MULTITASK_PROMPT_TUNING": "needs the number of a task with every example",
    "POLY": "needs the number of a task with every example",
    "ADALORA": "moves rank from layer to layer while it trains, in steps of its own that the training loop would have"
    " to take",
    "XLORA": "mixes adapters that were trained before it",
    "TRAINABLE_TOKENS": "trains rows of the embeddings, which need a list of tokens",
    "OSF": "takes the backbone's weights apart",
    "SHIRA": "draws positions that a plan cannot count without the weights",
    "BOFT": "cannot be counted without the weights; OFT and HRA can",
}
"""Types of the library that do not work here, and why."""


def _suitable(value: object) -> object:
    if isinstance(value, str) and (why := _UNSUITABLE.get(value.upper())):
        raise ValueError(f"{value} {why}")
    return value


class PeftSettings(Model):
    """The arguments of the library's configuration class for `peft_type`, with its defaults."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False, validate_default=False)
    __pydantic_extra__: dict[str, JsonValue]

    peft_type: Annotated[PeftType, BeforeValidator(_suitable)]
    """The library's name of the method."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, data: object) -> object:
        """DoRA by its name, and the modules that are adapted where none are given: query and value, as in LoRA.

        IA3's are those of its paper (Liu et al. 2022, arXiv 2205.05638); LN_TUNING's all norms of either architecture.
        """
        if not isinstance(data, dict):
            return data
        found = {**data}
        if found.get("peft_type") == "DORA":
            found |= {"peft_type": "LORA", "use_dora": True}
        if found.get("peft_type") == "IA3":
            if "target_modules" not in found:
                found |= {"target_modules": ["key", "output.dense", "value"], "feedforward_modules": ["output.dense"]}
            found.setdefault("feedforward_modules", [])
        elif found.get("peft_type") == "LN_TUNING":
            found.setdefault("target_modules", ["LayerNorm", "self_attn_layer_norm"])
        else:
            found.setdefault("target_modules", ["query", "value"])
        for name in ("target_modules", "feedforward_modules"):
            listed = found.get(name)
            if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
                found[name] = sorted(listed)  # in any order the same adapter, hence the same identity
        return found


class LibraryMethod(MethodSpec):
    """What is common to them."""

    made_by_library: ClassVar[bool] = True

    @property
    def config(self) -> str:
        """What the library is told: of `peft` the settings as JSON, of `adapters` a configuration string."""
        raise NotImplementedError

    @property
    def not_exported(self) -> str:
        return f"is an adapter of the library `{self.kind}`, whose files adapterx does not write"

    def parameters(self, info: BackboneInfo, made: int = 0) -> int:
        return made


class PeftMethod(LibraryMethod):
    """An adapter of the `peft` library, trained in the reference lane. `{peft: {…}}` is short for kind and settings."""

    library: ClassVar[Library | None] = "peft"

    kind: Literal["peft"] = "peft"
    peft: PeftSettings
    """`peft_type` and the library's own settings of it."""

    @property
    def config(self) -> str:
        return json.dumps(self.peft.model_dump(mode="json"), sort_keys=True)


_NAMES = (
    "seq_bn double_seq_bn par_bn scaled_par_bn seq_bn_inv double_seq_bn_inv compacter compacter++ prefix_tuning"
    " prefix_tuning_flat lora dora ia3 vera loreft noreft direft mam unipelt"
)
ADAPTERS = tuple(_NAMES.split())
"""The library's names of its configurations."""


def _known(text: str) -> str:
    """Each part of `seq_bn[reduction_factor=8]|lora[r=4]` has a known name; ValueError otherwise."""
    for part in text.split("|"):
        found = re.fullmatch(r"\s*([a-z0-9_+]+)\s*(\[.*\])?\s*", part)
        if found is None:
            raise ValueError(f"{shown(part.strip())} is not a configuration such as 'compacter' or 'lora[r=4]'")
        name = found[1]
        if name == "prompt_tuning":
            raise ValueError("prompt_tuning puts tokens of its own before the text; prefix_tuning leaves it as it is")
        if name == "mtl_lora":
            raise ValueError("mtl_lora needs the number of a task with every example")
        if name not in ADAPTERS:
            hint = did_you_mean(name, ADAPTERS)
            raise ValueError(f"no configuration of `adapters` is named {shown(name)}" + (f": {hint}" if hint else ""))
    return text


class AdaptersMethod(LibraryMethod):
    """An adapter of AdapterHub's `adapters`, trained in the reference lane. `{adapters: compacter}` is short for it."""

    library: ClassVar[Library | None] = "adapters"

    kind: Literal["adapters"] = "adapters"
    adapters: Annotated[str, Field(min_length=1), AfterValidator(_known)]
    """The library's configuration string, as in `seq_bn[reduction_factor=8]` or `prefix_tuning|par_bn`."""

    @property
    def config(self) -> str:
        return self.adapters
