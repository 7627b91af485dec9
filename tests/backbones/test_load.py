"""Loading checkpoints from disk: the right tensors, no code, no noise."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import XLMRobertaForMaskedLM, XLMRobertaXLForMaskedLM

from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.spec import Backbone
from tests.backbones.checkpoints import edit_config, save, tokenizer
from tests.models import config, encoder

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")


def opened(directory: Path, **settings: Any) -> LoadedBackbone:
    return load(Backbone(model=str(directory), **settings))


def refusal(directory: Path) -> str:
    """The words a checkpoint is refused with when it is loaded."""
    with pytest.raises(BackboneError) as caught:
        opened(directory)
    return str(caught.value)


def rewrite(directory: Path, change: Any) -> None:
    """Pass a checkpoint's tensors through a function."""
    path = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(change(tensors), path, metadata={"format": "pt"})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_was_saved_is_what_runs(tmp_path: Path, architecture: str) -> None:
    loaded = opened(save(tmp_path / "model", architecture))
    original = encoder(architecture)
    assert type(loaded.model) is type(original)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    tokens = torch.tensor([[0, 31, 32, 17, 2], [0, 9, 2, 1, 1]])
    with torch.no_grad():
        expected, found = (model(tokens, tokens != 1).last_hidden_state for model in (original, loaded.model))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert loaded.info == describe(Backbone(model=str(tmp_path / "model")))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pretraining_head_is_dropped_in_silence(
    tmp_path: Path, architecture: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    kinds: dict[str, Callable[..., Any]] = {
        "xlm-roberta": XLMRobertaForMaskedLM,
        "xlm-roberta-xl": XLMRobertaXLForMaskedLM,
    }
    whole = kinds[architecture](config(architecture))
    whole.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    level = logging.getLogger("transformers").level
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = opened(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert logging.getLogger("transformers").level == level
    names = {name for name, _ in loaded.model.named_parameters()}
    assert names == {name for name, _ in whole.roberta.named_parameters()}
    for name, parameter in loaded.model.named_parameters():
        torch.testing.assert_close(parameter, whole.roberta.get_parameter(name), rtol=0, atol=0)


def test_shards_are_one_model(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    encoder("xlm-roberta").save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    tokenizer().save_pretrained(tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    pairs = zip(
        opened(directory).model.named_parameters(), opened(tmp_path / "shards").model.named_parameters(), strict=True
    )
    assert all(left[0] == right[0] and torch.equal(left[1], right[1]) for left, right in pairs)


def test_bfloat16(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    loaded = opened(directory, load="bfloat16")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    exact = dict(opened(directory).model.named_parameters())
    assert {parameter.dtype for parameter in exact.values()} == {torch.float32}
    for name, parameter in loaded.model.named_parameters():
        assert torch.equal(parameter, exact[name].bfloat16())


def test_half_precision_weights_load_as_asked(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    rewrite(directory, lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    edit_config(directory, dtype="float16", torch_dtype="float16")
    assert {parameter.dtype for parameter in opened(directory).model.parameters()} == {torch.float32}


def test_missing_tensors_are_refused_not_made_up(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    rewrite(
        directory, lambda tensors: {name: tensor for name, tensor in tensors.items() if "encoder.layer.2." not in name}
    )
    message = refusal(directory)
    assert "lacks 16 of the encoder's tensors, encoder.layer.2." in message
    rewrite(directory, lambda tensors: {f"decoder.{name}": tensor for name, tensor in tensors.items()})
    assert "lacks 53 of the encoder's tensors" in refusal(directory)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    edit_config(directory, intermediate_size=64)
    assert "do not fit its config.json" in refusal(directory)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert f"the weights of {directory} cannot be read" in refusal(directory)


def test_an_unknown_activation_is_refused(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    edit_config(directory, hidden_act="no_such_function")
    assert "no_such_function" in refusal(directory)


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {"type": "WordPiece"}}'])
def test_a_broken_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    directory = save(tmp_path / "model")
    (directory / "tokenizer.json").write_text(content)
    assert f"tokenizer.json of {directory} is not a tokenizer" in refusal(directory)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    directory = save(tmp_path / "model")
    path = directory / "tokenizer.json"
    backend = json.loads(path.read_text())
    path.write_text(path.read_text().replace("<s>", "[CLS]"))
    assert "lacks <s>, so it is not an XLM-R tokenizer" in refusal(directory)
    backend["model"]["vocab"] += [[f"word{number}", -50.0] for number in range(120)]
    path.write_text(json.dumps(backend))
    assert "has 154 tokens, the encoder only 120" in refusal(directory)


def test_the_tokenizer_is_that_of_its_file(tmp_path: Path) -> None:
    loaded = opened(save(tmp_path / "model"))
    assert loaded.tokenizer("the cat a", "b").input_ids == [0, 31, 32, 4, 5, 2, 2, 4, 6, 2]
    found = loaded.tokenizer
    assert (found.bos_token_id, found.pad_token_id, found.eos_token_id, found.unk_token_id) == (0, 1, 2, 3)
    again = opened(shutil.copytree(tmp_path / "model", tmp_path / "copy"))
    assert again.tokenizer_key == loaded.tokenizer_key
    path = tmp_path / "copy" / "tokenizer.json"
    path.write_text(path.read_text().replace("▁cat", "▁dog"))
    assert opened(tmp_path / "copy").tokenizer_key != loaded.tokenizer_key


def test_code_beside_the_weights_never_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = save(tmp_path / "model")
    expected = opened(directory).model.state_dict()
    bait = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Bait: ...\n"
    for name in ("bait.py", "modeling_bait.py", "tokenization_bait.py", "__init__.py"):
        (directory / name).write_text(bait)
    edit_config(
        directory,
        trust_remote_code=True,
        tokenizer_class="Bait",
        # With the package `kernels` installed, this would fetch compiled code.
        _attn_implementation="nobody/bait",
        attn_implementation="nobody/bait",
        _attn_implementation_internal="nobody/bait",
    )
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Bait", "auto_map": {"AutoTokenizer": ["tokenization_bait.Bait", None]}})
    )
    # The library follows this file to another model.
    (directory / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "nobody/bait"})
    )
    capfd.readouterr()
    loaded = opened(directory)
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "ran").exists()
    assert not [name for name in sys.modules if "bait" in name]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.model.state_dict().items())
