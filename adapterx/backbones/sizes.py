"""The sizes in a checkpoint's configuration, checked by themselves and against the headers of its weights.

A configuration is believed only where the weights bear it out: before anything of its sizes is allocated, every tensor
of the encoder must be there in its shape. Headers are read without torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterx.backbones.checkpoint import CONFIG
from adapterx.backbones.errors import BackboneError, NotSafetensors
from adapterx.reading import UnreadableFile, parse_json, regular
from adapterx.wording import plain, shown

SIZES = {
    "hidden_size": 65_536,
    "num_hidden_layers": 1_000,
    "num_attention_heads": 4_096,
    "intermediate_size": 1_000_000,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 1_000_000,
}
"""The largest that is believed of each: ten times and more of what the largest encoders have."""
_TOKEN_TYPES = {"xlm-roberta": 2, "xlm-roberta-xl": 1}
"""Where a configuration does not give `type_vocab_size`: the libraries' defaults."""
_MOST_TYPES = 1_000
_SHARES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
FLOATS = {"F64", "F32", "F16", "BF16"}
"""Number formats in which weights may be stored: others are of quantised models."""
_LARGEST_HEADER = 100_000_000  # bytes, the library's own limit
_LENGTH = 8  # bytes that give the header's length


def check(config: Mapping[str, Any], name: str) -> None:
    """Raise BackboneError for a configuration of an encoder that cannot be, or that is not a plain one.

    Args:
        name: whose configuration it is, for messages.
    """
    where = f"{CONFIG} of {plain(name, None)}"
    wrong = [size for size in SIZES if type(config.get(size)) is not int or config[size] < 1]
    if wrong:
        raise BackboneError(f"{where} gives no positive whole number for {', '.join(wrong)}")
    if large := [size for size, most in SIZES.items() if config[size] > most]:
        most = SIZES[large[0]]
        raise BackboneError(f"{where}: {large[0]} is {shown(config[large[0]])}, more than the {most:,} of any encoder")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise BackboneError(f"{where}: hidden_size is not a multiple of num_attention_heads")
    if config.get("position_embedding_type", "absolute") != "absolute":
        given = shown(config["position_embedding_type"])
        raise BackboneError(f"{plain(name, None)} has {given} positions; adapterx runs absolute ones")
    _check_tokens(config, where)
    _check_numbers(config, where)
    _check_plain(config, where)


def _check_tokens(config: Mapping[str, Any], where: str) -> None:
    padding = config.get("pad_token_id", 1)
    if type(padding) is not int:
        raise BackboneError(f"{where} gives no whole number for pad_token_id")
    if not 0 <= padding < config["vocab_size"]:
        raise BackboneError(f"{where}: pad_token_id is {padding}, not a token of the {config['vocab_size']} there are")
    # The first position is padding index + 1.
    if config["max_position_embeddings"] - padding - 1 < 1:
        raise BackboneError(
            f"{where}: max_position_embeddings {config['max_position_embeddings']} leaves no position after those of "
            f"pad_token_id {padding}"
        )
    for key in ("bos_token_id", "eos_token_id"):
        if config.get(key) is not None and type(config[key]) is not int:
            raise BackboneError(f"{where}: {key} is {shown(config[key])}, not a whole number")
    types = config.get("type_vocab_size", 1)
    if type(types) is not int or not 1 <= types <= _MOST_TYPES:
        raise BackboneError(f"{where}: type_vocab_size is {shown(types)}, not a whole number from 1 to {_MOST_TYPES}")


def _check_numbers(config: Mapping[str, Any], where: str) -> None:
    for key in _SHARES:
        value = config.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BackboneError(f"{where}: {key} is {shown(value)}, not a number from 0 to 1")
    epsilon = config.get("layer_norm_eps", 1e-5)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon <= 1:
        raise BackboneError(f"{where}: layer_norm_eps is {shown(epsilon)}, not a number more than 0 and at most 1")
    if not isinstance(config.get("hidden_act", "gelu"), str):
        raise BackboneError(f"{where}: hidden_act is {shown(config['hidden_act'])}, not the name of a function")


def _check_plain(config: Mapping[str, Any], where: str) -> None:
    """Settings that say that the weights mean another computation than the architecture's own."""
    if config.get("auto_map"):
        raise BackboneError(
            f"{where} names code of its own (auto_map), which adapterx never runs, so it would not be the same model: "
            "take one that is plain XLM-R, or take the key out if it is"
        )
    if config.get("quantization_config"):
        raise BackboneError(
            f"{where} has a quantization_config: adapterx runs weights that are not quantised, so take the model's "
            "original weights"
        )
    for key in ("is_decoder", "add_cross_attention", "pruned_heads"):
        if config.get(key):
            raise BackboneError(f"{where}: {key} is {shown(config[key])}; adapterx runs whole encoders")


