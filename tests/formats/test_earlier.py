"""Adapters as adapter-transformers 1 to 3 and early `adapters` saved them: as today's library loads them, or refused.

Their layouts are made of what today's library saves, with the keys and names of each version, which
`adapters/loading.py` translates when it loads one.
"""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.methods.bottleneck.spec import Bottleneck
from tests.formats.test_adapterhub import flexible, logits_here, logits_there, named, randomised
from tests.formats.worked import LABELS, hidden, place, theirs
from tests.models import encoder
from tests.support.present import present

library = pytest.importorskip("adapters")
SINCE_TWO = {
    "adapter_residual_before_ln",
    "cross_adapter",
    "inv_adapter",
    "inv_adapter_reduction_factor",
    "leave_out",
    "ln_after",
    "ln_before",
    "mh_adapter",
    "non_linearity",
    "original_ln_after",
    "original_ln_before",
    "output_adapter",
    "reduction_factor",
    "residual_before_ln",
}
"""Settings of a bottleneck in adapter-transformers 2."""


def saved(directory: Path, config: Any, head: bool = False) -> Any:
    """A pickled adapter of today's library, and the model that it is in."""
    there = flexible(encoder("xlm-roberta"))
    there.add_adapter("theirs", config=config)
    if head:
        there.add_classification_head("theirs", num_labels=3, id2label=named())
    there.set_active_adapters("theirs")
    randomised(there, "theirs")
    there.save_adapter(str(directory), "theirs", with_head=head)
    return there.eval()


def edited(path: Path, **changes: Any) -> dict[str, Any]:
    """A JSON file with other values under these keys; None drops one."""
    content = {key: value for key, value in {**json.loads(path.read_text()), **changes}.items() if value is not None}
    path.write_text(json.dumps(content))
    return content


def as_version_two(directory: Path, **changes: Any) -> None:
    """Without a version, and with the settings of that time alone."""
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())["config"]
    kept = {key: config[key] for key in SINCE_TWO} | changes
    edited(path, version=None, config=kept, model_class="XLMRobertaModelWithHeads")
    if (directory / "head_config.json").exists():
        edited(directory / "head_config.json", version=None, model_class="XLMRobertaModelWithHeads")


def as_version_one(directory: Path, kind: str) -> None:
    """Modules named after tasks and languages, and an invertible adapter described in a table."""
    as_version_two(directory)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())["config"]
    table = {"block_type": "nice", "non_linearity": config["non_linearity"], "reduction_factor": 2}
    config = {key: value for key, value in config.items() if not key.startswith(("inv_", "cross_"))}
    edited(path, type=kind, config={**config, "invertible_adapter": table}, model_class="XLMRobertaModel")
    weights = directory / "pytorch_adapter.bin"
    names = {".attention.output.adapters.": f".attention.output.attention_{kind}_adapters."}
    names |= {
        ".output.adapters.": f".output.layer_{kind}_adapters.",
        "invertible_adapters.": "invertible_lang_adapters.",
    }
    torch.save({renamed(name, names): one for name, one in torch.load(weights, weights_only=True).items()}, weights)


