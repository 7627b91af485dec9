"""The engine `transformers`: small models that have learnt a few words, and files that are no such models."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import M2M100ForConditionalGeneration
from transformers.models.nllb.tokenization_nllb_fast import FAIRSEQ_LANGUAGE_CODES

from adapterx.backbones.errors import BackboneError
from adapterx.tasks.xtreme import TASKS
from adapterx.translate.engines import registry
from adapterx.translate.engines.base import Engine, EngineOptions, NoTranslation
from adapterx.translate.engines.codes import NLLB, same
from adapterx.translate.errors import EngineError
from tests.backbones import pickles
from tests.support.command import ROOT
from tests.support.hub import serve
from tests.translate import models, tasks

TEXTS = ["the dog barks", "cat sleeps .", "the cat barks", "dog", "the ."]


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.nllb(tmp_path_factory.mktemp("nllb"))


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.marian(tmp_path_factory.mktemp("marian"), targets=[">>deu<<", ">>swh<<"])


@pytest.fixture
def copy(nllb: Path, tmp_path: Path) -> Path:
    """The model of NLLB's kind, to be spoilt."""
    return Path(shutil.copytree(nllb, tmp_path / "model"))


def engine(model: object, **options: Any) -> Engine:
    return registry.make(f"transformers:{model}", EngineOptions(**options))


def refusal(model: object, source: str = "en", target: str = "de", **options: Any) -> str:
    with pytest.raises((EngineError, BackboneError)) as raised:
        engine(model, **options).translate(["the dog"], source, target)
    return str(raised.value)


