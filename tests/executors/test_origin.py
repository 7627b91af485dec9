"""Adapters one has: the backbone that their files name, what is told of it, and heads that are half described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapterx.executors.origin import found
from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter, unnamed
from adapterx.formats.fetch import HubName, parsed
from adapterx.methods.lora.spec import Lora
from tests.executors.test_answer import backbone, head, here, ran, task, written
from tests.formats.worked import adapter, place

__all__ = ["backbone", "here"]
LABELS = ("negative", "positive")


def base(directory: Path, model: Path | str | None) -> Path:
    """Let an adapter's configuration name another base model."""
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": model and str(model)}))
    return directory


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("someone/adapter", HubName("someone/adapter", None, "")),
        ("adapter", HubName("adapter", None, "")),
        ("someone/adapter@v1", HubName("someone/adapter", "v1", "")),
        ("someone/adapter/a/b", HubName("someone/adapter", None, "a/b")),
        ("someone/adapter@0123abc/a/b/", HubName("someone/adapter", "0123abc", "a/b")),
        ("someone/adapter@refs/pr/1/a", HubName("someone/adapter", "refs/pr/1", "a")),
    ],
)
def test_names_on_the_hub(name: str, expected: HubName) -> None:
    assert parsed(name) == expected


@pytest.mark.parametrize("name", ["./a", "/a/b", "someone/adapter/../x", "someone/adapter@v1//x", "@v1", "a/b@", ""])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(FormatError, match="nor is that a name such as ID@REVISION/FOLDER"):
        parsed(name)
    with pytest.raises(FormatError, match="leave one of them out"):
        parsed("someone/adapter@v1", "v2")


