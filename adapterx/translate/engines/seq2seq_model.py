"""A translation model of a known architecture: its settings and weights are checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel
from transformers.activations import ACT2FN

from adapterx.backbones.checkpoint import CONFIG, TOKENIZER, is_pickled, names_in, read_config, weight_files
from adapterx.backbones.pickle_files import outlined
from adapterx.backbones.pickle_tensors import loaded
from adapterx.reading import UnreadableFile
from adapterx.translate.engines.seq2seq_files import ModelFiles
from adapterx.translate.errors import EngineError
from adapterx.wording import plain, shown

CLASSES: Mapping[str, tuple[Any, Any]] = {
    "m2m_100": (M2M100Config, M2M100ForConditionalGeneration),
    "marian": (MarianConfig, MarianMTModel),
}
"""Configuration and model by `model_type`; NLLB's dense models are of M2M100's architecture."""
_LARGEST = {
    "vocab_size": 10_000_000,
    "d_model": 65_536,
    "encoder_layers": 1_000,
    "decoder_layers": 1_000,
    "encoder_attention_heads": 4_096,
    "decoder_attention_heads": 4_096,
    "encoder_ffn_dim": 1_000_000,
    "decoder_ffn_dim": 1_000_000,
    "max_position_embeddings": 1_000_000,
}
"""Sizes that a configuration has to give, and the largest that is believed of each."""
_TOKENS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
_SETTINGS = (*_LARGEST, *_TOKENS, "bos_token_id", "activation_function", "scale_embedding", "decoder_vocab_size")
"""What is taken from a `config.json`. The library acts on other keys: some make it fetch and run code."""
_SHARED = "share_encoder_decoder_embeddings"
_COMPUTED = ("embed_positions.weight", "embed_positions.weights")
"""Ends of the names of sinusoids, which the library computes."""
_EMBEDDINGS = "model.shared.weight"
_TIED = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
"""The shared embeddings by their other names: files may have some of them or none."""


def load(files: ModelFiles, device: str) -> Any:
    """The model in float32 and evaluation mode. Raises EngineError, and BackboneError for files that cannot be read."""
    named = plain(files.model, None)
    settings = read_config(files.directory / CONFIG, named)
    config = _configuration(settings, files)
    _, model_class = CLASSES[config.model_type]
    with torch.device("meta"):
        outline = model_class(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()}
    with ExitStack() as stack:
        found = _stored(files, stack)
        _check_shapes(wanted, {name: shape for name, (shape, _) in found.items()}, config, files)
        read = {name: one for name, (_, one) in found.items() if name in wanted and not name.endswith(_COMPUTED)}
        tensors = {name: _checked(one(), name, named) for name, one in read.items()}
    if _EMBEDDINGS in wanted and _EMBEDDINGS not in tensors:
        tensors[_EMBEDDINGS] = next(tensors[name] for name in _TIED if name in tensors)
    made, told = model_class.from_pretrained(
        None, config=config, state_dict=tensors, dtype=torch.float32, output_loading_info=True
    )
    if lacking := [*told["missing_keys"], *told["mismatched_keys"]]:
        raise EngineError(f"the weights of {named} do not fit its {CONFIG}: {plain(str(lacking[0]))} for one")
    return made.to(device).eval().requires_grad_(False)


def _configuration(settings: Mapping[str, Any], files: ModelFiles) -> Any:
    """The configuration of a model that is one of the known architectures and nothing else."""
    named = plain(files.model, None)
    where = f"{CONFIG} of {named}"
    kind = str(settings.get("model_type"))
    if kind not in CLASSES:
        raise EngineError(
            f"{named} is of architecture {shown(kind)}; the engine transformers runs {' and '.join(CLASSES)} models"
            f" (NLLB's dense ones are m2m_100's; model_type in {CONFIG})"
        )
    if settings.get("auto_map"):
        raise EngineError(f"{where} names code of its own (auto_map), which adapterx never runs: take the plain model")
    if settings.get("quantization_config"):
        raise EngineError(f"{where} has a quantization_config: take the model's original weights")
    _check_sizes(settings, where)
    taken = {key: settings[key] for key in _SETTINGS if settings.get(key) is not None}
    if kind == "marian" and settings.get(_SHARED) is False:
        if (files.directory / TOKENIZER).is_file():
            raise EngineError(f"{named} has a vocabulary for each language, and its {TOKENIZER} only one")
        taken |= {_SHARED: False, "tie_word_embeddings": False}
    config_class, _ = CLASSES[kind]
    try:
        return config_class(**taken)
    except (TypeError, ValueError) as error:
        raise EngineError(f"{where}: {plain(str(error), 300)}") from None


def _check_sizes(settings: Mapping[str, Any], where: str) -> None:
    """Refuse sizes, tokens and activations that no such model has."""
    for size, most in _LARGEST.items():
        value = settings.get(size)
        if type(value) is not int or not 1 <= value <= most:
            raise EngineError(f"{where}: {size} is {shown(value)}, not a whole number from 1 to {most:,}")
    for token in _TOKENS:
        value = settings.get(token)
        if type(value) is not int or not 0 <= value < settings["vocab_size"]:
            raise EngineError(f"{where}: {token} is {shown(value)}, not one of the {settings['vocab_size']} tokens")
    activation = settings.get("activation_function", "relu")
    if not isinstance(activation, str) or activation not in ACT2FN:
        raise EngineError(f"{where}: activation_function is {shown(activation)}, which transformers does not know")
    for side in ("encoder", "decoder"):
        if settings["d_model"] % settings[f"{side}_attention_heads"]:
            raise EngineError(f"{where}: d_model is not a multiple of {side}_attention_heads")


def _stored(files: ModelFiles, stack: ExitStack) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Of each tensor in the weight files its shape, and what reads it; nothing is in memory yet."""
    found: dict[str, tuple[tuple[int, ...], Any]] = {}
    for path in weight_files(files.directory, files.model):
        if is_pickled(names_in(files.directory)):
            found |= _pickled(path, files.model)
            continue
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
            for name in file.keys():  # noqa: SIM118  the file is no mapping
                found[name] = (tuple(file.get_slice(name).get_shape()), _TensorReader(file, name))
        except (SafetensorError, OSError) as error:
            raise EngineError(f"the weights of {plain(files.model, None)} cannot be read: {error}", path) from error
    return found


