"""Adapters of methods that this package has not got: read for the library's own model, with the library's results."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapterx.backbones.info import BackboneInfo
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.reference.libraries import LibraryError
from adapterx.reference.measure import check_fit
from adapterx.reference.model import build
from tests.formats.test_adapterhub import flexible, randomised
from tests.formats.worked import TOKENS, hidden, place, theirs
from tests.models import encoder
from tests.support.present import present

peft = pytest.importorskip("peft")
library = pytest.importorskip("adapters")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of peft, about settings and shapes
INFO = BackboneInfo("local:x", "xlm-roberta", 32, 3, 4, 128, 200, 120)
PEFT: dict[str, tuple[dict[str, Any], bool]] = {
    "dora": ({"use_dora": True, "target_modules": ["query", "output.dense"]}, True),
    "dora-ranks": ({"use_dora": True, "rank_pattern": {"query": 2}, "target_modules": ["query", "value"]}, True),
    "bias-all": ({"bias": "all", "target_modules": ["query"]}, True),
    "bias-lora": ({"bias": "lora_only", "target_modules": ["query", "dense"]}, True),
    "bias-of-b": ({"lora_bias": True, "target_modules": ["value"]}, True),
    "ranks": ({"rank_pattern": {"query": 2, r"layer\.1\.attention\.self\.value": 7}}, False),
    "alphas": ({"alpha_pattern": {"query": 3}, "rank_pattern": {"2.attention.self.value": 1}}, False),
    "rslora": ({"use_rslora": True, "rank_pattern": {"query": 2}}, False),
    "uneven": ({"target_modules": ["encoder.layer.0.attention.self.query", "encoder.layer.1.output.dense"]}, False),
    "transposed": ({"fan_in_fan_out": True}, False),
}
"""Settings of LoRA, and whether the library's model computes them."""
ADAPTERHUB: dict[str, Any] = {
    "norm-before": library.SeqBnConfig(ln_before=True),
    "norm-after": library.SeqBnConfig(ln_after=True, adapter_residual_before_ln=True),
    "other-residual": library.SeqBnConfig(residual_before_ln="post_add"),
    "attention-only": library.SeqBnConfig(mh_adapter=True, output_adapter=False),
    "learned-scale": library.ParBnConfig(scaling="learned"),
    "mish": library.SeqBnConfig(non_linearity="mish"),
    "compacter": library.CompacterConfig(phm_dim=2, reduction_factor=4),
    "prefix": library.PrefixTuningConfig(prefix_length=3, bottleneck_size=8),
    "ia3": library.IA3Config(),
    "dora": library.DoRAConfig(),
    "mam": library.MAMConfig(library.PrefixTuningConfig(bottleneck_size=8), library.ParBnConfig()),
}


def states(adapter: PortableAdapter) -> Tensor:
    """(4, LENGTH, d), by the lane that computes the adapter; the encoder stays as it is."""
    model = encoder("xlm-roberta")
    if not adapter.method.made_by_library:
        return hidden(model, adapter)
    check_fit(adapter.slots, INFO)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    made = build(model, adapter.slots, 0)
    tokens = torch.as_tensor(TOKENS, dtype=torch.long)
    with torch.no_grad():
        found = made.hidden(tokens, torch.ones_like(tokens))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    return found


@pytest.mark.parametrize("headed", [False, True], ids=["bare", "classifier"])
@pytest.mark.parametrize("name", PEFT)
def test_of_peft(name: str, headed: bool, tmp_path: Path) -> None:
    import transformers

    settings, alone = PEFT[name]
    model: Any = deepcopy(encoder("xlm-roberta"))
    if headed:
        bare, headed_class = model, transformers.XLMRobertaForSequenceClassification
        model = headed_class(model.config)  # type: ignore[no-untyped-call]
        model.roberta.load_state_dict(bare.state_dict(), strict=False)
        stem = {"target_modules": [f"roberta.{one}" for one in settings.get("target_modules", [])]}
        settings = settings | (stem if name == "uneven" else {})
    given = {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 8, **settings}
    kind = "SEQ_CLS" if headed else "FEATURE_EXTRACTION"
    there = peft.get_peft_model(model, peft.LoraConfig(task_type=kind, **given))
    torch.manual_seed(3)
    for parameter in there.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(0.0, 0.2)
    there.save_pretrained(tmp_path)
    back = formats.read(tmp_path, place())
    assert (back.method.kind == "peft") == alone
    expected = theirs(there.base_model.model.roberta if headed else there)
    torch.testing.assert_close(states(back), expected, atol=1e-5, rtol=1e-5)
    assert (back.head is not None) == headed
    if headed:
        own = there.base_model.model.classifier.modules_to_save["default"]
        assert torch.equal(present(back.head).tensors["output.weight"], own.out_proj.weight)


@pytest.mark.parametrize("name", ADAPTERHUB)
def test_of_adapterhub(name: str, tmp_path: Path) -> None:
    there = flexible(encoder("xlm-roberta"))
    there.add_adapter("theirs", config=ADAPTERHUB[name], set_active=True)
    randomised(there, "theirs")
    there.save_adapter(str(tmp_path), "theirs", with_head=False)
    back = formats.read(tmp_path, place())
    assert back.method.kind == "adapters"
    torch.testing.assert_close(states(back), theirs(there.roberta), atol=1e-5, rtol=1e-5)


def test_uneven_ranks_stay_so_in_training(tmp_path: Path) -> None:
    """What is padded has a gradient of zero: its product with what is padded beside it."""
    there = peft.get_peft_model(
        deepcopy(encoder("xlm-roberta")),
        peft.LoraConfig(
            task_type="FEATURE_EXTRACTION", r=4, rank_pattern={"query": 2}, target_modules=["query", "key"]
        ),
    )
    there.save_pretrained(tmp_path)
    back = formats.read(tmp_path, place())
    assert isinstance(back.method, Lora) and back.method.rank == 4
    stem = "encoder.layer.0.attention.self.query"
    a, b = (back.tensors[f"{stem}.lora_{matrix}"].clone().requires_grad_() for matrix in ("A", "B"))
    (torch.randn(5, 32) @ a.T @ b.T).square().sum().backward()  # type: ignore[no-untyped-call]
    assert not a[2:].any() and not b[:, 2:].any()
    assert not present(a.grad)[2:].any() and not present(b.grad)[:, 2:].any()


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    there = flexible(encoder("xlm-roberta"))
    there.add_adapter("theirs", config="prefix_tuning")
    there.save_adapter(str(tmp_path), "theirs", with_head=False)
    back = formats.read(tmp_path, place())
    deeper = BackboneInfo("local:x", "xlm-roberta", 48, 3, 4, 128, 200, 120)
    with pytest.raises(LibraryError, match=r"does not fit: .* choose the backbone that the adapter was trained on"):
        check_fit([Slot(back.method, back.tensors)], deeper)