def configure(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


# Translations


@pytest.mark.parametrize("beams", [1, 4])
def test_one_model_translates_both_ways(nllb: Path, beams: int) -> None:
    made = engine(nllb, beams=beams)
    german = made.translate(TEXTS, "en", "de")
    assert german == [models.translated(text, "de") for text in TEXTS]
    assert made.translate(["der hund bellt ."], "de", "en") == ["the dog barks ."]
    assert made.identity("en", "de")["codes"] == ["eng_Latn", "deu_Latn"]
    assert made.identity("en", "de")["beams"] == beams


@pytest.mark.parametrize("beams", [1, 3])
def test_the_librarys_own_model_says_the_same(nllb: Path, beams: int) -> None:
    """Its tokens are put together here by hand: source language, text, end."""
    own: Any = M2M100ForConditionalGeneration
    model = own.from_pretrained(nllb).eval()
    tokens = json.loads((nllb / "tokenizer.json").read_text())["model"]["vocab"]
    text = "the cat sleeps . dog"
    ids = torch.tensor([[tokens["eng_Latn"], *(tokens[word] for word in text.split()), tokens["</s>"]]])
    found = model.generate(ids, forced_bos_token_id=tokens["deu_Latn"], num_beams=beams, max_new_tokens=20)
    words = {id: word for word, id in tokens.items()}
    said = [words[id] for id in found[0].tolist() if words[id] not in ("</s>", "<pad>", "deu_Latn")]
    assert engine(nllb, beams=beams).translate([text], "en", "de") == [" ".join(said)]


def test_batches_do_not_change_what_is_said(nllb: Path) -> None:
    alone = [engine(nllb, batch=1).translate([text], "en", "de")[0] for text in TEXTS]
    assert engine(nllb, batch=2).translate(TEXTS, "en", "de") == alone
    assert engine(nllb, batch=32).translate(TEXTS[::-1], "en", "de") == alone[::-1]


def test_special_tokens_that_a_text_spells_are_text(nllb: Path) -> None:
    """A text may not end itself, nor change its language."""
    made: Any = engine(nllb)
    tokens = made._direction("en", "de").tokens
    assert not {0, 1, 2, tokens.id("deu_Latn")} & {*tokens.ids("the </s> deu_Latn <s> dog <pad>")}


def test_long_texts_go_sentence_by_sentence(nllb: Path) -> None:
    text = "the dog barks. the cat sleeps. dog barks. the cat barks."
    made = engine(nllb, max_tokens=6)
    assert made.translate([text], "en", "de") == [models.translated(text, "de")]
    # All at once they are longer than anything that the model has learnt from.
    assert engine(nllb).translate([text], "en", "de") != made.translate([text], "en", "de")
    (refused,) = made.translate(["the dog the dog the dog the dog the dog. the cat sleeps."], "en", "de")
    assert refused == NoTranslation("a sentence of it has 11 tokens, more than the 6 that are read at once")


def test_no_text_is_longer_than_the_models_positions(nllb: Path) -> None:
    (refused,) = engine(nllb, max_tokens=1000).translate(["dog " * 63], "en", "de")
    assert refused == NoTranslation("a sentence of it has 63 tokens, more than the 62 that are read at once")


def test_a_translation_without_an_end_is_none(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["model.decoder.layer_norm.bias"] += 1
    weights["model.shared.weight"][2] = -1  # whatever the model reads, its end is the least likely
    save_file(weights, copy / "model.safetensors")
    (refused,) = engine(copy, beams=1).translate(["the dog"], "en", "de")
    assert isinstance(refused, NoTranslation) and "has no end within 38 tokens" in refused.reason


def test_a_model_through_the_command(nllb: Path, tmp_path: Path) -> None:
    """There and back, which gives the texts that there were."""
    here = tasks.make(tmp_path / "here")
    tasks.rows("single-train.tsv", ["the dog barks\tgood", "the cat sleeps .\tbad"], here / "data")
    arguments = ("--to", "en,de", "--via", "de", "--split", "train", "--out", "out", "--beams", "2")
    done = tasks.translate(here, "single", *arguments, engine=f"transformers:{nllb}")
    assert done.returncode == 0, done.stderr
    texts = {name: [row["text"] for row in tasks.read(here / "out" / f"train-{name}.jsonl")] for name in ("en", "de")}
    assert texts == {"en": ["the dog barks", "the cat sleeps ."], "de": ["der hund bellt", "der katze schläft ."]}
    told = json.loads((here / "out" / "provenance.json").read_text())["engine"]
    assert told["directions"]["de-en"]["content"].startswith("local:") and told["versions"]["torch"]
    other = tasks.translate(here, "single", *arguments[:-1], "3", engine=f"transformers:{nllb}")
    assert other.returncode == 2 and "another engine: beams is 2 there and 3 now" in other.stderr


def test_another_content_is_another_engine(copy: Path) -> None:
    before = engine(copy).identity("en", "de")
    assert engine(copy).identity("en", "de") == before
    weights = load_file(copy / "model.safetensors")
    weights["model.decoder.layer_norm.bias"] += 1
    save_file(weights, copy / "model.safetensors")
    assert engine(copy).identity("en", "de") != before


# Languages


def test_codes() -> None:
    assert set(NLLB.values()) <= {*FAIRSEQ_LANGUAGE_CODES}
    assert {code for task in TASKS.values() for code in task.languages} <= set(NLLB)
    assert same("de", "deu") and same("deu_Latn", "de") and not same("de", "nld")


def test_languages_that_a_model_does_not_know(nllb: Path) -> None:
    told = refusal(nllb, target="fr")
    assert "knows no language 'fr' (none of the tokens fra_Latn, __fr__, >>fr<<" in told
    assert "--codes fr=CODE" in told
    assert "none of the tokens xxx," in refusal(nllb, codes={"de": "xxx"})
    made = engine(nllb, codes={"bar": "deu_Latn"})
    assert made.translate(["the dog"], "en", "bar") == ["der hund"]


def test_marian_is_told_the_target_by_a_token(marian: Path) -> None:
    made = engine(marian)
    assert made.translate(TEXTS[:2], "en", "de") == [models.translated(text, "de") for text in TEXTS[:2]]
    assert made.identity("en", "de")["codes"] == ["", ">>deu<<"]
    assert "translates into none of >>fr<<, >>fra<<, >>fra_Latn<<" in refusal(marian, target="fr")
    assert engine(marian, codes={"x": "swh"}).identity("en", "x")["codes"] == ["", ">>swh<<"]


def test_a_marian_model_for_each_pair(tmp_path: Path) -> None:
    for pair in (("en", "de"), ("de", "en")):
        models.marian(tmp_path / "-".join(pair), steps=0, pair=pair)
    assert "translates from de to en, not from en to de" in refusal(tmp_path / "de-en")
    made = engine(f"{tmp_path}/{{source}}-{{target}}")
    for pair in (("en", "de"), ("de", "en")):
        made.check(*pair)
        assert made.identity(*pair)["model"] == str(tmp_path / "-".join(pair))
    # Padding is never chosen, however likely.
    (found,) = engine(tmp_path / "en-de", beams=1).translate(["dog"], "en", "de")
    assert isinstance(found, NoTranslation) or "<pad>" not in found


# Files


@pytest.mark.parametrize("shards", [0, 2])
def test_pickles_are_read_as_tensors_alone(nllb: Path, copy: Path, shards: int) -> None:
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    weights["model.encoder.embed_tokens.weight"] = weights["model.shared.weight"]
    pickles.write(copy, weights, shards)
    assert engine(copy).translate(TEXTS, "en", "de") == engine(nllb).translate(TEXTS, "en", "de")


class _Calls:
    def __reduce__(self) -> Any:
        return os.mkdir, ("called",)


def test_a_pickle_that_would_run_something_is_not_opened(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"model.shared.weight": _Calls()}, copy / "pytorch_model.bin", pickle_module=pickle)
    monkeypatch.chdir(copy)
    assert "pytorch_model.bin" in refusal(copy)
    assert not (copy / "called").exists()


def test_shared_embeddings_by_any_of_their_names(nllb: Path, copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights.pop("model.shared.weight")
    save_file(weights, copy / "model.safetensors")
    assert engine(copy).translate(TEXTS, "en", "de") == engine(nllb).translate(TEXTS, "en", "de")


def _spoil_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return spoil


def _not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights["model.decoder.layer_norm.bias"][3] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: configure(folder, model_type="t5"), "is of architecture 't5'; the engine transformers runs"),
        (lambda folder: configure(folder, auto_map={"AutoModel": "x--y.Z"}), "names code of its own (auto_map)"),
        (lambda folder: configure(folder, quantization_config={"load_in_8bit": True}), "has a quantization_config"),
        (lambda folder: configure(folder, d_model=10**9), "d_model is 1000000000, not a whole number from 1 to 65,536"),
        (lambda folder: configure(folder, encoder_layers="1"), "encoder_layers is '1'"),
        (lambda folder: configure(folder, pad_token_id=99), "pad_token_id is 99, not one of the"),
        (lambda folder: configure(folder, decoder_attention_heads=3), "not a multiple of decoder_attention_heads"),
        (lambda folder: configure(folder, activation_function="no_such"), "activation_function is 'no_such'"),
        (lambda folder: configure(folder, activation_function=[]), "activation_function is []"),
        (lambda folder: configure(folder, encoder_layers=60_000), "from 1 to 1,000"),
        # Sizes are believed where the weights bear them out: no memory is taken for the others.
        (lambda folder: configure(folder, d_model=65_536, vocab_size=10_000_000), "do not fit its config.json"),
        (lambda folder: configure(folder, encoder_layers=2), "lack model.encoder.layers.1."),
        (_spoil_weights(lambda weights: weights.pop("model.decoder.layer_norm.bias")), "lack model.decoder.layer_norm"),
        (_spoil_weights(lambda weights: weights.pop("model.shared.weight")), "lack model.shared.weight"),
        (_spoil_weights(_not_finite), "hold numbers that are not finite: model.decoder.layer_norm.bias"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100), "cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has neither model.safetensors nor pytorch_model.bin"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json, and no sentencepiece files"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "is not a tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "is not a tokenizer: it is not JSON"),
    ],
)
def test_files_that_are_refused(copy: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(copy)
    assert told in refusal(copy)


def test_tokens_that_the_model_lacks(copy: Path) -> None:
    content = json.loads((copy / "tokenizer.json").read_text())
    content["model"]["vocab"]["the"] = 4000
    (copy / "tokenizer.json").write_text(json.dumps(content))
    assert "has tokens that its model lacks" in refusal(copy)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nowhere/at-all@main", "HF_HUB_OFFLINE is set"),
        ("no such name!", "is neither a directory here nor a Hub id"),
        ("someone/model@", "it is written transformers:MODEL[@REVISION]"),
    ],
)
def test_models_that_are_not_there(model: str, told: str) -> None:
    from adapterx.errors import AdapterxError

    with pytest.raises(AdapterxError, match=told.replace("[", r"\[").replace("]", r"\]")):
        engine(model).check("en", "de")