def check_weights(config: Mapping[str, Any], paths: Sequence[Path], name: str, cut: bool = False) -> None:
    """Raise BackboneError unless the weights hold every tensor of the encoder, in the shape the configuration gives.

    Args:
        config: one that `check` accepts.
        paths: the weight files.
        name: whose they are, for messages.
        cut: whether the configuration is of the first layers only, and the weights may have more.
    """
    found: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    for path in paths:
        for key, kind, shape in _header(path, name):
            found[key.removeprefix("roberta.")] = (path.name, kind, shape)
    check_tensors(config, found, [path.name for path in paths], name, cut)


def check_tensors(
    config: Mapping[str, Any],
    found: Mapping[str, tuple[str, str, tuple[int, ...]]],
    files: Sequence[str],
    name: str,
    cut: bool = False,
) -> None:
    """The same of what the headers of the weights say, whatever kind of file they are of.

    Args:
        found: by name, without `roberta.`: the file that a tensor is in, its number format as safetensors call it, and
            its shape.
        files: names of the weight files.
    """
    missing = None
    lacking = 0
    for key, shape in tensors(config):
        if key not in found:
            missing, lacking = missing or key, lacking + 1
            continue
        file, kind, there = found[key]
        if there != shape:
            raise BackboneError(
                f"the weights of {plain(name, None)} do not fit its {CONFIG}: {key} in {file} is {shown(there)}, and "
                f"should be {shape}"
            )
        if kind not in FLOATS:
            raise BackboneError(
                f"the weights of {plain(name, None)} are not floating-point numbers: {key} in {file} holds "
                f"{plain(kind)}"
            )
    further = next((key for key in found if _layer(key) >= config["num_hidden_layers"]), None)
    if further and not cut:
        raise BackboneError(
            f"{CONFIG} of {plain(name, None)} gives {config['num_hidden_layers']} layers, and the weights have more, "
            f"{plain(further)} for one: take the tensors out if the encoder is to be cut"
        )
    if lacking:
        named = ", ".join(files[:2]) + (", …" if len(files) > 2 else "")
        raise BackboneError(
            f"{plain(name, None)} lacks {lacking} of the encoder's tensors, {missing} for one: {named} and {CONFIG} do "
            "not fit"
        )


def _layer(key: str) -> int:
    """The layer that a tensor's name gives it, -1 for none."""
    number = key.removeprefix("encoder.layer.").partition(".")[0]
    return int(number) if key.startswith("encoder.layer.") and number.isdecimal() and len(number) < 10 else -1


def tensors(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of the encoder."""
    wide, inner = config["hidden_size"], config["intermediate_size"]
    architecture = config["model_type"]
    before = architecture == "xlm-roberta-xl"  # its norms stand before the sublayers, and one closes the encoder
    types = config.get("type_vocab_size", _TOKEN_TYPES[architecture])
    rows = {"word": config["vocab_size"], "position": config["max_position_embeddings"], "token_type": types}
    for table, count in rows.items():
        yield f"embeddings.{table}_embeddings.weight", (count, wide)
    yield from _pair("encoder.LayerNorm" if before else "embeddings.LayerNorm", (wide,))
    for layer in range(config["num_hidden_layers"]):
        stem = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _pair(f"{stem}.attention.{part}", (wide, wide))
        yield from _pair(f"{stem}.attention.{'self_attn_layer_norm' if before else 'output.LayerNorm'}", (wide,))
        yield from _pair(f"{stem}.intermediate.dense", (inner, wide))
        yield from _pair(f"{stem}.output.dense", (wide, inner))
        yield from _pair(f"{stem}.{'LayerNorm' if before else 'output.LayerNorm'}", (wide,))


def _pair(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _header(path: Path, name: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Name, number format and shape of each tensor of a safetensors file."""
    refused = f"the weights of {plain(name, None)} cannot be read: {path.name}"
    try:
        size = regular(path)
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, size - _LENGTH):
                raise NotSafetensors(f"{refused} is not a whole safetensors file")
            entries = parse_json(stream.read(length))
    except UnreadableFile as error:
        raise BackboneError(f"{refused} {error}") from None
    if not isinstance(entries, dict):
        raise BackboneError(f"{refused} is not a safetensors file")
    room = size - _LENGTH - length
    for key, entry in entries.items():
        if key == "__metadata__":
            continue
        shape = entry.get("shape") if isinstance(entry, dict) else None
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if (
            not isinstance(kind, str)
            or not isinstance(shape, list)
            or not all(type(n) is int and n >= 0 for n in shape)
        ):
            raise BackboneError(f"{refused} describes {shown(key)} as {shown(entry)}")
        if math.prod(shape) > 8 * room:
            raise BackboneError(f"{refused} has no room for {shown(key)} of shape {shown(shape)}: fetch it again")
        yield key, kind, tuple(shape)
