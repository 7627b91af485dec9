"""Fused adapters with a head: AdapterHub's setups, written here and loaded there, saved there and read here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.predict import TrainedCell, predict
from adapterx.files.errors import FormatError
from adapterx.formats import fused, setup
from adapterx.formats.fused import PortableFusion
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.fusion.layers import with_full_value
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import parameters
from adapterx.tasks.encoded import Encoded
from tests.formats.worked import LENGTH, TOKENS, adapter, place
from tests.models import encoder

MEMBERS = {
    "sequential": Bottleneck(reduction_factor=4.0),
    "upper": Bottleneck(reduction_factor=4.0, layers=(1, 2)),
    "double": Bottleneck(placement="double", reduction_factor=8.0, activation="swish"),
    "parallel": Bottleneck(placement="parallel", reduction_factor=2.0, scaling=4.0),
}
NAMES = ("time", "place", "more")


def fusion_of(method: Bottleneck, value_rank: int | None = None, head: str = "pair-classification") -> PortableFusion:
    """Three members, the second of another width and activation, under a fusion without a zero."""
    methods = (method, method.model_copy(update={"reduction_factor": 2.0, "activation": "gelu"}), method)
    members = tuple(adapter(one, place(), None, seed) for seed, one in enumerate(methods))
    generator = torch.Generator().manual_seed(9)
    wanted = parameters(Fusion(members=methods, value_rank=value_rank), place().shape)
    tensors = {one.name: torch.randn(one.shape, generator=generator) * 0.2 for one in wanted}
    return PortableFusion(NAMES, members, tensors, adapter(method, place(), head, 4).head)


def logits(model: Any, content: PortableFusion) -> Tensor:
    """(4, labels) of the worked tokens."""
    assert content.head is not None
    count = len(TOKENS)
    data = Encoded(
        tokens=TOKENS.reshape(-1),
        sequence_offsets=torch.arange(0, TOKENS.size + 1, LENGTH).numpy(),
        example_sequences=torch.arange(count + 1).numpy(),
        read_tokens=torch.arange(0, TOKENS.size, LENGTH).numpy(),
        example_reads=torch.arange(count + 1).numpy(),
        labels=torch.zeros(count, dtype=torch.int64).numpy(),
        example_labels=torch.arange(count + 1).numpy(),
        ids=tuple(map(str, range(count))),
    )
    head, tensors = content.head.named("opinions")
    ((scores,),) = predict(PackedEncoder(model), [(TrainedCell(content.slots, tensors), head)], [data])
    return torch.tensor([one[0].tolist() for one in scores])


def answers(there: Any) -> Tensor:
    """The library's (4, labels)."""
    with torch.no_grad():
        return cast(Tensor, there.eval()(input_ids=torch.as_tensor(TOKENS, dtype=torch.long)).logits)


@pytest.mark.parametrize("rank", [None, 3], ids=["full-value", "low-rank-value"])
@pytest.mark.parametrize("kind", MEMBERS)
def test_written_here_loaded_there(kind: str, rank: int | None, tmp_path: Path) -> None:
    pytest.importorskip("adapters")
    from tests.formats.test_adapterhub import flexible

    model, content = encoder("xlm-roberta"), fusion_of(MEMBERS[kind], rank)
    fused.write(tmp_path, content, place())
    there = flexible(model)
    composed, head = there.load_adapter_setup(str(tmp_path), use_safetensors=True, set_active=True)
    assert (list(composed), head) == (list(NAMES), "head")
    expected = logits(model, content)
    torch.testing.assert_close(answers(there), expected, atol=1e-5, rtol=1e-5)
    read = setup.read(tmp_path)
    assert read == setup.Setup(NAMES, "head", "Fuse")
    back = fused.read(tmp_path, read, place())
    assert back.tensors.keys() == with_full_value(content.tensors).keys()
    torch.testing.assert_close(logits(model, back), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["seq_bn", "double_seq_bn", "par_bn"])