def test_a_device_that_there_is_not(nllb: Path) -> None:
    assert "--device 'cuda:77'" in refusal(nllb, device="cuda:77")


def test_files_of_sentencepiece_need_its_package(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "sentencepiece.bpe.model").write_bytes(b"")
    monkeypatch.setattr("adapterx.translate.engines.seq2seq_tokens.find_spec", lambda name: None)
    assert "need the package sentencepiece: install it (pip install sentencepiece)" in refusal(copy)


STAND_IN = '''
"""Stands in for sentencepiece: words and points, with the mark of a word before each."""


class SentencePieceProcessor:
    def __init__(self, **settings):
        pass

    def Load(self, path):
        assert open(path).read() == "pieces"

    def encode(self, text, out_type=str):
        return ["\\u2581" + word for word in text.lower().replace(".", " .").split()]

    def decode(self, pieces):
        return "".join(pieces).replace("\\u2581", " ").strip()

    decode_pieces = decode
'''
ASK = """
import json, sys
from adapterx.translate.engines import registry, seq2seq_tokens
from adapterx.translate.engines.base import EngineOptions
from adapterx.translate.engines.seq2seq_files import located

marian, m2m = sys.argv[1:3]
engine = registry.make("transformers:" + marian, EngineOptions())
tokens = seq2seq_tokens.load(located(m2m, None), "m2m_100")
print(json.dumps({
    "marian": engine.translate(["The dog barks.", "cat"], "en", "de"),
    "ids": tokens.ids("the dog </s> __de__"),
    "text": tokens.text([5, 4, 2]),
    "code": tokens.id("__de__"),
    "unknown": tokens.id("__xx__"),
}))
hub = registry.make("transformers:someone/nllb@main", EngineOptions())
print(json.dumps([hub.translate(["the dog"], "en", "de"), hub.identity("en", "de")["content"]]))
"""