def renamed(name: str, names: dict[str, str]) -> str:
    return next((name.replace(old, new) for old, new in names.items() if old in name), name)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (library.SeqBnInvConfig(reduction_factor=4), "text_lang"),
        (library.SeqBnConfig(reduction_factor=4, leave_out=[1]), "text_task"),
        (library.DoubleSeqBnConfig(reduction_factor=8), "text_task"),
    ],
    ids=["pfeiffer+inv", "pfeiffer", "houlsby"],
)
def test_version_one(config: Any, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    there = saved(tmp_path, config)
    as_version_one(tmp_path, kind)
    back = formats.read(tmp_path, place())
    torch.testing.assert_close(hidden(encoder("xlm-roberta"), back), theirs(there.roberta), atol=1e-5, rtol=1e-5)
    assert isinstance(back.method, Bottleneck) and (back.method.invertible == "nice") == (kind == "text_lang")
    # Today's library reads the layout alike.
    again = flexible(encoder("xlm-roberta"))
    again.load_adapter(str(tmp_path), set_active=True)
    torch.testing.assert_close(theirs(again.roberta), theirs(there.roberta))
    (told,) = [record.message for record in caplog.records if record.name.startswith("adapterx")]
    assert told == f"{tmp_path / 'pytorch_adapter.bin'} is pickled: its tensors alone are read, without running code"


@pytest.mark.parametrize(("before", "today"), [("gelu", "gelu_new"), ("gelu_orig", "gelu"), ("relu", "relu")])
def test_version_two_with_its_head(before: str, today: str, tmp_path: Path) -> None:
    there = saved(tmp_path, library.SeqBnConfig(reduction_factor=4, non_linearity=today), head=True)
    as_version_two(tmp_path, non_linearity=before)
    back = formats.read(tmp_path, place())
    head = present(back.head)
    assert (head.format, head.labels) == ("pair-classification", LABELS)
    found = logits_here(encoder("xlm-roberta"), back)
    torch.testing.assert_close(found, logits_there(there, head.format), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "config"),
    [("pfeiffer", "seq_bn"), ("houlsby", "double_seq_bn"), ("pfeiffer+inv", "seq_bn_inv"), ("parallel", "par_bn")],
)
def test_configurations_by_name(name: str, config: str, tmp_path: Path) -> None:
    there = saved(tmp_path, config)
    edited(tmp_path / "adapter_config.json", config=name, version="3.2.1")
    back = formats.read(tmp_path, place())
    torch.testing.assert_close(hidden(encoder("xlm-roberta"), back), theirs(there.roberta), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        library.SeqBnConfig(reduction_factor={"1": 2, "default": 8}, non_linearity="leakyrelu"),
        library.SeqBnInvConfig(reduction_factor={"0": 3, "2": 8}, leave_out=[1], non_linearity="tanh"),
        library.DoubleSeqBnConfig(reduction_factor={"1": 2, "default": 8}, residual_before_ln=False),
    ],
    ids=["factors", "left-out", "double"],
)
def test_factors_by_layer(config: Any, tmp_path: Path) -> None:
    there = saved(tmp_path, config)
    back = formats.read(tmp_path, place())
    assert isinstance(back.method, Bottleneck)
    torch.testing.assert_close(hidden(encoder("xlm-roberta"), back), theirs(there.roberta), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("version", "by_one"),
    [
        ("adapters.1.0.0", True),
        ("adapters.1.0.1", True),
        ("adapters.1.1.0.dev0", True),
        ("adapters.1.1.0", False),
        ("adapters.1.3.0", False),
        ("3.2.1", False),
    ],
)
def test_early_lora_is_scaled_as_it_was_trained(
    version: str, by_one: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `AdapterLoader._fix_backward_compat` does: the factor alpha / r was left out before 1.1."""
    saved(tmp_path, library.LoRAConfig(r=4, alpha=12))
    edited(tmp_path / "adapter_config.json", version=version)
    again = flexible(encoder("xlm-roberta"))
    again.load_adapter(str(tmp_path), set_active=True)
    back = formats.read(tmp_path, place())
    torch.testing.assert_close(hidden(encoder("xlm-roberta"), back), theirs(again.roberta), atol=1e-5, rtol=1e-5)
    assert back.method.scaling == (1.0 if by_one else 3.0)  # type: ignore[attr-defined]
    assert ("did not scale LoRA by alpha / r" in caplog.text) == by_one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": "compacter"}, "config is 'compacter'"),
        ({"config": None}, "config"),
        ({"version": "adapters.new"}, "the version 'adapters.new' is none of `adapters`"),
    ],
)
def test_what_no_version_wrote_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    saved(tmp_path, library.LoRAConfig(r=4, alpha=12))
    edited(tmp_path / "adapter_config.json", **changes)
    with pytest.raises(FormatError, match=message):
        formats.read(tmp_path, place())


def test_an_invertible_part_with_another_activation_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, library.SeqBnInvConfig(reduction_factor=4))
    as_version_one(tmp_path, "text_lang")
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())["config"]
    config["invertible_adapter"]["non_linearity"] = "tanh"
    edited(path, config=config)
    with pytest.raises(FormatError, match="of the invertible_adapter is 'tanh', that of the adapter 'relu'"):
        formats.read(tmp_path, place())


@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification"])
def test_heads_of_hugging_faces_own_models(kind: str, tmp_path: Path) -> None:
    """A model that was given adapters by `adapters.init` saves its own head beside them."""
    import transformers

    model = encoder("xlm-roberta")
    config = deepcopy(model.config)
    config.id2label, config.label2id = named(), {label: place for place, label in named().items()}
    there: Any = getattr(transformers, f"XLMRobertaFor{kind}")(config).eval()
    there.roberta.load_state_dict(model.state_dict(), strict=False)
    library.init(there)
    there.add_adapter("theirs", config="seq_bn", set_active=True)
    randomised(there, "theirs")
    there.save_adapter(str(tmp_path), "theirs", use_safetensors=True)
    back = formats.read(tmp_path, place())
    head = present(back.head)
    assert head.labels == LABELS
    found: Tensor = logits_here(model, back)
    expected = logits_there(there, "pair-classification")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


class Harm:
    def __reduce__(self) -> Any:
        return print, ("somebody ran this",)


def test_a_pickle_that_is_more_than_tensors_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, "seq_bn")
    path = tmp_path / "pytorch_adapter.bin"
    tensors = torch.load(path, weights_only=True)
    torch.save({**tensors, "more": Harm()}, path)
    with pytest.raises(FormatError, match=r"pytorch_adapter\.bin .*print") as refused:
        formats.read(tmp_path, place())
    path.write_bytes(pickle.dumps({"harm": Harm()}))
    with pytest.raises(FormatError, match=r"pytorch_adapter\.bin is no file of torch\.save"):
        formats.read(tmp_path, place())
    assert str(tmp_path) in str(refused.value) and "somebody" not in capsys.readouterr().out


def test_a_misshapen_pickle_is_refused_before_torch_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "seq_bn")
    edited(tmp_path / "adapter_config.json", config="houlsby")
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(FormatError, match=r"pytorch_adapter\.bin lacks .*attention\.output\.adapters\.theirs"):
        formats.read(tmp_path, place())
