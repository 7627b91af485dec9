from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from adapterx import places

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
CHARACTERS = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!'คนไทยภาษา我们今天去学校مرحبابالعالم"
PIECES = ["▁the", "▁in", "▁days", "ing", "▁play", "▁ภาษา", "ไทย", "▁我们", "今天", "学校", "▁مرحبا", "▁ago", "▁▁"]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """XLM-R's pipeline (Unigram, NMT + NFKC, word boundary marks, <s> … </s></s> … </s>) over a tiny vocabulary."""
    vocabulary = [(token, 0.0) for token in SPECIAL]
    vocabulary += [(piece, -2.0) for piece in PIECES]
    vocabulary += [(character, -6.0) for character in dict.fromkeys(CHARACTERS)]
    core = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    core.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    core.add_special_tokens(SPECIAL)
    roles = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, **roles)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The directory of real benchmark files; tests that need it are skipped where it is not at hand."""
    root = places.data()
    if not (root / "xnli").is_dir():
        pytest.skip(f"no benchmark files in {root} (set {places.DATA})")
    return root
