"""Stacks as AdapterHub's composed setups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats import setup
from adapterx.formats.adapterhub_head import read as read_head
from adapterx.formats.setup import Setup
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from tests.formats.test_adapterhub import flexible, randomised
from tests.formats.worked import adapter, hidden, place, theirs
from tests.models import encoder

library = pytest.importorskip("adapters")


def test_written_here_loaded_there(tmp_path: Path) -> None:
    model, where = encoder("xlm-roberta"), place()
    parts = [
        adapter(Bottleneck(reduction_factor=4.0), where, head, seed) for seed, head in enumerate((None, "tagging"))
    ]
    for name, part in zip(("below", "above"), parts, strict=True):
        (tmp_path / name).mkdir()
        formats.write(tmp_path / name, "adapterhub", part, where, name)
    setup.write(tmp_path, Setup(("below", "above"), "above"))
    there = flexible(model)
    composed, head = there.load_adapter_setup(str(tmp_path), use_safetensors=True, set_active=True)
    assert (list(composed), head) == (["below", "above"], "above")
    torch.testing.assert_close(hidden(model, *parts), theirs(there.roberta), atol=1e-5, rtol=1e-5)
    assert setup.read(tmp_path) == Setup(("below", "above"), "above")


def test_saved_there_read_here(tmp_path: Path) -> None:
    model = encoder("xlm-roberta")
    there = flexible(model)
    for name, config in (("one", "seq_bn"), ("two", "double_seq_bn")):
        there.add_adapter(name, config=config)
        randomised(there, name)
    there.add_tagging_head("tags", num_labels=3)
    composition = library.Stack("one", "two")
    there.set_active_adapters(composition)
    there.save_adapter_setup(str(tmp_path), composition, head_setup="tags", use_safetensors=True)
    composed = setup.read(tmp_path)
    assert composed == Setup(("one", "two"), "tags")
    parts = [formats.read(tmp_path / name, place()) for name in composed.adapters]
    torch.testing.assert_close(hidden(model, *parts), theirs(there.roberta), atol=1e-5, rtol=1e-5)
    head = read_head(tmp_path / "tags", place())
    torch.testing.assert_close(head.tensors["output.weight"], there.heads["tags"][1].weight.data)


def test_a_language_adapter_below_a_task_adapter(tmp_path: Path) -> None:
    """MAD-X's stack, whose lowest adapter has an invertible part; anywhere else the library would leave it out."""
    model, where = encoder("xlm-roberta"), place()
    language, task = Bottleneck(reduction_factor=4.0, invertible="nice"), Bottleneck(reduction_factor=8.0)
    parts = [adapter(language, where, None, 0), adapter(task, where, "tagging", 1)]
    for name, part in zip(("de", "tags"), parts, strict=True):
        (tmp_path / name).mkdir()
        formats.write(tmp_path / name, "adapterhub", part, where, name)
    setup.write(tmp_path, Setup(("de", "tags"), "tags"))
    there = flexible(model)
    there.load_adapter_setup(str(tmp_path), use_safetensors=True, set_active=True)
    torch.testing.assert_close(hidden(model, *parts), theirs(there.roberta), atol=1e-5, rtol=1e-5)
    setup.check([language, task], "here")
    with pytest.raises(FormatError, match="in the lowest adapter of a stack only"):
        setup.check([task, language], "here")


SINGLE = {"type": "single", "children": ["one"]}
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "parallel": ({"type": "Parallel", "children": [SINGLE, SINGLE]}, None, "type 'Parallel' cannot be read"),
    "nested": (
        {"type": "Stack", "children": [{"type": "Fuse", "children": [SINGLE]}, SINGLE]},
        None,
        "type 'Stack' cannot be read; Stack and Fuse of single",
    ),
    "nothing": (None, None, "type None cannot be read"),
    "outside": ({"type": "Stack", "children": [{"type": "single", "children": ["../one"]}]}, None, "cannot be read"),
    "heads": (SINGLE, {"type": "Parallel"}, "head_setup .* is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_compositions_are_refused(name: str, tmp_path: Path) -> None:
    composed, head, message = REFUSED[name]
    (tmp_path / "adapter_setup.json").write_text(json.dumps({"adapter_setup": composed, "head_setup": head}))
    with pytest.raises(FormatError, match=message):
        setup.read(tmp_path)


def test_a_single_adapter_is_a_setup_too(tmp_path: Path) -> None:
    assert setup.read(tmp_path) is None
    (tmp_path / "adapter_setup.json").write_text(json.dumps({"adapter_setup": SINGLE, "head_setup": None}))
    assert setup.read(tmp_path) == Setup(("one",), None)


def test_stacks_that_the_library_computes_otherwise_are_refused() -> None:
    setup.check([Lora()], "here")
    setup.check([Bottleneck(), Bottleneck(placement="double")], "here")
    with pytest.raises(FormatError, match="here: adapters of different kinds"):
        setup.check([Lora(), Bottleneck()], "here")
    with pytest.raises(FormatError, match="composes stacked LoRA"):
        setup.check([Lora(), Lora()], "here")
    with pytest.raises(FormatError, match="lets only the last one act"):
        setup.check([Bottleneck(placement="parallel")] * 2, "here")
