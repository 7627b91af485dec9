"""Adapters and heads go to AdapterHub's `adapters` and come back from it: the same hidden states and logits."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.formats.worked import LABELS, TOKENS, adapter, hidden, place, theirs
from tests.models import encoder
from tests.support.present import present

library = pytest.importorskip("adapters")
METHODS = {
    "sequential": Bottleneck(reduction_factor=4.0),
    "sequential-upper": Bottleneck(reduction_factor=8.0, activation="gelu", layers=(1, 2), dropout=0.1),
    "sequential-odd": Bottleneck(reduction_factor=5.0, scaling=2.0),
    "double": Bottleneck(placement="double", reduction_factor=16.0, activation="swish"),
    "double-one": Bottleneck(placement="double", reduction_factor=2.0, activation="swish", layers=(1,)),
    "invertible": Bottleneck(reduction_factor=4.0, invertible="nice"),
    "parallel": Bottleneck(placement="parallel", reduction_factor=2.0, scaling=4.0),
    "lora": Lora(rank=4, alpha=6.0),
    "lora-all": Lora(rank=3, alpha=2.5, target_modules=("intermediate", "key", "output", "query", "value")),
    "lora-ffn": Lora(rank=2, target_modules=("intermediate", "output"), layers=(0, 2)),
}
CONFIGS: dict[str, Any] = {
    "seq_bn": library.SeqBnConfig(),
    "seq_bn-wide": library.SeqBnConfig(reduction_factor=0.5, leave_out=[0]),
    "double_seq_bn": library.DoubleSeqBnConfig(reduction_factor=4, leave_out=[1]),
    "seq_bn_inv": library.SeqBnInvConfig(reduction_factor=4),
    "par_bn": library.ParBnConfig(scaling=2.0),
    "lora": library.LoRAConfig(r=4, alpha=8),
    "lora-everywhere": library.LoRAConfig(
        r=2, alpha=4, attn_matrices=["k"], intermediate_lora=True, output_lora=True, leave_out=[2]
    ),
    "lora-ffn": library.LoRAConfig(selfattn_lora=False, output_lora=True),
}
HEADS: tuple[str, ...] = ("pair-classification", "tagging", "multiple-choice", "extractive-qa", "regression")


def flexible(model: PreTrainedModel) -> Any:
    """The library's model with exchangeable heads, over the weights of a bare encoder."""
    made = library.XLMRobertaAdapterModel(model.config)
    missing, unexpected = made.roberta.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected and not any("encoder.layer" in key for key in missing), missing
    return made.eval()


def randomised(model: nn.Module, name: str) -> None:
    """No tensor of the adapter, or of its head, is left at zero."""
    torch.manual_seed(5)
    for key, parameter in model.named_parameters():
        if f".{name}." in key:
            parameter.data.normal_(0.0, 0.2)


@pytest.mark.parametrize("name", METHODS)
def test_written_here_loaded_there(name: str, tmp_path: Path) -> None:
    model, where = encoder("xlm-roberta"), place()
    own = adapter(METHODS[name], where)
    formats.write(tmp_path, "adapterhub", own, where, "base-seed1")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter.safetensors"}
    bare: Any = deepcopy(model)
    library.init(bare)
    for there in (bare, flexible(model)):
        info: dict[str, Any] = {}
        given = there.load_adapter(
            str(tmp_path), use_safetensors=True, with_head=False, loading_info=info, set_active=True
        )
        assert given == "base-seed1" and not info.get("missing_keys") and not info.get("unexpected_keys"), info
        encoded = getattr(there, "roberta", there)
        torch.testing.assert_close(hidden(model, own), theirs(encoded), atol=1e-5, rtol=1e-5)
    back = formats.read(tmp_path, where)
    assert back.method == METHODS[name] and back.head is None
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in own.tensors.items())