def test_tokenizers_of_sentencepiece_and_models_of_the_hub(nllb: Path, marian: Path, tmp_path: Path) -> None:
    """In a process of its own, which has a stand-in of the package, and knows no hub but the one here."""
    stand_in = tmp_path / "packages"
    (stand_in / "sentencepiece-0.2.0.dist-info").mkdir(parents=True)
    (stand_in / "sentencepiece-0.2.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sentencepiece\nVersion: 0.2.0\n"
    )
    (stand_in / "sentencepiece.py").write_text(textwrap.dedent(STAND_IN))
    with_pieces = Path(shutil.copytree(marian, tmp_path / "marian"))
    vocabulary = json.loads((with_pieces / "tokenizer.json").read_text())["model"]["vocab"]
    (with_pieces / "tokenizer.json").unlink()
    plain = {piece if piece[0] in "<>" else f"▁{piece}": id for piece, id in vocabulary.items()}
    (with_pieces / "vocab.json").write_text(json.dumps(plain))
    m2m = Path(shutil.copytree(nllb, tmp_path / "m2m"))
    (m2m / "tokenizer.json").unlink()
    seven = ["<s>", "<pad>", "</s>", "<unk>", "▁the", "▁dog", "▁</s>"]
    (m2m / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(seven)}))
    for path in (with_pieces / "source.spm", with_pieces / "target.spm", m2m / "sentencepiece.bpe.model"):
        path.write_text("pieces")
    with serve(tmp_path / "hub") as hub:
        files: dict[str, Any] = {path.name: path for path in nllb.iterdir()}
        commit = hub.commit("someone/nllb", {**files, "modeling.py": b"raise", "pytorch_model.bin": b"not wanted"})
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        answer = subprocess.run(
            [sys.executable, "-c", ASK, with_pieces, m2m],
            env={**kept, **hub.environment(tmp_path / "home"), "PYTHONPATH": f"{stand_in}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        fetched = hub.fetched()
    first, second = map(json.loads, answer.stdout.splitlines())
    assert first == {
        "marian": ["der hund bellt .", "katze"],
        # Special tokens that a text spells are text: neither the end nor a language.
        "ids": [4, 5, 6, 3],
        "text": "dog the",
        "code": len(seven) + 16,  # German is the seventeenth of M2M100's languages
        "unknown": None,
    }
    assert second == [["der hund"], f"hub:{commit}"]
    assert fetched == {"config.json", "tokenizer.json", "model.safetensors"}
