"""The tokenizers of translation models: texts to ids without special tokens, and back.

`tokenizer.json` is read by the tokenizers library (NLLB's, and whatever else has one). M2M100's and Marian's own files
are those of sentencepiece, which `transformers` reads where that package is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from adapterx.backbones.checkpoint import LARGEST_TOKENIZER, TOKENIZER
from adapterx.errors import library_failures
from adapterx.reading import UnreadableFile, parse_json, read_json, read_text
from adapterx.translate.engines.seq2seq_files import ModelFiles
from adapterx.translate.errors import EngineError
from adapterx.wording import plain


class Tokens(Protocol):
    """Texts as ids, and ids as texts."""

    @property
    def languages(self) -> tuple[str, str] | None:
        """What the files of a model for one pair of languages call them; None where they do not say."""
        ...

    @property
    def names_targets(self) -> bool:
        """Whether the vocabulary has tokens by which Marian is told the language to translate into."""
        ...

    def id(self, token: str) -> int | None:
        """The id of a token of the vocabulary."""
        ...

    def ids(self, text: str) -> list[int]:
        """A text's ids, without special tokens; those that the text spells are text."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """What ids say; special tokens say nothing."""
        ...


def load(files: ModelFiles, model_type: str) -> Tokens:
    """The tokenizer of a model. Raises EngineError, which names a package that is missing."""
    named = plain(files.model, None)
    if (files.directory / TOKENIZER).is_file():
        return JsonTokens(files)
    if find_spec("sentencepiece") is None:
        raise EngineError(
            f"{named} has no {TOKENIZER}, and its tokenizer's files need the package sentencepiece: install it (pip"
            " install sentencepiece), or save a fast tokenizer beside the model",
            files.directory,
            "pip install sentencepiece",
        )
    return SentencePieceTokens(files, model_type)


def _languages(files: ModelFiles) -> tuple[str, str] | None:
    """What `tokenizer_config.json` says of Marian's languages."""
    try:
        found = read_json(files.directory / "tokenizer_config.json", LARGEST_TOKENIZER)
    except FileNotFoundError:
        return None
    except UnreadableFile as error:
        raise EngineError(f"tokenizer_config.json of {plain(files.model, None)} {error}", files.directory) from None
    pair = (found.get("source_lang"), found.get("target_lang")) if isinstance(found, dict) else (None, None)
    return (pair[0], pair[1]) if isinstance(pair[0], str) and isinstance(pair[1], str) else None


def _is_target(token: str) -> bool:
    return token.startswith(">>") and token.endswith("<<")


class JsonTokens:
    """A tokenizer that `tokenizer.json` describes whole."""

    def __init__(self, files: ModelFiles) -> None:
        from tokenizers import Tokenizer

        where = f"{TOKENIZER} of {plain(files.model, None)}"
        try:
            text = read_text(files.directory / TOKENIZER, LARGEST_TOKENIZER)
            parse_json(text)
        except UnreadableFile as error:
            raise EngineError(f"{where} is not a tokenizer: it {error}", files.directory) from None
        with library_failures(lambda why: EngineError(f"{where} is not a tokenizer: {plain(why, 200)}")):
            self._tokenizer = Tokenizer.from_str(text)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self.languages = _languages(files)
        self.names_targets = any(map(_is_target, self._tokenizer.get_vocab()))

    def id(self, token: str) -> int | None:
        """The id of a token of the vocabulary."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def ids(self, text: str) -> list[int]:
        """A text's ids."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def text(self, ids: Sequence[int]) -> str:
        """What ids say."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


class SentencePieceTokens:
    """M2M100's or Marian's tokenizer, of transformers' own class, whatever class the files name."""

    def __init__(self, files: ModelFiles, model_type: str) -> None:
        from transformers import M2M100Tokenizer, MarianTokenizer

        chosen: Any = {"m2m_100": M2M100Tokenizer, "marian": MarianTokenizer}[model_type]
        where = f"the tokenizer of {plain(files.model, None)}"
        with (
            library_failures(lambda why: EngineError(f"{where} cannot be read: {plain(why, 200)}", files.directory)),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # Marian's advises another package
            self._tokenizer = chosen.from_pretrained(files.directory, local_files_only=True)
        self.languages = _languages(files)
        self._vocabulary: dict[str, int] = {
            **self._tokenizer.encoder,
            **getattr(self._tokenizer, "lang_token_to_id", {}),
        }
        self.names_targets = any(map(_is_target, self._vocabulary))

    def id(self, token: str) -> int | None:
        """The id of a token of the vocabulary."""
        return self._vocabulary.get(token)

    def ids(self, text: str) -> list[int]:
        """A text's ids."""
        pieces = self._tokenizer.tokenize(text, split_special_tokens=True)
        return list(self._tokenizer.convert_tokens_to_ids(pieces))

    def text(self, ids: Sequence[int]) -> str:
        """What ids say."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
