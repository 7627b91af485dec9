"""Translation models of `transformers`: NLLB, M2M100 and Marian, one for all pairs of languages or one for each.

Greedy or beam search without sampling, in float32: the same texts in the same batches give the same translations. A
text longer than the model reads at once is translated in parts, cut at the ends of sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapterx.backbones.checkpoint import CONFIG, read_config
from adapterx.places import expanded
from adapterx.store.identity import JSON
from adapterx.tasks.sources.sentences import sentences
from adapterx.translate.engines.base import EngineOptions, Markers, NoTranslation
from adapterx.translate.engines.codes import UNSPACED, same, spellings
from adapterx.translate.engines.seq2seq_files import ModelFiles, located
from adapterx.translate.engines.seq2seq_tokens import Tokens
from adapterx.translate.errors import EngineError
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from torch import Tensor

BEAMS = 4
"""Of beam search, unless --beams says otherwise; 1 is greedy."""
MAX_TOKENS = 256
"""Tokens of a part of a text, unless --max-tokens says otherwise or the model reads fewer: models of sentences leave
things out of longer texts."""
_LOADED = 2
"""Models in memory at once: of --via both ways."""
_MARKERS: tuple[Markers, ...] = (("[", "]"), ("<a>", "</a>"))
"""Brackets come through translation models more often than tags do (Chen et al. 2023, arXiv 2211.15613)."""


def make(argument: str, options: EngineOptions) -> Seq2SeqEngine:
    """The models of a name, in which `{source}` and `{target}` stand for the languages. Nothing is loaded yet."""
    model, revision = argument.strip(), None
    if "@" in model and not expanded(model).is_dir():
        model, _, revision = model.rpartition("@")
    if not model or revision == "":
        raise EngineError(f"--engine transformers:{argument}: it is written transformers:MODEL[@REVISION]")
    return Seq2SeqEngine(model, revision, options)


@dataclass(frozen=True)
class Direction:
    """How one model translates from one language into another."""

    files: ModelFiles
    tokens: Tokens
    kind: str
    before: tuple[int, ...]
    """Ids before those of a text."""
    forced: int | None
    """The first id of a translation."""
    codes: tuple[str, str]
    """What the model calls the languages; empty where it is not told them."""


@dataclass(frozen=True)
class TextPart:
    """What is translated at once: a text, or some of its sentences."""

    text: int
    ids: tuple[int, ...]


class Seq2SeqEngine:
    """Translates with the model of each pair of languages; arguments as of `make`."""

    name = "transformers"

    def __init__(self, model: str, revision: str | None, options: EngineOptions) -> None:
        self._model, self._revision, self._options = model, revision, options
        self.markers = _MARKERS if options.markers is None else options.markers
        self._beams = options.beams or BEAMS
        self._files: dict[str, ModelFiles] = {}
        self._directions: dict[tuple[str, str], Direction] = {}
        self._loaded: dict[str, Any] = {}

    def check(self, source: str, target: str) -> None:
        """Find the model, its tokenizer and its codes of the languages."""
        self._direction(source, target)

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """The model with its content, the codes of the languages, and how is searched."""
        found = self._direction(source, target)
        return {
            "engine": self.name,
            "model": found.files.model,
            "content": found.files.content,
            "codes": list(found.codes),
            "beams": self._beams,
            "max_tokens": self._options.max_tokens or MAX_TOKENS,
        }

    def versions(self) -> Mapping[str, str]:
        """Those of the libraries."""
        from importlib.metadata import version

        return {name: version(name) for name in ("torch", "transformers", "tokenizers")}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | NoTranslation]:
        """Translations, a batch of parts of similar length after another."""
        direction = self._direction(source, target)
        model = self._of(direction)
        # Positions hold what is put around a part, too.
        room = model.config.max_position_embeddings - len(direction.before) - 1
        limit = min(self._options.max_tokens or MAX_TOKENS, room)
        refused: dict[int, NoTranslation] = {}
        parts: list[TextPart] = []
        for place, text in enumerate(texts):
            found = _parts(place, text, direction.tokens, limit)
            if isinstance(found, NoTranslation):
                refused[place] = found
            else:
                parts += found
        said: dict[int, dict[int, str]] = {}
        order = sorted(range(len(parts)), key=lambda number: (len(parts[number].ids), parts[number].ids))
        for start in range(0, len(order), self._options.batch):
            numbers = order[start : start + self._options.batch]
            for number, answer in zip(numbers, self._batch(model, direction, [parts[n] for n in numbers]), strict=True):
                if isinstance(answer, NoTranslation):
                    refused.setdefault(parts[number].text, answer)
                else:
                    said.setdefault(parts[number].text, {})[number] = answer
        joiner = "" if target in UNSPACED else " "
        whole = {place: joiner.join(text for _, text in sorted(found.items())) for place, found in said.items()}
        return [refused.get(place) or whole.get(place, "") for place in range(len(texts))]

    def close(self) -> None:
        """Let the models go."""
        self._loaded.clear()

    def _batch(self, model: Any, direction: Direction, parts: Sequence[TextPart]) -> Iterator[str | NoTranslation]:
        """The translations of some parts, by the model in one go."""
        import torch

        config = model.config
        rows = [[*direction.before, *part.ids, config.eos_token_id] for part in parts]
        width = max(map(len, rows))
        if max(map(max, rows)) >= config.vocab_size:
            raise EngineError(f"the tokenizer of {plain(direction.files.model, None)} has tokens that its model lacks")
        padded = [[*row, *[config.pad_token_id] * (width - len(row))] for row in rows]
        read = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        ids, mask = (torch.tensor(one, device=model.device) for one in (padded, read))
        most = min(config.max_position_embeddings - 2, 2 * width + 30)
        with torch.inference_mode():
            found: Tensor = model.generate(
                input_ids=ids, attention_mask=mask, generation_config=self._search(config, direction, most)
            )
        # A translation starts with a token that may be the one that ends it too, and that of its language.
        start = 1 if direction.forced is None else 2
        for row in found.tolist():
            if config.eos_token_id not in row[start:]:
                yield NoTranslation(f"the model's translation has no end within {most} tokens")
            else:
                yield direction.tokens.text(row[start : row.index(config.eos_token_id, start)])

    def _search(self, config: Any, direction: Direction, most: int) -> Any:
        """Every setting that decides what is found, whatever files of the model say."""
        from transformers import GenerationConfig

        made: Any = GenerationConfig
        settings: dict[str, Any] = {
            "do_sample": False,
            "num_beams": self._beams,
            "length_penalty": 1.0,
            "early_stopping": self._beams > 1,
            "max_new_tokens": most,
            "decoder_start_token_id": config.decoder_start_token_id,
            "forced_bos_token_id": direction.forced,
            "eos_token_id": config.eos_token_id,
            "pad_token_id": config.pad_token_id,
            # Marian's models give padding a probability, which their first library never chose.
            "bad_words_ids": [[config.pad_token_id]] if direction.kind == "marian" else None,
        }
        return made(**settings)

    def _direction(self, source: str, target: str) -> Direction:
        """The model for a pair of languages, its tokenizer, and how it is told the languages."""
        if (source, target) not in self._directions:
            from adapterx.translate.engines import seq2seq_tokens

            codes = self._options.codes
            name = self._model.replace("{source}", codes.get(source, source))
            name = name.replace("{target}", codes.get(target, target))
            if name not in self._files:
                self._files[name] = located(name, self._revision)
            files = self._files[name]
            kind = str(read_config(files.directory / CONFIG, plain(name, None)).get("model_type"))
            if kind not in ("m2m_100", "marian"):
                raise EngineError(
                    f"{plain(name, None)} is of architecture {shown(kind)}; the engine transformers runs m2m_100 (NLLB,"
                    " M2M100) and marian"
                )
            tokens = seq2seq_tokens.load(files, kind)
            tell = _coded if kind == "m2m_100" else _marian
            self._directions[source, target] = tell(files, tokens, source, target, codes)
        return self._directions[source, target]

    def _of(self, direction: Direction) -> Any:
        """The model in memory."""
        name = direction.files.model
        if name not in self._loaded:
            from adapterx.translate.engines import seq2seq_model

            while len(self._loaded) >= _LOADED:
                self._loaded.pop(next(iter(self._loaded)))
            self._loaded[name] = seq2seq_model.load(direction.files, _device(self._options.device))
        return self._loaded[name]


def _parts(place: int, text: str, tokens: Tokens, limit: int) -> list[TextPart] | NoTranslation:
    """A text whole, or as many of its sentences at a time as fit."""
    ids = tokens.ids(text)
    if len(ids) <= limit:
        return [TextPart(place, tuple(ids))]
    cut = sentences(text)
    found: list[TextPart] = []
    start = 0
    while start < len(cut):
        end, fitting = start, tuple[int, ...]()
        while end < len(cut):
            last, sentence = cut[end]
            ids = tokens.ids(text[cut[start][0] : last + len(sentence)])
            if len(ids) > limit:
                break
            end, fitting = end + 1, tuple(ids)
        if end == start:
            return NoTranslation(
                f"a sentence of it has {len(ids):,} tokens, more than the {limit:,} that are read at once"
            )
        found.append(TextPart(place, fitting))
        start = end
    return found


def _coded(files: ModelFiles, tokens: Tokens, source: str, target: str, codes: Mapping[str, str]) -> Direction:
    """NLLB and M2M100: the source's code before a text, the target's first in its translation."""
    ids, named = [], []
    for language in (source, target):
        tried = spellings(language, codes.get(language))
        token = next((one for one in tried if tokens.id(one) is not None), None)
        if token is None:
            raise EngineError(
                f"{plain(files.model, None)} knows no language {shown(codes.get(language, language))} (none of the"
                f" tokens {', '.join(tried)}): say what it calls it, --codes {language}=CODE"
            )
        named.append(token)
        ids.append(tokens.id(token))
    first, second = ids
    assert first is not None and second is not None
    return Direction(files, tokens, "m2m_100", (first,), second, (named[0], named[1]))


def _marian(files: ModelFiles, tokens: Tokens, source: str, target: str, codes: Mapping[str, str]) -> Direction:
    """Marian: of one pair of languages nothing is told, of several targets the target's token before a text."""
    named = plain(files.model, None)
    if not tokens.names_targets:
        if (pair := tokens.languages) and not (same(pair[0], source) and same(pair[1], target)):
            raise EngineError(
                f"{named} translates from {pair[0]} to {pair[1]}, not from {source} to {target}: name a model for each"
                " pair with {source} and {target} in its name, as transformers:Helsinki-NLP/opus-mt-{source}-{target}"
            )
        return Direction(files, tokens, "marian", (), None, ("", ""))
    tried = [one for one in spellings(target, codes.get(target)) if one.startswith(">>")]
    token = next((one for one in tried if tokens.id(one) is not None), None)
    if token is None or (id := tokens.id(token)) is None:
        raise EngineError(
            f"{named} translates into none of {', '.join(tried)}: say what it calls the language, --codes {target}=CODE"
        )
    return Direction(files, tokens, "marian", (id,), None, ("", token))


def _device(named: str | None) -> str:
    """What --device names, else a GPU where there is one."""
    import torch

    if named is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=named)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"--device {shown(named)}: {plain(str(error).splitlines()[0], 200)}") from None
    return named
