"""Backbones that somebody made to do harm: refused with the file's name, before anything so large is allocated."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from adapterx.backbones import load as loading
from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.spec import Backbone
from tests.backbones.checkpoints import edit_config, save

INDEX = "model.safetensors.index.json"
Harm = Callable[[Path], object]


def config(**settings: Any) -> Harm:
    return lambda directory: edit_config(directory, **settings)


def content(name: str, data: bytes) -> Harm:
    return lambda directory: (directory / name).write_bytes(data)


def header(entries: object, length: int | None = None, room: int = 0) -> Harm:
    """A weight file of this header, told to be `length` bytes long."""
    data = json.dumps(entries).encode()
    return content("model.safetensors", struct.pack("<Q", len(data) if length is None else length) + data + bytes(room))


def replaced(name: str, kind: str) -> Harm:
    """A pipe, a directory or a link to an endless device in the place of a file."""

    def replace(directory: Path) -> None:
        (directory / name).unlink()
        if kind == "pipe":
            os.mkfifo(directory / name)
        elif kind == "directory":
            (directory / name).mkdir()
        else:
            (directory / name).symlink_to("/dev/zero")

    return replace


def index(weight_map: object) -> Harm:
    def write(directory: Path) -> None:
        (directory / "model.safetensors").unlink()
        (directory / INDEX).write_text(json.dumps({"weight_map": weight_map}))

    return write


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Harm:
    def rewrite(directory: Path) -> None:
        path = directory / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return rewrite


def tokens(change: Callable[[dict[str, Any]], object]) -> Harm:
    def rewrite(directory: Path) -> None:
        path = directory / "tokenizer.json"
        backend = json.loads(path.read_text())
        change(backend)
        path.write_text(json.dumps(backend))

    return rewrite


SIZE: dict[str, dict[str, Any]] = {
    "vocabulary": {"vocab_size": 10**9},
    "vocabulary-1": {"vocab_size": 121},
    "wide": {"hidden_size": 10**6},
    "wide-1": {"hidden_size": 64},
    "deep": {"num_hidden_layers": 10**6},
    "deep-1": {"num_hidden_layers": 4},
    "inside": {"intermediate_size": 10**9},
    "inside-1": {"intermediate_size": 129},
    "positions": {"max_position_embeddings": 10**8},
    "positions-1": {"max_position_embeddings": 515},
    "no-position": {"max_position_embeddings": 2},
    "types": {"type_vocab_size": 10**9},
    "types-1": {"type_vocab_size": 2},
    "types-text": {"type_vocab_size": "1"},
    "heads": {"num_attention_heads": 3},
    "many-heads": {"num_attention_heads": 10**9},
    "negative": {"hidden_size": -32},
    "nothing": {"vocab_size": 0},
    "true": {"num_hidden_layers": True},
    "text": {"hidden_size": "32"},
    "float": {"hidden_size": 32.0},
    "list": {"intermediate_size": [128]},
    "null": {"vocab_size": None},
    "long-number": {"vocab_size": 10**400},
    "padding": {"pad_token_id": -5},
    "padding-2": {"pad_token_id": 10**6},
    "padding-3": {"pad_token_id": 1.5},
    "beginning": {"bos_token_id": "x"},
    "dropout": {"hidden_dropout_prob": "x"},
    "dropout-2": {"attention_probs_dropout_prob": 2},
    "epsilon": {"layer_norm_eps": 0},
    "epsilon-2": {"layer_norm_eps": [1e-5]},
    "function": {"hidden_act": ["gelu"]},
    "architecture": {"model_type": ["xlm-roberta"]},
    "architecture-2": {"model_type": "xlm-roberta" * 10**4},
    "code": {"auto_map": {"AutoModel": "modeling.Model"}},
    "quantised": {"quantization_config": {"quant_method": "bitsandbytes"}},
    "decoder": {"is_decoder": True},
    "pruned": {"pruned_heads": {"0": [1]}},
}
DESCRIBED: dict[str, tuple[Harm, str]] = {
    **{name: (config(**settings), "config.json") for name, settings in SIZE.items()},
    "not-finite": (lambda there: (there / "config.json").write_text('{"hidden_size": NaN}'), "config.json"),
    "infinite": (lambda there: (there / "config.json").write_text('{"hidden_size": 1e999}'), "config.json"),
    "nested": (content("config.json", b'{"a":' * 10**5 + b"1" + b"}" * 10**5), "config.json"),
    "large": (content("config.json", b'{"a": "' + b"x" * 2_000_000 + b'"}'), "config.json"),
    "config-pipe": (replaced("config.json", "pipe"), "config.json"),
    "config-directory": (replaced("config.json", "directory"), "config.json"),
    "config-device": (replaced("config.json", "device"), "config.json"),
    "tokenizer-pipe": (replaced("tokenizer.json", "pipe"), "tokenizer.json"),
    "tokenizer-device": (replaced("tokenizer.json", "device"), "tokenizer.json"),
    "weights-pipe": (replaced("model.safetensors", "pipe"), "model.safetensors"),
    "weights-directory": (replaced("model.safetensors", "directory"), "model.safetensors"),
    "weights-device": (replaced("model.safetensors", "device"), "model.safetensors"),
    "empty": (content("model.safetensors", b""), "model.safetensors"),
    "short": (content("model.safetensors", b"abc"), "model.safetensors"),
    "long-header": (header({}, 2**63), "model.safetensors"),
    "header-list": (header([]), "model.safetensors"),
    "header-nested": (content("model.safetensors", struct.pack("<Q", 10**5) + b"[" * 10**5), "model.safetensors"),
    "header-text": (header({"embeddings.word_embeddings.weight": "x"}), "model.safetensors"),
    "header-shape": (header({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}), "model.safetensors"),
    "header-negative": (header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), "model.safetensors"),
    "header-room": (
        header({"embeddings.word_embeddings.weight": {"dtype": "F32", "shape": [120, 10**9]}}, room=64),
        "model.safetensors",
    ),
    "no-words": (
        tensors(lambda found: {key: one for key, one in found.items() if "word" not in key}),
        "model.safetensors",
    ),
    "whole-numbers": (
        tensors(lambda found: {key: one.astype(np.int32) for key, one in found.items()}),
        "model.safetensors",
    ),
    "index-list": (index({"a": ["x"]}), INDEX),
    "index-number": (index({"a": 5}), INDEX),
    "index-nothing": (index({}), INDEX),
    "index-map": (index(5), INDEX),
    "index-outside": (index({"a": "../model.safetensors"}), INDEX),
    "index-absolute": (index({"a": "/etc/passwd.safetensors"}), INDEX),
    "index-zero": (index({"a": "\0.safetensors"}), INDEX),
    "index-long": (index({"a": "x" * 10**5 + ".safetensors"}), INDEX),
    "index-missing": (index({"a": "other.safetensors"}), INDEX),
}
LOADED: dict[str, tuple[Harm, str]] = {
    "id": (tokens(lambda it: it["added_tokens"][0].update(id=4 * 10**9)), "tokenizer.json"),
    "id-negative": (tokens(lambda it: it["added_tokens"][0].update(id=-1)), "tokenizer.json"),
    "id-text": (tokens(lambda it: it["added_tokens"][0].update(id="0")), "tokenizer.json"),
    "id-of-vocabulary": (
        tokens(lambda it: it.update(model={"type": "WordLevel", "vocab": {"<s>": 4 * 10**9}, "unk_token": "<s>"})),
        "tokenizer.json",
    ),
    "id-of-frame": (
        tokens(lambda it: it["post_processor"]["special_tokens"]["<s>"].update(ids=[500])),
        "tokenizer.json",
    ),
    "tokenizer-nested": (content("tokenizer.json", b"[" * 10**5), "tokenizer.json"),
    "tokenizer-list": (content("tokenizer.json", b"[]"), "tokenizer.json"),
    "tokenizer-empty": (content("tokenizer.json", b""), "tokenizer.json"),
    "tokenizer-model": (tokens(lambda it: it.update(model=5)), "tokenizer.json"),
    "tokenizer-added": (tokens(lambda it: it.update(added_tokens=5)), "tokenizer.json"),
    "activation": (config(hidden_act="no_such_function"), "config.json"),
    "cut": (
        lambda there: (there / "model.safetensors").write_bytes((there / "model.safetensors").read_bytes()[:-9]),
        "weights",
    ),
    "not-a-number": (tensors(lambda found: {key: one * np.float32(np.nan) for key, one in found.items()}), "weights"),
    "infinite": (tensors(lambda found: {key: one / np.float32(0) for key, one in found.items()}), "weights"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("hostile") / "model")


def refusal(directory: Path, call: Callable[[Backbone], object]) -> str:
    with pytest.raises(BackboneError) as refused:
        call(Backbone(model=str(directory)))
    message = str(refused.value)
    assert str(directory) in message and len(message) < 600 and message.isprintable()
    return message


NO_SAFETENSORS = ("empty", "short", "long-header")
"""Weight files that are something else: a plan needs none of them, and loading refuses them before it allocates."""


@pytest.mark.parametrize("name", NO_SAFETENSORS)
def test_files_that_are_no_weights_are_refused_when_they_are_loaded(name: str, original: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(original, tmp_path / "model"))
    harm, file = DESCRIBED[name]
    harm(directory)
    known = describe(Backbone(model=str(directory)))
    assert known.layers == describe(Backbone(model=str(original))).layers
    assert file in refusal(directory, loading.load)


@pytest.mark.parametrize("name", [name for name in DESCRIBED if name not in NO_SAFETENSORS])
def test_is_refused_without_loading_anything(name: str, original: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(original, tmp_path / "model"))
    harm, file = DESCRIBED[name]
    harm(directory)
    assert file in refusal(directory, describe)


@pytest.mark.parametrize("name", LOADED)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_is_refused_when_it_is_loaded(name: str, original: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(original, tmp_path / "model"))
    harm, file = LOADED[name]
    harm(directory)
    assert file in refusal(directory, loading.load)


def test_ids_are_looked_at_before_the_library_makes_room(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(shutil.copytree(original, tmp_path / "model"))
    LOADED["id"][0](directory)
    monkeypatch.setattr("adapterx.backbones.tokens.Tokenizer", None)
    assert "has a token of id 4000000000, and the encoder's 120 tokens end at 119" in refusal(directory, loading.load)


def test_an_order_mark_in_front_changes_nothing(original: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(original, tmp_path / "model"))
    expected = loading.load(Backbone(model=str(directory)))
    for name in ("config.json", "tokenizer.json"):
        (directory / name).write_bytes(b"\xef\xbb\xbf" + (directory / name).read_bytes())
    found = loading.load(Backbone(model=str(directory)))
    assert found.tokenizer_key == expected.tokenizer_key
    assert (found.info.hidden, found.info.layers) == (expected.info.hidden, expected.info.layers)
