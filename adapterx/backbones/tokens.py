"""The tokenizer of a checkpoint: what its file says is checked before the library builds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from adapterx.backbones.checkpoint import LARGEST_TOKENIZER, TOKENIZER
from adapterx.backbones.errors import BackboneError
from adapterx.errors import library_failures
from adapterx.reading import UnreadableFile, parse_json, read_text
from adapterx.wording import plain, shown

_SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}
"""XLM-R's, the same in every size."""


def load(path: Path, vocabulary: int, name: str) -> PreTrainedTokenizerFast:
    """The tokenizer that `tokenizer.json` describes, whatever class other files name for it. Raises BackboneError.

    Args:
        vocabulary: tokens that the encoder has an embedding of.
        name: whose tokenizer it is, for messages.
    """
    where = f"{TOKENIZER} of {plain(name, None)}"
    try:
        text = read_text(path, LARGEST_TOKENIZER)
        content = parse_json(text)
    except FileNotFoundError:
        raise BackboneError(f"{where} is missing; fetch or save the checkpoint again") from None
    except UnreadableFile as error:
        raise BackboneError(f"{where} is not a tokenizer: it {error}") from None
    if not isinstance(content, dict):
        raise BackboneError(f"{where} is not a tokenizer: it is not a JSON object")
    _check_ids(content, vocabulary, where)
    backend = _built(text, where)
    missing = sorted({token for token in _SPECIAL_TOKENS.values() if backend.token_to_id(token) is None})
    if missing:
        raise BackboneError(f"{where} lacks {', '.join(missing)}, so it is not an XLM-R tokenizer")
    if backend.get_vocab_size() > vocabulary:
        raise BackboneError(f"{where} has {backend.get_vocab_size()} tokens, the encoder only {vocabulary}")
    wrap: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = wrap(tokenizer_object=backend, **_SPECIAL_TOKENS)
    tokenizer.name_or_path = name  # for messages; given to the class, it would be looked up on the Hub
    return tokenizer


def key(tokenizer: PreTrainedTokenizerFast) -> str:
    """Names a tokenizer's content: equal keys, equal tokens."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def special(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Ids of the tokens that stand for no text, rising; `<mask>` is one where there is one."""
    return sorted({*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()})


def _check_ids(content: Mapping[str, Any], vocabulary: int, where: str) -> None:
    """Refuse ids for which the library would make room, and which the encoder has no embedding of."""
    for id in _ids(content):
        if type(id) is not int or not 0 <= id < vocabulary:
            raise BackboneError(
                f"{where} has a token of id {shown(id)}, and the encoder's {vocabulary} tokens end at {vocabulary - 1}"
            )


def _ids(content: Mapping[str, Any]) -> Iterator[object]:
    """Every id that the file gives to a token: of the vocabulary, of added tokens, and of what is put around texts.

    A vocabulary that is a list gives none: its places are the ids, and the file is as long as they are many.
    """
    model, added, after = (content.get(key) for key in ("model", "added_tokens", "post_processor"))
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        yield from vocabulary.values()
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict):
            yield token.get("id")
    special = after.get("special_tokens") if isinstance(after, dict) else None
    for token in special.values() if isinstance(special, dict) else ():
        ids = token.get("ids") if isinstance(token, dict) else None
        yield from ids if isinstance(ids, list) else ()


def _built(text: str, where: str) -> Tokenizer:
    with library_failures(lambda why: BackboneError(f"{where} is not a tokenizer: {plain(why, 200)}")):
        tokenizer = Tokenizer.from_str(text)
        for texts, owners in ((("a",), [0]), (("a", "a"), [0, 1])):
            found = [one for one in tokenizer.encode(*texts).sequence_ids if one is not None]
            if list(dict.fromkeys(found)) != owners or found != sorted(found):
                raise ValueError(f"its post_processor does not keep {len(owners)} text(s) in their order")
    return tokenizer
