"""LoRA goes to `peft` and comes back from it: the same hidden states."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from adapterx.backbones.modules import Module
from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.formats.worked import TOKENS, adapter, hidden, place, theirs
from tests.models import encoder
from tests.support.present import present

peft = pytest.importorskip("peft")
ALL: tuple[Module, ...] = ("attention_output", "intermediate", "key", "output", "query", "value")
METHODS = {
    "default": Lora(rank=4, alpha=6.0),
    "all": Lora(rank=3, alpha=2.5, target_modules=ALL),
    "output": Lora(rank=2, target_modules=("output",)),
    "upper-output": Lora(rank=2, target_modules=("output", "query"), layers=(1, 2)),
    "attention-output": Lora(rank=2, target_modules=("attention_output",), layers=(0, 2)),
    "one-layer": Lora(rank=5, target_modules=ALL, layers=(1,)),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {"target_modules": ["query", "value"]},
    "rslora": {"target_modules": ["key"], "use_rslora": True},
    "gaussian": {"target_modules": ["value"], "init_lora_weights": "gaussian"},
    "dense": {"target_modules": ["dense"]},
    "all-linear": {"target_modules": "all-linear"},
    "regex": {"target_modules": r".*layer\.[12]\.attention\.self\.(query|key)"},
    "layers": {"target_modules": ["query", "output.dense"], "layers_to_transform": [0, 2], "layers_pattern": "layer"},
    "excluded": {"target_modules": ["output.dense"], "exclude_modules": ["attention.output.dense"]},
    "full-names": {"target_modules": ["encoder.layer.2.output.dense"]},
}


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("name", METHODS)
def test_written_here_loaded_there(architecture: str, name: str, tmp_path: Path) -> None:
    model, where = encoder(architecture), place(architecture)
    own = adapter(METHODS[name], where)
    formats.write(tmp_path, "peft", own, where, "mine")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    config = peft.PeftConfig.from_pretrained(tmp_path)
    assert config.task_type == "FEATURE_EXTRACTION" and config.base_model_name_or_path == "someone/small"
    loaded = peft.PeftModel.from_pretrained(deepcopy(model), tmp_path)
    adapted = {key for key in loaded.state_dict() if "lora_A" in key}
    assert len(adapted) == len(own.tensors) // 2
    torch.testing.assert_close(hidden(model, own), theirs(loaded), atol=1e-5, rtol=1e-5)
    back = formats.read(tmp_path, where)
    assert back.method == METHODS[name] and back.head is None
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in own.tensors.items())


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("name", CONFIGS)
def test_saved_there_read_here(architecture: str, name: str, tmp_path: Path) -> None:
    model, where = encoder(architecture), place(architecture)
    there = made_there(model, CONFIGS[name])
    there.save_pretrained(tmp_path, save_embedding_layers=False)
    back = formats.read(tmp_path, where)
    assert isinstance(back.method, Lora)
    torch.testing.assert_close(hidden(model, back), theirs(there), atol=1e-5, rtol=1e-5)


def made_there(model: PreTrainedModel, settings: dict[str, Any], task: str = "FEATURE_EXTRACTION") -> Any:
    """The library's model with an adapter in which nothing that is trained is zero."""
    config = peft.LoraConfig(task_type=task, r=4, lora_alpha=6, **settings)
    there = peft.get_peft_model(deepcopy(model), config)
    torch.manual_seed(5)
    for key, parameter in there.named_parameters():
        if "lora_" in key or "classifier" in key:
            parameter.data.normal_(0.0, 0.2)
    return there


def test_the_configuration_is_as_the_library_writes_it(tmp_path: Path) -> None:
    """Key by key, what saving the loaded adapter again gives."""
    model, where = encoder("xlm-roberta"), place()
    formats.write(tmp_path, "peft", adapter(METHODS["upper-output"], where), where, "mine")
    loaded = peft.PeftModel.from_pretrained(deepcopy(model), tmp_path)
    loaded.save_pretrained(tmp_path / "again", save_embedding_layers=False)
    ours, again = (json.loads((path / "adapter_config.json").read_text()) for path in (tmp_path, tmp_path / "again"))
    assert ours["target_modules"] == sorted(again.pop("target_modules"))
    assert {**ours, "target_modules": None} == {**again, "target_modules": None}
    first, second = (load_file(path / "adapter_model.safetensors") for path in (tmp_path, tmp_path / "again"))
    assert first.keys() == second.keys()


