"""Checkpoints whose weights are pickles, as `torch.save` and old versions of `save_pretrained` leave them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import XLMRobertaForMaskedLM, XLMRobertaXLForMaskedLM

from tests.backbones.checkpoints import save, tokenizer
from tests.models import config, without_dropout

PICKLE = "pytorch_model.bin"
INDEX = "pytorch_model.bin.index.json"
MASKED_LM: dict[str, Callable[..., Any]] = {
    "xlm-roberta": XLMRobertaForMaskedLM,
    "xlm-roberta-xl": XLMRobertaXLForMaskedLM,
}


def pickled(directory: Path, architecture: str = "xlm-roberta", shards: int = 0, old: bool = False) -> Path:
    """The checkpoint of `checkpoints.save`, its weights as pickles, under the bare encoder's names."""
    save(directory, architecture)
    weights = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    write(directory, weights, shards, old)
    return directory


def masked_lm(directory: Path, architecture: str = "xlm-roberta", shards: int = 0, old: bool = False) -> Any:
    """A pretrained model as it was: encoder under `roberta.`, masked-LM head with its tied decoder; returns it."""
    torch.manual_seed(3)
    model = without_dropout(MASKED_LM[architecture](config(architecture)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    directory.mkdir(parents=True)
    model.config.save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    weights = dict(model.state_dict())
    # Encoders of before transformers 4.31 have this buffer, of whole numbers.
    weights["roberta.embeddings.position_ids"] = torch.arange(514).expand((1, -1))
    write(directory, weights, shards, old)
    return model


def write(directory: Path, weights: Mapping[str, Any], shards: int = 0, old: bool = False) -> None:
    """`pytorch_model.bin`, or so many shards with their index.

    Args:
        old: as torch before 1.6 wrote.
    """
    if not shards:
        torch.save(weights, directory / PICKLE, _use_new_zipfile_serialization=not old)
        return
    names = [f"pytorch_model-{number + 1:05}-of-{shards:05}.bin" for number in range(shards)]
    placed = {name: names[place * shards // len(weights)] for place, name in enumerate(weights)}
    for shard in names:
        part = {name: tensor for name, tensor in weights.items() if placed[name] == shard}
        torch.save(part, directory / shard, _use_new_zipfile_serialization=not old)
    (directory / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))


def weights_of(directory: Path) -> dict[str, Tensor]:
    """The tensors of a single pickle, to be changed and written again."""
    found: dict[str, Tensor] = torch.load(directory / PICKLE, weights_only=True)
    return found


def records(path: Path) -> dict[str, bytes]:
    """The parts of a file of `torch.save`."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, parts: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """A ZIP archive of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    path.write_bytes(stream.getvalue())