class _TensorReader:
    """Reads one tensor of a file of safetensors."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name

    def __call__(self) -> Tensor:
        return self._file.get_tensor(self._name)  # type: ignore[no-any-return]


def _pickled(path: Path, model: str) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The same of a pickle, whose opcodes have been followed before torch reads it as tensors alone."""
    file = outlined(path, model)
    kept: dict[str, Mapping[str, Tensor]] = {}

    def read(name: str) -> Tensor:
        if not kept:
            try:
                kept["all"] = loaded(file)
            except UnreadableFile as error:
                raise EngineError(f"the weights of {plain(model, None)} cannot be read: {path.name} {error}") from None
        return kept["all"][name]

    return {name: (one.shape, lambda name=name: read(name)) for name, one in file.tensors.items()}


def _check_shapes(
    wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], config: Any, files: ModelFiles
) -> None:
    """Refuse weights that are not those of the configuration, tensor by tensor."""
    named = plain(files.model, None)
    tied = _TIED if getattr(config, _SHARED, True) else ()
    for name, shape in wanted.items():
        if name.endswith(_COMPUTED):
            continue
        if name not in found:
            if name in tied or (name == _EMBEDDINGS and any(one in found for one in _TIED)):
                continue
            raise EngineError(f"the weights of {named} lack {plain(name)}: they and its {CONFIG} do not fit")
        if found[name] != shape:
            raise EngineError(
                f"the weights of {named} do not fit its {CONFIG}: {plain(name)} is {shown(found[name])}, and should be"
                f" {shape}"
            )


def _checked(tensor: Tensor, name: str, named: str) -> Tensor:
    """A tensor of finite floating-point numbers, in float32."""
    if not tensor.is_floating_point():
        raise EngineError(f"the weights of {named} are not floating-point numbers: {plain(name)} for one")
    if not bool(torch.isfinite(tensor).all()):
        raise EngineError(f"the weights of {named} hold numbers that are not finite: {plain(name)} for one")
    return tensor.float()