def test_saved_there_read_here(kind: str, tmp_path: Path) -> None:
    library = pytest.importorskip("adapters")
    from tests.formats.test_adapterhub import flexible, randomised

    model = encoder("xlm-roberta")
    there = flexible(model)
    for name in ("one", "two"):
        there.add_adapter(name, config=library.AdapterConfig.load(kind, leave_out=[0]))
        randomised(there, name)
    composition = library.Fuse("one", "two")
    there.add_adapter_fusion(composition, set_active=True)
    randomised(there, "one,two")
    there.add_classification_head("opinions", num_labels=3)
    randomised(there, "opinions")
    there.save_adapter_setup(str(tmp_path), composition, head_setup="opinions", use_safetensors=True)
    read = setup.read(tmp_path)
    assert read is not None
    content = fused.read(tmp_path, read, place())
    assert not any(name.startswith("encoder.layer.0.") for name in content.tensors)
    torch.testing.assert_close(logits(model, content), answers(there), atol=1e-5, rtol=1e-5)


def test_a_low_rank_value_is_the_identity_and_its_product() -> None:
    low = fusion_of(MEMBERS["sequential"], 3).tensors
    full = with_full_value(low)
    name = "encoder.layer.1.output.fusion.value"
    expected = torch.eye(32) + low[f"{name}.lora_B"] @ low[f"{name}.lora_A"]
    torch.testing.assert_close(full[f"{name}.weight"], expected)
    assert not any("lora" in key for key in full) and len(full) == 15


def test_names_are_ones_that_the_library_can_hold() -> None:
    assert fused.distinct(["time", "time", "a/b c@1"]) == ("time", "time-1", "a-b-c-1")
    assert fused.distinct(["head", "train", "items", ""]) == ("head-1", "train-1", "items-1", "member")
    many = fused.distinct(["a-very-long-name-of-an-adapter" * 3] * 20)
    assert len(set(many)) == 20 and len(",".join(many)) < 255


def test_what_cannot_be_fused() -> None:
    with pytest.raises(FormatError, match="here: a fusion mixes what bottleneck adapters add, and one of them is Lora"):
        fused.check([MEMBERS["double"], Lora()], "here")
    for other in ("double", "upper"):
        with pytest.raises(FormatError, match="at different places or in different layers cannot be fused"):
            fused.check([MEMBERS["sequential"], MEMBERS[other]], "here")


def test_a_setup_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    fused.write(tmp_path, fusion_of(MEMBERS["sequential"]), place())

    def refused(content: dict[str, Any]) -> str:
        (tmp_path / "adapter_setup.json").write_text(json.dumps(content))
        composed = setup.read(tmp_path)
        assert composed is not None
        with pytest.raises(FormatError) as error:
            fused.read(tmp_path, composed, place())
        return str(error.value)

    content = json.loads((tmp_path / "adapter_setup.json").read_text())
    singles = content["adapter_setup"]["children"]
    turned = {**content, "adapter_setup": {"type": "Fuse", "children": singles[::-1]}}
    assert "names more,place,time, but there is no directory" in refused(turned)
    (tmp_path / "more,place,time").symlink_to(tmp_path / ",".join(NAMES))
    assert "fuses time, place, more, but" in refused(turned) and "their order" in refused(turned)
    (tmp_path / "more" / "adapter.safetensors").rename(tmp_path / "more" / "pytorch_adapter.bin")
    assert "pytorch_adapter.bin is no file of torch.save" in refused(content)
    with pytest.raises(FormatError, match=r"value\.weight is out of place|does not fit its members"):
        lacking = fusion_of(MEMBERS["sequential"])
        tensors = {name: tensor for name, tensor in lacking.tensors.items() if "layer.1" not in name}
        (tmp_path / "new").mkdir()
        fused.write(tmp_path / "new", replace(lacking, tensors=tensors), place())