def test_the_base_that_the_configuration_names(here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = base(written(here / "mine", head(LABELS, "reviews")), backbone)
    origin = found("mine", None, None)
    assert (origin.backbone.model, origin.remarks) == (
        str(backbone),
        (f"mine goes on {backbone}, as its adapter_config.json says",),
    )
    code, printed, complaints = ran(capsys, "predict", "mine", "--task", "reviews", "items.jsonl")
    assert (code, json.loads(printed)["label"]) == (0, "positive") and "goes on" in complaints
    base(own, "somebody/else")
    code, _, complaints = ran(capsys, "predict", "mine", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    assert code == 0
    assert complaints == (
        f"mine was trained on somebody/else by its adapter_config.json; --backbone puts it on {backbone}\n"
    )
    base(own, "/nowhere/at/all")
    code, _, complaints = ran(capsys, "predict", "mine", "--task", "reviews", "items.jsonl")
    assert code == 2 and "which is not here: name a copy of that model with --backbone MODEL" in complaints
    base(own, None)
    code, _, complaints = ran(capsys, "predict", "mine", "--task", "reviews", "items.jsonl")
    assert code == 2 and "its adapter_config.json names no model" in complaints


def test_outputs_that_nobody_has_named(here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The head prefers its second output; whether that is positive is for the user to say."""
    written(here / "mine", head(unnamed(2)))
    ask = ("predict", "mine", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    code, printed, complaints = ran(capsys, *ask)
    assert (code, json.loads(printed)["label"]) == (0, "negative")
    assert "they are taken for positive, negative, the labels of 'reviews' in their order; --labels says" in complaints
    code, printed, complaints = ran(capsys, *ask, "--labels", "negative,positive")
    assert (code, json.loads(printed)["label"], complaints) == (0, "positive", "")
    code, _, complaints = ran(capsys, *ask, "--labels", "negative,neutral,positive")
    assert code == 2 and "--labels gives 3 names, the head of mine has 2 outputs" in complaints
    written(here / "other", head(unnamed(2)))
    both = ("fuse", "mine", "other", "--backbone", backbone, "--task", "reviews")
    code, printed, complaints = ran(capsys, *both, "--out", here / "merged")
    assert code == 0 and complaints.count("--labels says otherwise") == 2 and " 0.0 [" in printed
    code, printed, complaints = ran(capsys, *both, "--out", here / "named", "--labels", "negative,positive")
    assert code == 0 and "--labels" not in complaints and " 100.0 [" in printed
    code, _, complaints = ran(capsys, *ask, "--labels", "good,bad")
    assert code == 2 and "the head's labels are good, bad, those of the task 'reviews' positive, negative" in complaints


def test_a_head_of_peft_that_its_configuration_does_not_name(
    here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As versions of peft before 0.7 saved classifiers: `modules_to_save` is null."""
    own = written(here / "mine", None)
    weights = load_file(own / "adapter_model.safetensors")
    stem = "base_model.model.classifier."
    for name, shape in {"dense": (32, 32), "out_proj": (2, 32)}.items():
        weights |= {f"{stem}{name}.weight": torch.zeros(shape), f"{stem}{name}.bias": torch.zeros(shape[0])}
    weights[f"{stem}out_proj.bias"][1] = 4.0
    save_file(weights, own / "adapter_model.safetensors")
    ask = ("predict", "mine", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    code, printed, _ = ran(capsys, *ask, "--labels", "negative,positive")
    assert (code, json.loads(printed)["label"]) == (0, "positive")


def test_an_unreadable_head_is_left_out_of_a_merger(
    here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        written(here / name, head(LABELS, "reviews"))
    path = here / "two" / "head_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": "parsing"}))
    out = here / "both"
    code, _, complaints = ran(capsys, "fuse", "one", "two", "--backbone", backbone, "--out", out)
    assert code == 0 and "two goes without its head: " in complaints and "format 'parsing' is not known" in complaints
    assert "the merged adapter has no head: one of the adapters has none" in complaints
    code, _, complaints = ran(capsys, "predict", "two", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    assert code == 2 and "format 'parsing' is not known" in complaints


def lora(directory: Path, method: Lora, seed: int) -> PortableAdapter:
    own = adapter(method, place(), seed=seed)
    directory.mkdir()
    formats.write(directory, "peft", own, place(), "mine")
    return own


@pytest.mark.parametrize(("way", "rank"), [("cat", 5), ("svd", 3)])
def test_several_ranks_become_one(
    way: str, rank: int, here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weighted sum of the updates: exact by cat, of the largest rank by svd."""
    members = [lora(here / "one", Lora(rank=3, alpha=6.0), 1), lora(here / "two", Lora(rank=2, alpha=8.0), 2)]
    command = ("fuse", "one", "two", "--backbone", backbone, "--weights", "0.25,0.75", "--out", "both", "--method")
    assert ran(capsys, *command, way)[0] == 0
    back = formats.read(here / "both", place())
    assert isinstance(back.method, Lora) and back.method.rank == rank
    for name in members[0].tensors:
        if name.endswith("lora_A"):
            expected = sum(w * update(one, name) for w, one in zip((0.25, 0.75), members, strict=True))
            assert isinstance(expected, torch.Tensor)
            if way == "svd":
                left, values, right = torch.linalg.svd(expected)
                expected = left[:, :rank] * values[:rank] @ right[:rank]
            torch.testing.assert_close(update(back, name), expected, atol=1e-5, rtol=1e-5)
    code, _, complaints = ran(capsys, *command[:-3], "--out", "other", "--method", "linear")
    assert code == 2 and "two has rank 2 and alpha 8.0, one has rank 3 and alpha 6.0" in complaints
    assert "svd and cat merge several sizes" in complaints


def update(one: PortableAdapter, name: str) -> Any:
    """What a linear layer's output gains, (out, in)."""
    assert isinstance(one.method, Lora)
    return one.method.scaling * one.tensors[name.replace("lora_A", "lora_B")] @ one.tensors[name]


@pytest.mark.parametrize("kind", ["peft", "adapters"])
def test_an_adapter_that_its_library_alone_computes_answers(
    kind: str, here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip(kind)
    from transformers import XLMRobertaModel

    task(here, LABELS)
    there: Any = XLMRobertaModel.from_pretrained(backbone, add_pooling_layer=False)
    if kind == "peft":
        config = library.LoraConfig(task_type="FEATURE_EXTRACTION", use_dora=True, target_modules=["query"])
        library.get_peft_model(there, config).save_pretrained(here / "mine")
        formats_head = head(LABELS, "reviews")
        from adapterx.formats import own_head

        own_head.write(here / "mine", formats_head)
    else:
        own = library.XLMRobertaAdapterModel.from_pretrained(backbone)
        own.add_adapter("mine", config="prefix_tuning[bottleneck_size=8]")
        own.add_classification_head("mine", num_labels=2, id2label=dict(enumerate(LABELS)))
        own.save_adapter(here / "mine", "mine")
    base(here / "mine", backbone)
    ask = ("predict", "mine", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    code, printed, complaints = ran(capsys, *ask)
    assert code == 0 and json.loads(printed)["label"] in LABELS, complaints
    assert f"mine is computed by the model of `{kind}` itself" in complaints
    code, _, complaints = ran(capsys, "fuse", "mine", "mine", "--backbone", backbone, "--out", "both")
    assert code == 2 and f"`{kind}` alone computes: it can be evaluated, not fused" in complaints
