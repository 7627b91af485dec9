"""LoRA in the files of AdapterHub's `adapters` 1.3.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterx.backbones.shape import Encoder
from adapterx.files.adapterhub_settings import check_known, dropout, kept_layers, left_out, positive
from adapterx.files.errors import FormatError
from adapterx.files.settings import flag, shortest, whole
from adapterx.methods.lora.spec import Lora
from adapterx.methods.meant import Meant
from adapterx.wording import shown

READS: str | None = "lora"
"""The library's `architecture`."""
_LORA: dict[str, Any] = {
    "architecture": "lora",
    "composition_mode": "add",
    "use_dora": False,
    "use_gating": False,
    "vera_b": None,
    "vera_d": None,
}
_LORA_REST: dict[str, Any] = {"dtype": None, "init_weights": "lora", "init_weights_seed": None}
_ATTENTION = {"query": "q", "key": "k", "value": "v"}


def config(method: Lora, encoder: Encoder) -> dict[str, Any]:
    """The library's configuration; FormatError for a LoRA that it has not got."""
    if "attention_output" in method.target_modules:
        raise FormatError(
            "adapters 1.3.0 has no LoRA on attention_output: export this adapter with --format peft, which has"
        )
    attention = [_ATTENTION[module] for module in _ATTENTION if module in method.target_modules]
    return {
        **_LORA,
        **_LORA_REST,
        "alpha": shortest(method.plain_alpha),
        "attn_matrices": attention,
        "dropout": method.dropout,
        "intermediate_lora": "intermediate" in method.target_modules,
        "leave_out": left_out(method.adapted(encoder.shape.layers), encoder),
        "output_lora": "output" in method.target_modules,
        "r": method.rank,
        "selfattn_lora": bool(attention),
    }


def name_in_file(key: str, name: str) -> str:
    """`….query.lora_A` → `….loras.NAME.lora_A`."""
    place, matrix = key.rsplit(".", 1)
    return f"{place}.loras.{name}.{matrix}"


def check_stack(methods: Sequence[Lora]) -> str:
    """Why the library computes several of them, one upon the other, in another way."""
    return (
        "adapters 1.3.0 composes stacked LoRA instead of adding their deltas, which is another model; "
        "several active adapters of peft add (--format peft)"
    )


def read(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Meant:
    """The method that a configuration means; FormatError for what this package would compute otherwise."""
    if drawn := next((key for key in ("vera_b", "vera_d") if config.get(key) is not None), None):
        raise FormatError(f"{path}: {drawn} is set: VeRA draws matrices that its files do not hold")
    check_known(path, config, _LORA, _LORA_REST, "LoRA")
    rank = whole(path, config, "r")
    given = config.get("attn_matrices") or []
    matrices = given if flag(path, config, "selfattn_lora", default=True) else []
    if not isinstance(given, list) or not all(matrix in _ATTENTION.values() for matrix in matrices):
        raise FormatError(f"{path}: attn_matrices {shown(given)} is not supported; a list of q, k and v is")
    modules: list[Any] = [module for module, letter in _ATTENTION.items() if letter in matrices]
    modules += [one for one in ("intermediate", "output") if flag(path, config, f"{one}_lora", default=False)]
    if not modules:
        raise FormatError(f"{path}: no linear layer of the encoder is adapted")
    alpha = positive(path, config, "alpha", None)
    # Not validated: a file may hold what a recipe may not, and its bounds are those above.
    return Meant(
        Lora.model_construct(
            rank=rank,
            alpha=alpha,
            dropout=dropout(path, config),
            target_modules=tuple(sorted(modules)),
            layers=kept_layers(path, config, encoder),
        )
    )
