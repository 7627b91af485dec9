"""AdapterFusion goes to AdapterHub's `adapters` and comes back from it: the same hidden states."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from adapterx.files.errors import FormatError
from adapterx.formats import adapterhub_fusion, setup
from adapterx.formats import directory as formats
from adapterx.formats.adapterhub_fusion import FusionLayers, fusion_shapes
from adapterx.formats.setup import Setup
from adapterx.methods.bottleneck.spec import Bottleneck
from tests.formats.test_adapterhub import flexible, randomised
from tests.formats.worked import place, theirs
from tests.models import encoder

library = pytest.importorskip("adapters")
METHODS = {
    "seq_bn": Bottleneck(),
    "double_seq_bn": Bottleneck(placement="double", activation="swish"),
}
NAMES = ("one", "two")


def fused(kind: str, flexibly: bool) -> Any:
    """A library's model with two adapters and their fusion, no tensor of them zero."""
    model = encoder("xlm-roberta")
    there: Any = flexible(model) if flexibly else deepcopy(model)
    if not flexibly:
        library.init(there)
    for name in NAMES:
        there.add_adapter(name, config=kind)
        randomised(there, name)
    there.add_adapter_fusion(list(NAMES), set_active=True)
    randomised(there, ",".join(NAMES))
    return there.eval()


@pytest.mark.parametrize("flexibly", [False, True], ids=["bare", "flexible"])
@pytest.mark.parametrize("kind", METHODS)
def test_a_setup_passes_through_here(kind: str, flexibly: bool, tmp_path: Path) -> None:
    """Saved there, read here, written here, loaded there."""
    there, where = fused(kind, flexibly), place()
    first, second = tmp_path / "first", tmp_path / "second"
    there.save_adapter_setup(str(first), library.Fuse(*NAMES), use_safetensors=True)
    composed = setup.read(first)
    assert composed == Setup(NAMES, None, "Fuse")
    sites = METHODS[kind].sites
    fusion = adapterhub_fusion.read(first / ",".join(NAMES), where, sites)
    assert fusion.adapters == NAMES

    for part in (*NAMES, ",".join(NAMES)):
        (second / part).mkdir(parents=True)
    for name in NAMES:
        formats.write(second / name, "adapterhub", formats.read(first / name, where), where, name)
    adapterhub_fusion.write(second / ",".join(NAMES), fusion, where, sites)
    setup.write(second, composed)
    assert {path.relative_to(first) for path in first.rglob("*")} == {
        path.relative_to(second) for path in second.rglob("*")
    }
    again: Any = encoder("xlm-roberta")
    library.init(again)
    again.load_adapter_setup(str(second), use_safetensors=True, set_active=True)
    torch.testing.assert_close(theirs(again), theirs(getattr(there, "roberta", there)), atol=1e-6, rtol=1e-6)
    plain = encoder("xlm-roberta")
    assert not torch.allclose(theirs(again), theirs(plain), atol=1e-2)


def test_the_configuration_is_as_the_library_writes_it(tmp_path: Path) -> None:
    there, where = fused("seq_bn", flexibly=False), place()
    there.save_adapter_fusion(str(tmp_path / "theirs"), list(NAMES), use_safetensors=True)
    (tmp_path / "ours").mkdir()
    fusion = adapterhub_fusion.read(tmp_path / "theirs", where, ("output",))
    adapterhub_fusion.write(tmp_path / "ours", fusion, where, ("output",))
    ours, again = (
        json.loads((tmp_path / name / "adapter_fusion_config.json").read_text()) for name in ("ours", "theirs")
    )
    assert {**ours, "model_name": ""} == again


def test_other_fusions_are_refused(tmp_path: Path) -> None:
    where = place()
    tensors = {name: torch.randn(shape) for name, shape in fusion_shapes(where, ("output",)).items()}
    adapterhub_fusion.write(tmp_path, FusionLayers(NAMES, tensors), where, ("output",))
    with pytest.raises(FormatError, match=r"lacks .*attention\.output"):
        adapterhub_fusion.read(tmp_path, where, ("attention", "output"))
    with pytest.raises(FormatError, match=r"lacks .*layer\.3"):
        adapterhub_fusion.read(tmp_path, place(layers=4), ("output",))
    with pytest.raises(FormatError, match="made for 32 features"):
        adapterhub_fusion.read(tmp_path, place(hidden=48), ("output",))
    path = tmp_path / "adapter_fusion_config.json"
    whole = json.loads(path.read_text())
    for changes, message in (
        ({"value": False}, "value: False is not supported"),
        ({"temperature": True}, "temperature: True is not supported"),
        ({"new_trick": 3}, "new_trick: 3 is not supported"),
    ):
        path.write_text(json.dumps({**whole, "config": {**whole["config"], **changes}}))
        with pytest.raises(FormatError, match=message):
            adapterhub_fusion.read(tmp_path, where, ("output",))
    path.write_text(json.dumps({**whole, "adapter_names": ["one", "three"]}))
    with pytest.raises(FormatError, match="are not those of the fusion 'one,two'"):
        adapterhub_fusion.read(tmp_path, where, ("output",))


def test_a_low_rank_value_has_no_place_there(tmp_path: Path) -> None:
    where = place()
    tensors = {name: torch.randn(shape) for name, shape in fusion_shapes(where, ("output",)).items()}
    tensors["encoder.layer.0.output.fusion.value.weight"] = torch.randn(4, 32)
    with pytest.raises(FormatError, match=r"full query, key and value in every layer: .* is \(4, 32\)"):
        adapterhub_fusion.write(tmp_path, FusionLayers(NAMES, tensors), where, ("output",))
