"""Small translation models with tokenizers, which learn a dictionary of a few words in a few seconds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel

WORDS: Mapping[str, Mapping[str, str]] = {
    "de": {"dog": "hund", "cat": "katze", "barks": "bellt", "sleeps": "schläft", "the": "der", ".": "."},
    "en": {"hund": "dog", "katze": "cat", "bellt": "barks", "schläft": "sleeps", "der": "the", ".": "."},
}
_ENGLISH = [*WORDS["de"]]
_GERMAN = [*WORDS["en"]]
_PLAIN = [*dict.fromkeys([*_ENGLISH, *_GERMAN])]
NLLB_CODES = ("eng_Latn", "deu_Latn", "swh_Latn")
_SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
}


def translated(text: str, target: str) -> str:
    """What a model should say."""
    return " ".join(WORDS[target][word] for word in text.replace(".", " .").split())


def tokenizer(pieces: Sequence[str], special: Sequence[str], unknown: str) -> Tokenizer:
    """A word is a token, and a point another."""
    made = Tokenizer(models.WordLevel({piece: id for id, piece in enumerate(pieces)}, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(list(special))
    return made


def nllb(folder: Path, steps: int = 260) -> Path:
    """A model of NLLB's kind, for English and German both ways."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *_PLAIN, *NLLB_CODES]
    tokens = tokenizer(pieces, ["<s>", "<pad>", "</s>", "<unk>", *NLLB_CODES], "<unk>")
    torch.manual_seed(0)
    config: Any = M2M100Config  # its parts have no types
    config = config(vocab_size=len(pieces), scale_embedding=True, **_SIZES)
    model = M2M100ForConditionalGeneration(config)
    code = {"en": tokens.token_to_id("eng_Latn"), "de": tokens.token_to_id("deu_Latn")}

    def pair(draw: random.Random) -> tuple[list[int], list[int]]:
        source, target = draw.choice([("en", "de"), ("de", "en")])
        text = _text(draw, source)
        read = [code[source], *tokens.encode(text).ids, 2]
        return read, [2, code[target], *tokens.encode(translated(text, target)).ids, 2]

    _learn(model, pair, steps, pad=1)
    return _save(folder, model, tokens)


def marian(folder: Path, steps: int = 220, pair: tuple[str, str] = ("en", "de"), targets: Sequence[str] = ()) -> Path:
    """A model of Marian's kind: of one pair of languages, or told the target by a token."""
    pieces = ["</s>", "<unk>", *_PLAIN, *targets, "<pad>"]
    tokens = tokenizer(pieces, ["</s>", "<unk>", *targets, "<pad>"], "<unk>")
    pad = len(pieces) - 1
    torch.manual_seed(0)
    config: Any = MarianConfig
    config = config(
        vocab_size=len(pieces),
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=0,
        init_std=0.1,
        scale_embedding=True,
        **_SIZES,
    )
    model = MarianMTModel(config)
    before = [tokens.token_to_id(targets[0])] if targets else []

    def drawn(draw: random.Random) -> tuple[list[int], list[int]]:
        text = _text(draw, pair[0])
        return [*before, *tokens.encode(text).ids, 0], [pad, *tokens.encode(translated(text, pair[1])).ids, 0]

    _learn(model, drawn, steps, pad)
    _save(folder, model, tokens)
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": pair[0], "target_lang": pair[1]}))
    return folder


def _text(draw: random.Random, language: str) -> str:
    words = _ENGLISH if language == "en" else _GERMAN
    return " ".join(draw.choice(words) for _ in range(draw.randint(1, 6)))


def _learn(model: Any, drawn: Any, steps: int, pad: int) -> None:
    draw = random.Random(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(steps):
        pairs = [drawn(draw) for _ in range(32)]
        read, said = (_padded([pair[side] for pair in pairs], pad) for side in (0, 1))
        labels = said[:, 1:].clone()
        labels[labels == pad] = -100
        out = model(input_ids=read, attention_mask=(read != pad).long(), decoder_input_ids=said[:, :-1])
        loss: Any = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), labels.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def _padded(rows: Sequence[Sequence[int]], pad: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])


def _save(folder: Path, model: Any, tokens: Tokenizer) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokens.save(str(folder / "tokenizer.json"))
    return folder