def test_an_adapter_of_a_model_with_a_head_is_read(tmp_path: Path) -> None:
    model = encoder("xlm-roberta")
    headed: Any = transformers.XLMRobertaForMaskedLM(model.config)  # type: ignore[no-untyped-call]
    headed.roberta.load_state_dict(model.state_dict())
    there = made_there(headed, {"target_modules": ["query", "value"]})
    there.save_pretrained(tmp_path, save_embedding_layers=False)
    back = formats.read(tmp_path, place())
    torch.testing.assert_close(hidden(model, back), theirs(there.base_model.model.roberta), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("task", ["SEQ_CLS", "TOKEN_CLS"])
def test_a_head_that_was_trained_along_is_read(architecture: str, task: str, tmp_path: Path) -> None:
    kind = {"SEQ_CLS": "SequenceClassification", "TOKEN_CLS": "TokenClassification"}[task]
    name = {"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL"}[architecture]
    model = encoder(architecture)
    model.config.num_labels = 3
    headed = getattr(transformers, f"{name}For{kind}")(model.config)
    headed.roberta.load_state_dict(model.state_dict())
    there = made_there(headed, {"target_modules": ["query", "dense"]}, task).eval()
    there.save_pretrained(tmp_path, save_embedding_layers=False)
    back = formats.read(tmp_path, place(architecture))
    read = present(back.head)
    assert read.format == ("tagging" if task == "TOKEN_CLS" else "pair-classification")
    head, tensors = read.named("task")
    states = hidden(model, back)
    ours = head.scores(tensors, states if task == "TOKEN_CLS" else states[:, 0])
    with torch.no_grad():
        expected = there(input_ids=torch.as_tensor(TOKENS, dtype=torch.long)).logits
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "format_", ["pair-classification", "tagging", "multiple-choice", "extractive-qa", "regression"]
)
def test_a_head_travels_beside_the_adapter(format_: str, tmp_path: Path) -> None:
    where = place()
    own = adapter(METHODS["default"], where, format_)
    formats.write(tmp_path, "peft", own, where, "mine")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    types = {"pair-classification": "SEQ_CLS", "regression": "SEQ_CLS", "tagging": "TOKEN_CLS"}
    assert config["task_type"] == types.get(format_, "FEATURE_EXTRACTION")
    back, head = present(formats.read(tmp_path, where).head), present(own.head)
    assert (back.format, back.labels, back.task) == (format_, head.labels, "opinions")
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in head.tensors.items())


def test_a_bottleneck_has_no_place_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"peft has no bottleneck adapters: .*--format adapterhub"):
        formats.write(tmp_path, "peft", adapter(Bottleneck(), place()), place(), "mine")
    assert not list(tmp_path.iterdir())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "pissa": ({"init_lora_weights": "pissa"}, "'pissa' changes the backbone too: save .*path_initial_model"),
    "bias": ({"bias": "some"}, "bias: 'some' is not supported"),
    "ranks": ({"rank_pattern": {"query": 2}}, r"lora_A.weight is \(4, 32\), but .* needs \(2, 32\)"),
    "pattern": ({"rank_pattern": {"(query": 2}}, "rank_pattern '\\(query' is not a regular expression"),
    "alphas": ({"alpha_pattern": {"query": 1e9}}, "the scaling of .* is .* times that of other layers"),
    "replicated": ({"use_dora": True, "layer_replication": [[0, 2]]}, "layer_replication: .* is not supported"),
    "kind": ({"peft_type": "VERA"}, "peft_type 'VERA' cannot be read; adapterx reads LORA, IA3"),
    "unknown": ({"new_trick": 3}, r"new_trick \(3\) is not known"),
    "rank": ({"r": 5}, r"lora_A.weight is \(4, 32\), but .* needs \(5, 32\)"),
    "embeddings": ({"modules_to_save": ["embeddings"]}, r"modules_to_save: \['embeddings'\] is not supported"),
    "no-head": ({"modules_to_save": ["classifier"]}, "lacks base_model.model.classifier.out_proj.weight"),
    "nothing": ({"target_modules": ["q_proj"]}, "name no linear layer"),
    "missing": ({"target_modules": ["query", "key"]}, "lacks .*key.lora_A.weight"),
    "unexpected": ({"target_modules": ["query"]}, "value.lora_A.weight.* has no place for"),
    "too-high": ({"layers_to_transform": [1, 7]}, "do not fit an encoder of 3 layers"),
    "regex": ({"target_modules": "(query"}, "is not a regular expression"),
    "alpha": ({"lora_alpha": "big"}, "lora_alpha is 'big', not a number"),
    "uneven": (
        {"target_modules": ["encoder.layer.0.attention.self.query", "encoder.layer.1.attention.self.key"]},
        "lacks .*layer.1.attention.self.key.lora_A.weight",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plain_lora_is_refused(name: str, tmp_path: Path) -> None:
    changes, message = REFUSED[name]
    formats.write(tmp_path, "peft", adapter(METHODS["default"], place()), place(), "mine")
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(FormatError, match=message) as refused:
        formats.read(tmp_path, place())
    assert str(tmp_path) in str(refused.value)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    formats.write(tmp_path, "peft", adapter(METHODS["default"], place()), place(), "mine")
    with pytest.raises(FormatError, match=r"lacks .*layer\.3.*backbone"):
        formats.read(tmp_path, place(layers=4))
    with pytest.raises(FormatError, match=r"layer\.2.* has no place for"):
        formats.read(tmp_path, place(layers=2))
    with pytest.raises(FormatError, match=r"is \(4, 32\), but .* needs \(4, 48\)"):
        formats.read(tmp_path, place(hidden=48))


def test_a_directory_without_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no adapter_config\.json"):
        formats.read(tmp_path, place())
    formats.write(tmp_path, "peft", adapter(METHODS["default"], place()), place(), "mine")
    weights = tmp_path / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.rename(tmp_path / "adapter_model.bin")
    with pytest.raises(FormatError, match=r"adapter_model\.bin is no file of torch\.save"):
        formats.read(tmp_path, place())
    weights.write_bytes(content[:200])
    with pytest.raises(FormatError, match="not a whole safetensors file"):
        formats.read(tmp_path, place())
    save_file({key: tensor.long() for key, tensor in load_file(tmp_path / "adapter_model.bin").items()}, weights)
    with pytest.raises(FormatError, match="not floating-point"):
        formats.read(tmp_path, place())
    (tmp_path / "adapter_config.json").write_text("{]")
    with pytest.raises(FormatError, match="is not JSON"):
        formats.read(tmp_path, place())
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(FormatError, match="neither peft's"):
        formats.read(tmp_path, place())
