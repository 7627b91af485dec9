"""Heads and tasks: labels are compared by name and order, on every way in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapterx.cli import main
from adapterx.executors.answer import for_task
from adapterx.executors.origin import backbone_of, told
from adapterx.files.errors import FormatError
from adapterx.formats import directory as formats
from adapterx.formats.adapter import PortableAdapter, PortableHead, head_shapes, unnamed
from adapterx.formats.metadata import Metadata
from adapterx.methods.lora.spec import Lora
from tests.backbones.checkpoints import save
from tests.formats.worked import adapter, place
from tests.support.present import present

LABELS = ("negative", "positive", "neither")


def head(labels: tuple[str, ...], task: str = "", format_: str = "pair-classification") -> PortableHead:
    """A head whose scores are its biases: 0, 4, 8 … in the order of its labels."""
    tensors = {name: torch.zeros(shape) for name, shape in head_shapes(format_, len(labels), 32).items()}
    outputs = len(tensors["output.bias"])
    return PortableHead(format_, labels, {**tensors, "output.bias": 4.0 * torch.arange(outputs)}, task)


def task(directory: Path, labels: tuple[str, ...], name: str = "reviews", **more: Any) -> Path:
    content = {
        "adapterx": 1,
        "name": name,
        "description": "…",
        "format": "pair-classification",
        "labels": labels,
        "metrics": ["accuracy"],
        "languages": ["en"],
        "licence": "mine",
        "sources": {
            "local": {
                "kind": "local",
                "reader": "tsv",
                "columns": {"text": 0, "label": 1},
                "splits": {split: {"paths": "reviews.tsv"} for split in ("train", "dev", "test")},
            }
        },
        **more,
    }
    (directory / f"{name}.yaml").write_text(json.dumps(content))
    return directory


def test_a_head_takes_the_order_of_the_tasks_labels(tmp_path: Path) -> None:
    own = head(LABELS)
    turned = LABELS[::-1]
    found = for_task(own, "reviews", task(tmp_path, turned))
    assert found.labels == turned
    assert found.tensors["output.bias"].tolist() == [8.0, 4.0, 0.0]
    assert present(found.ordered(LABELS)).tensors["output.bias"].tolist() == [0.0, 4.0, 8.0]
    # Also where head and task bear one name: the task has changed since.
    assert for_task(replace(own, task="reviews"), "reviews", tmp_path).tensors["output.bias"].tolist() == [
        8.0,
        4.0,
        0.0,
    ]


def test_labels_that_bear_numbers_only_are_the_tasks_in_order(tmp_path: Path) -> None:
    found = for_task(head(unnamed(3)), "reviews", task(tmp_path, LABELS))
    assert (found.labels, found.tensors["output.bias"].tolist()) == (LABELS, [0.0, 4.0, 8.0])
    with pytest.raises(
        FormatError, match=r"labels are LABEL_0, LABEL_1, those of the task 'reviews' negative, positive"
    ):
        for_task(head(unnamed(2)), "reviews", tmp_path)


@pytest.mark.parametrize("labels", [LABELS[:2], ("negative", "positive", "none"), (*LABELS, "more")])
@pytest.mark.parametrize("of", ["", "reviews"])
def test_other_labels_are_refused_with_both(labels: tuple[str, ...], of: str, tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"the head's labels are negative, positive, .*those of the task 'reviews'"
    ) as error:
        for_task(head(LABELS, of), "reviews", task(tmp_path, labels))
    assert ", ".join(labels) in str(error.value)


def test_choices_are_scored_by_what_they_say_not_by_their_position(tmp_path: Path) -> None:
    task(tmp_path, ("B", "A"), format="multiple-choice")
    own = head(("A", "B"), format_="multiple-choice")
    assert own.ordered(("B", "A")) == replace(own, labels=("B", "A"))


def test_a_task_that_is_not_at_hand_keeps_the_heads_labels(tmp_path: Path) -> None:
    own = head(LABELS, "reviews")
    assert for_task(own, "reviews", tmp_path) is own
    with pytest.raises(LookupError, match="no task 'other'"):
        for_task(own, "other", tmp_path)


def known(labels: tuple[str, ...]) -> Metadata:
    words = ("r", "c", "s", "m", None, "b", "float32", "xlm-roberta", 3, 32, "reviews")
    return Metadata(*words, "pair-classification", labels, 64)


def test_what_adapterx_json_says_of_a_head_must_be_true(tmp_path: Path) -> None:
    own = head(LABELS)
    assert told(own, None, tmp_path) is own
    assert told(head(LABELS), known(LABELS), tmp_path).task == "reviews"
    assert told(head(unnamed(3)), known(LABELS), tmp_path).labels == LABELS
    for other in (LABELS[::-1], LABELS[:2]):
        with pytest.raises(FormatError, match=r"adapterx\.json is of a pair-classification head with the labels"):
            told(head(LABELS), known(other), tmp_path)


def test_a_backbone_without_a_name_is_refused(tmp_path: Path) -> None:
    for given in ("", "@main"):
        with pytest.raises(FormatError, match="names no model"):
            backbone_of(tmp_path, None, given)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("backbone") / "small")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the task `reviews`, all of whose four items are positive."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    task(tmp_path, ("positive", "negative"))
    (tmp_path / "reviews.tsv").write_text("".join(f"the cat {one}\tpositive\n" for one in "abcd"))
    (tmp_path / "items.jsonl").write_text('{"text": "the cat"}\n')
    return tmp_path


def written(directory: Path, own: PortableHead | None, **tensors: float) -> Path:
    """A LoRA that changes nothing under this head."""
    zero = {name: tensor * 0 for name, tensor in adapter(Lora(rank=2), place()).tensors.items()}
    directory.mkdir()
    formats.write(directory, "peft", PortableAdapter(Lora(rank=2), zero, own), place(), "mine")
    return directory


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


def test_scores_and_answers_are_by_name(here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        written(here / name, head(("negative", "positive"), "reviews"))
    code, printed, complaints = ran(
        capsys, "fuse", "~/one", "~/two", "--backbone", backbone, "--task", "reviews", "--out", "~/both"
    )
    assert (code, complaints) == (0, "")
    mean = printed.splitlines()[1].split()
    assert (mean[:2], mean[-1]) == (["mean", "100.0"], "4") and printed.count("100.0 [") == 8
    code, printed, _ = ran(capsys, "predict", "~/both", "--task", "reviews", "--backbone", backbone, "~/items.jsonl")
    answer = json.loads(printed)
    assert answer["label"] == "positive" and answer["scores"]["positive"] == pytest.approx(0.982014, abs=1e-5)
    assert list(answer["scores"]) == ["positive", "negative"]
    task(here, ("positive", "negative", "mixed"))
    code, _, complaints = ran(capsys, "predict", "both", "--task", "reviews", "--backbone", backbone, "items.jsonl")
    assert code == 2 and "the head's labels are negative, positive, those of the task" in complaints


def test_only_heads_of_one_named_task_are_averaged(
    here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ("negative", "positive")
    heads = {
        "mine": head(labels, "reviews"),
        "turned": replace(head(labels[::-1], "reviews")),
        "unknown": head(unnamed(2)),
        "unknown-2": head(unnamed(2)),
        "other": head(labels, "opinions"),
        "more": head((*labels, "mixed"), "reviews"),
        "none": None,
    }
    for name, own in heads.items():
        written(here / name, own)

    def merged(*names: str) -> tuple[dict[str, Tensor], str]:
        out = here / "-".join((*names, "merged"))
        code, _, complaints = ran(capsys, "fuse", *names, "--backbone", backbone, "--out", out)
        assert code == 0 and (out / "adapter_model.safetensors").exists()
        return load_file(out / "adapter_model.safetensors"), complaints

    bias = "base_model.model.classifier.out_proj.bias"
    tensors, complaints = merged("mine", "turned")
    assert (tensors[bias].tolist(), complaints) == ([2.0, 2.0], "")
    for names, why in {
        ("unknown", "unknown-2"): "do not say what task they were trained on",
        ("mine", "other"): "were trained on different tasks, opinions, reviews",
        ("mine", "more"): "answer different labels, negative, positive and negative, positive, mixed",
        ("mine", "none"): "one of the adapters has none",
    }.items():
        tensors, complaints = merged(*names)
        assert bias not in tensors and "the merged adapter has no head: " in complaints and why in complaints


def test_scores_that_are_not_finite_are_an_error(
    here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = written(here / "mine", head(("negative", "positive"), "reviews"))
    weights = load_file(own / "adapter_model.safetensors")
    save_file({name: tensor + 5e17 for name, tensor in weights.items()}, own / "adapter_model.safetensors")
    code, printed, complaints = ran(capsys, "predict", own, "--task", "reviews", "--backbone", backbone, "items.jsonl")
    assert (code, printed) == (2, "")
    assert "items.jsonl: the scores of item '1' are not finite" in complaints
    command = ("fuse", own, own, "--backbone", backbone, "--task", "reviews", "--out", here / "both")
    code, _, complaints = ran(capsys, *command, "--weights", "0.5,0.5")
    assert code == 2 and "the scores of" in complaints and "for item" in complaints
    code, _, complaints = ran(capsys, *command[:-1], here / "large", "--weights", "100,100")
    assert code == 2 and "is beyond 1e+18: give smaller --weights" in complaints and not (here / "large").exists()


def test_items_come_line_by_line(here: Path, backbone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = written(here / "mine", head(("negative", "positive"), "reviews"))
    (here / "long.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\n{"text": "' + b"x" * 10_000_000 + b'"}\n')
    ask = ("predict", own, "--task", "reviews", "--backbone", backbone)
    code, printed, complaints = ran(capsys, *ask, "long.jsonl")
    assert (code, printed) == (2, "") and "long.jsonl:2: has more than 1,000,000 characters" in complaints
    (here / "endless").symlink_to("/dev/zero")
    code, printed, complaints = ran(capsys, *ask, "endless")
    assert (code, printed) == (2, "") and "endless: is a pipe, socket or device, no file" in complaints
    (here / "latin.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xe4"}\n')
    code, printed, complaints = ran(capsys, *ask, "latin.jsonl")
    assert (code, printed) == (2, "") and "latin.jsonl:2: is not UTF-8 text" in complaints