@pytest.mark.parametrize("kind", ["bare", "flexible"])
@pytest.mark.parametrize("name", CONFIGS)
def test_saved_there_read_here(kind: str, name: str, tmp_path: Path) -> None:
    model = encoder("xlm-roberta")
    there: Any = flexible(model) if kind == "flexible" else deepcopy(model)
    if kind == "bare":
        library.init(there)
    there.add_adapter("theirs", config=CONFIGS[name], set_active=True)
    randomised(there, "theirs")
    there.save_adapter(str(tmp_path), "theirs", with_head=False, use_safetensors=True)
    back = formats.read(tmp_path, place())
    torch.testing.assert_close(hidden(model, back), theirs(getattr(there, "roberta", there)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("format_", HEADS)
def test_heads_written_here_loaded_there(format_: str, tmp_path: Path) -> None:
    model, where = encoder("xlm-roberta"), place()
    own = adapter(METHODS["sequential"], where, format_)
    formats.write(tmp_path, "adapterhub", own, where, "mine")
    there = flexible(model)
    info: dict[str, Any] = {}
    there.load_adapter(str(tmp_path), use_safetensors=True, with_head=True, loading_info=info, set_active=True)
    assert not info.get("missing_keys") and not info.get("unexpected_keys"), info
    assert there.active_head == "mine"
    unnamed = ["LABEL_0"] if format_ == "regression" else ["LABEL_0", "LABEL_1"]
    assert there.get_labels() == (list(present(own.head).labels) or unnamed)
    torch.testing.assert_close(logits_here(model, own), logits_there(there, format_), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("format_", HEADS)
def test_heads_saved_there_read_here(format_: str, tmp_path: Path) -> None:
    model = encoder("xlm-roberta")
    there = flexible(model)
    there.add_adapter("theirs", config="seq_bn")
    add = {
        "pair-classification": lambda: there.add_classification_head("theirs", num_labels=3, id2label=named()),
        "tagging": lambda: there.add_tagging_head("theirs", num_labels=3, id2label=named()),
        "multiple-choice": lambda: there.add_multiple_choice_head("theirs", num_choices=2),
        "extractive-qa": lambda: there.add_qa_head("theirs"),
        "regression": lambda: there.add_classification_head("theirs", num_labels=1),
    }
    add[format_]()
    there.set_active_adapters("theirs")
    there.active_head = "theirs"
    randomised(there, "theirs")
    there.save_adapter(str(tmp_path), "theirs", use_safetensors=True)
    back = formats.read(tmp_path, place())
    head = present(back.head)
    assert head.format == format_
    unnamed: dict[str, tuple[str, ...]] = {
        "multiple-choice": ("LABEL_0", "LABEL_1"),
        "extractive-qa": (),
        "regression": (),
    }
    assert head.labels == unnamed.get(format_, LABELS)
    torch.testing.assert_close(logits_here(model, back), logits_there(there.eval(), format_), atol=1e-5, rtol=1e-5)


def named() -> dict[int, str]:
    return dict(enumerate(LABELS))


def logits_here(model: PreTrainedModel, own: PortableAdapter) -> Tensor:
    """(4, labels), of every token when tagging or answering: (4, length, ·); of two items with two choices: (2, 2)."""
    states = hidden(model, own)
    written = present(own.head)
    head, tensors = written.named("task")
    if written.format in ("tagging", "extractive-qa"):
        rows = head.scores(tensors, states.flatten(0, 1))
        return rows.view(*states.shape[:2], -1)
    scores = head.scores(tensors, states[:, 0])
    return head.units(scores, torch.tensor([2, 2])) if written.format == "multiple-choice" else scores


def logits_there(there: Any, format_: str) -> Tensor:
    """The same from the library's model."""
    tokens = torch.as_tensor(TOKENS, dtype=torch.long)
    if format_ == "multiple-choice":
        tokens = tokens.view(2, 2, -1)
    with torch.no_grad():
        found = there(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    if format_ == "extractive-qa":
        return torch.stack([found.start_logits, found.end_logits], -1)
    return cast(Tensor, found.logits)


@pytest.mark.parametrize("head", ["tagging", "extractive-qa"])
@pytest.mark.parametrize("name", ["sequential-upper", "double", "parallel", "lora-ffn"])
def test_configurations_are_as_the_library_writes_them(name: str, head: str, tmp_path: Path) -> None:
    """Key by key and head included, what saving the loaded adapter again gives."""
    where = place()
    formats.write(tmp_path, "adapterhub", adapter(METHODS[name], where, head), where, "mine")
    there = flexible(encoder("xlm-roberta"))
    there.load_adapter(str(tmp_path), use_safetensors=True)
    there.save_adapter(str(tmp_path / "again"), "mine", use_safetensors=True)
    for file in ("adapter_config.json", "head_config.json"):
        ours, again = (json.loads((path / file).read_text()) for path in (tmp_path, tmp_path / "again"))
        for content in (ours, again):
            del content["model_class"], content["model_name"]  # those of the model it was loaded into
        assert ours == again
    for file in ("adapter.safetensors", "model_head.safetensors"):
        ours, again = (load_file(path / file) for path in (tmp_path, tmp_path / "again"))
        assert {key.removeprefix("roberta.") for key in again} == ours.keys()


def test_stacked_adapters_act_as_a_stack(tmp_path: Path) -> None:
    model, where = encoder("xlm-roberta"), place()
    for placement in ("sequential", "double"):
        parts = [adapter(METHODS[placement], where, seed=seed) for seed in (1, 2)]
        there: Any = deepcopy(model)
        library.init(there)
        for name, part in zip(("below", "above"), parts, strict=True):
            (tmp_path / f"{placement}-{name}").mkdir()
            formats.write(tmp_path / f"{placement}-{name}", "adapterhub", part, where, name)
            there.load_adapter(str(tmp_path / f"{placement}-{name}"), use_safetensors=True)
        there.set_active_adapters(library.Stack("below", "above"))
        torch.testing.assert_close(hidden(model, *parts), theirs(there), atol=1e-5, rtol=1e-5)


def test_what_the_library_cannot_hold_is_not_written(tmp_path: Path) -> None:
    everywhere = adapter(Lora(target_modules=("attention_output", "query")), place())
    with pytest.raises(FormatError, match=r"no LoRA on attention_output: .*--format peft"):
        formats.write(tmp_path, "adapterhub", everywhere, place(), "mine")
    large = place("xlm-roberta-xl")
    with pytest.raises(FormatError, match="knows no xlm-roberta-xl models"):
        formats.write(tmp_path, "adapterhub", adapter(METHODS["sequential"], large), large, "mine")
    with pytest.raises(FormatError, match="cannot be an adapter's name"):
        formats.write(tmp_path, "adapterhub", adapter(METHODS["sequential"], place()), place(), "a.b")
    whole = adapter(METHODS["sequential"], place())
    lost = "encoder.layer.0.output.adapter.up.bias"
    short = replace(whole, tensors={key: tensor for key, tensor in whole.tensors.items() if key != lost})
    with pytest.raises(FormatError, match="not a single Bottleneck"):
        formats.write(tmp_path, "adapterhub", short, place(), "mine")
    assert not list(tmp_path.iterdir())


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "factors": ("sequential", {"reduction_factor": {"1": 4}}, "reduction_factor is None, not a number"),
    "invertible": ("sequential", {"inv_adapter": "other"}, "the invertible adapter is 'other' with a reduction"),
    "scaling": ("parallel", {"scaling": "much"}, "'much' is not supported"),
    "kind": ("sequential", {"architecture": "prompt_tuning"}, "'prompt_tuning' cannot be read"),
    "activation": ("sequential", {"non_linearity": 3}, "non_linearity 3 is not supported"),
    "vera": ("lora", {"vera_d": 0.1}, "VeRA draws matrices that its files do not hold"),
    "unknown": ("sequential", {"new_trick": 3}, r"new_trick \(3\) is not known"),
    "width": ("sequential", {"reduction_factor": 2}, r"is \(8, 32\), but .* needs \(16, 32\)"),
    "missing": ("sequential-upper", {"leave_out": []}, "lacks .*layer.0"),
    "unexpected": ("sequential", {"leave_out": [0]}, "layer.0.* has no place for"),
    "too-high": ("sequential", {"leave_out": [5]}, "does not fit an encoder of 3 layers"),
    "nothing": ("lora", {"selfattn_lora": False}, "no linear layer of the encoder is adapted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_adapters_are_refused(name: str, tmp_path: Path) -> None:
    method, changes, message = REFUSED[name]
    formats.write(tmp_path, "adapterhub", adapter(METHODS[method], place()), place(), "mine")
    path = tmp_path / "adapter_config.json"
    whole = json.loads(path.read_text())
    whole["config"].update(changes)
    path.write_text(json.dumps(whole))
    with pytest.raises(FormatError, match=message) as refused:
        formats.read(tmp_path, place())
    assert str(tmp_path) in str(refused.value)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    formats.write(tmp_path, "adapterhub", adapter(METHODS["double"], place()), place(), "mine")
    with pytest.raises(FormatError, match=r"lacks .*layer\.3"):
        formats.read(tmp_path, place(layers=4))
    with pytest.raises(FormatError, match=r"layer\.2.* has no place for"):
        formats.read(tmp_path, place(layers=2))
    with pytest.raises(FormatError, match="made for 32 features, the backbone has 48"):
        formats.read(tmp_path, place(hidden=48))
    with pytest.raises(FormatError, match="made for the architecture 'xlm-roberta', the backbone is xlm-roberta-xl"):
        formats.read(tmp_path, place("xlm-roberta-xl"))


HEADS_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"head_type": "dependency_parsing"}, "type 'dependency_parsing' cannot be used"),
    "answers": ({"head_type": "question_answering", "layers": 1, "num_labels": 3}, "num_labels: 3 is not supported"),
    "layers": ({"layers": 1}, "layers: 1 is not supported"),
    "pooler": ({"use_pooler": True}, "use_pooler: True is not supported"),
    "activation": ({"activation_function": "relu"}, "activation_function: 'relu' is not supported"),
    "labels": ({"label2id": {"a": 0, "b": 2, "c": 3}}, "does not number the labels"),
    "count": ({"num_labels": 4}, "label2id has 3 labels, the head 4"),
    "shape": ({"num_labels": 2, "label2id": {"a": 0, "b": 1}}, r"is \(3, 32\), but this head needs \(2, 32\)"),
}


@pytest.mark.parametrize("name", HEADS_REFUSED)
def test_other_heads_are_refused(name: str, tmp_path: Path) -> None:
    changes, message = HEADS_REFUSED[name]
    formats.write(tmp_path, "adapterhub", adapter(METHODS["lora"], place(), "pair-classification"), place(), "mine")
    path = tmp_path / "head_config.json"
    whole = json.loads(path.read_text())
    whole["config"].update(changes)
    path.write_text(json.dumps(whole))
    with pytest.raises(FormatError, match=message):
        formats.read(tmp_path, place())


def test_a_head_lacking_a_tensor_is_refused(tmp_path: Path) -> None:
    formats.write(tmp_path, "adapterhub", adapter(METHODS["lora"], place(), "tagging"), place(), "mine")
    path = tmp_path / "model_head.safetensors"
    save_file({key: tensor for key, tensor in load_file(path).items() if "bias" not in key}, path)
    with pytest.raises(FormatError, match=r"lacks heads\.mine\.1\.bias"):
        formats.read(tmp_path, place())
