"""Small checkpoints on disk, as `save_pretrained` leaves them, with a small XLM-R tokenizer."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tests.models import encoder

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase, "▁the", "▁cat", "<mask>"]


def tokenizer() -> PreTrainedTokenizerFast:
    """XLM-R's special tokens at their ids, then letters and two words."""
    backend = Tokenizer(models.Unigram([(piece, -float(place)) for place, piece in enumerate(PIECES)], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names: Any = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)  # type: ignore[no-untyped-call]


def save(directory: Path, architecture: str = "xlm-roberta", seed: int = 0) -> Path:
    """Write a random encoder and its tokenizer."""
    encoder(architecture, seed).save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return directory


def edit_config(directory: Path, **settings: Any) -> None:
    """Change settings in a checkpoint's `config.json`; None takes one out."""
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
