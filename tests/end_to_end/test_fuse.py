"""Adapters one already has become one, through the real command line, and are scored against each of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adapterx.cli import main
from tests.support.command import adapterx

CELLS = {"one": "small.lora.none.order.seed1", "two": "small.lora.none.order.seed2"}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Path:
    """A directory with two LoRA adapters of one task, one of another backbone, a bottleneck and one of another task."""
    root = tmp_path_factory.mktemp("fuse")
    content = {
        "adapterx": 1,
        "name": "grid",
        "backbones": {"small": str(checkpoints["small"]), "other": str(checkpoints["other"])},
        "methods": {"lora": {"kind": "lora", "rank": 2}, "seq": {"kind": "bottleneck", "reduction_factor": 4}},
        "targets": {"order": {"task": "time-order", "languages": ["en", "de"]}, "mentions": "time-mentions"},
        "seeds": [1, 2],
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 3, "limit": 12, "max_length": 32},
        "evaluate": {"limit": 4, "bootstrap": 100},
        "skip": [{"targets": "mentions", "seeds": 2}, {"targets": "mentions", "methods": "seq"}],
    }
    path, store = root / "grid.yaml", root / "store"
    path.write_text(json.dumps(content))
    done = adapterx("run", path, "--store", store)
    assert "Traceback" not in done.stderr, done.stderr
    exported = {
        **CELLS,
        "elsewhere": "other.lora.none.order.seed1",
        "bottleneck": "small.seq.none.order.seed1",
        "tagger": "small.lora.none.mentions.seed1",
    }
    for name, cell in exported.items():
        layout = "adapterhub" if name == "bottleneck" else "peft"
        assert main(["export", cell, "--format", layout, "--out", str(root / name), "--store", str(store)]) == 0
    return root


def tensors(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "adapter_model.safetensors")


def test_the_exact_sum_is_scored_beside_its_parts(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "merged"
    parts = [str(adapters / name) for name in CELLS]
    command = ["fuse", *parts, "--method", "cat", "--weights", "0.25,0.75", "--format", "peft", "--out", str(out)]
    assert main([*command, "--task", "time-order", "--limit", "6"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(out)
    rows = [line.split() for line in printed.splitlines()[:-1]]
    assert rows[0] == ["accuracy", "one", "two", "ensemble", "merged", "items"] and [rows[1][0], len(rows)] == [
        "mean",
        26,
    ]
    members, merged = [tensors(Path(part)) for part in parts], tensors(out)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 32)
    for name in members[0]:
        if "lora_A" in name:
            other = name.replace("lora_A", "lora_B")
            expected = sum(w * one[other] @ one[name] for w, one in zip((0.25, 0.75), members, strict=True))
            torch.testing.assert_close(merged[other] @ merged[name], expected)
    heads = [name for name in merged if "classifier" in name]
    assert len(heads) == 4
    for name in heads:
        torch.testing.assert_close(merged[name], 0.25 * members[0][name] + 0.75 * members[1][name])
    item = {"id": "a", "text": "the cat", "text_pair": "a cat"}
    (tmp_path / "items.jsonl").write_text(json.dumps(item) + "\n")
    assert main(["predict", str(out), "--task", "time-order", str(tmp_path / "items.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "a"


def test_languages_whose_dev_items_choose_weights_are_told(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [str(adapters / name) for name in CELLS]
    out = tmp_path / "merged"
    command = ["fuse", *parts, "--weights", "tuned", "--task", "time-order", "--dev-languages", "en,sw,th"]
    assert main([*command, "--limit", "2", "--format", "peft", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "tuned on sw, th: the weights are chosen by dev items of time-order in these languages" in said.err
    marked = {line.split()[0] for line in said.out.splitlines() if "(tuned)" in line}
    assert marked == {"en", "sw", "th"}
    tuning = json.loads((out / "adapterx.json").read_text())["tuning"]
    assert (tuning["task"], tuning["languages"], tuning["items"]) == ("time-order", ["en", "sw", "th"], 200)
    assert len(tuning["weights"]) == 2
    assert main(["fuse", *parts, "--weights", "1,1", "--format", "peft", "--out", str(tmp_path / "given")]) == 0
    assert json.loads((tmp_path / "given" / "adapterx.json").read_text())["tuning"] == {}


def test_weights_are_tuned_on_dev_items(adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [str(adapters / name) for name in CELLS]
    command = [
        "fuse",
        *parts,
        "--weights",
        "tuned",
        "--task",
        "time-order",
        "--limit",
        "2",
        "--format",
        "peft",
        "--out",
    ]
    printed = []
    for name in ("merged", "again"):
        assert main([*command, str(tmp_path / name)]) == 0
        printed.append(capsys.readouterr().out.splitlines()[:-1])
    assert printed[0] == printed[1]
    rows = [line.split() for line in printed[0]]
    tried = {" ".join(row[:-1]): float(row[-1]) for row in rows[1:6]}
    assert set(tried) == {"0.5 : 0.5", "1 : 0", "0.75 : 0.25", "0.25 : 0.75", "0 : 1"}
    assert rows[0] == ["weights", "dev"] and rows[6] == ["accuracy", "one", "two", "ensemble", "merged", "items"]
    chosen = next(iter(tried))
    assert tried[chosen] == max(tried.values())
    given = ["--weights", chosen.replace(" : ", ","), "--format", "peft", "--out", str(tmp_path / "given")]
    assert main(["fuse", *parts, *given]) == 0
    for name, tensor in tensors(tmp_path / "given").items():
        assert torch.equal(tensor, tensors(tmp_path / "merged")[name])


def test_adapters_of_several_tasks_have_no_head_in_common(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "merged"
    pair = [str(adapters / "one"), str(adapters / "tagger")]
    assert main(["fuse", *pair, "--out", str(out), "--task", "time-mentions", "--limit", "2"]) == 0
    printed, complaints = capsys.readouterr()
    assert printed.splitlines()[0].split() == ["span_f1", "tagger", "items"]
    assert "one is not scored: the head answers pair-classification" in complaints
    assert "merged is not scored: it has no prediction head; --train TASK would give it one" in complaints
    assert sorted(path.name for path in out.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_a_merged_adapter_is_trained_on(adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At a rate next to nothing it stays the exact sum, under the mean of the heads; at a real one both move."""
    parts = [str(adapters / name) for name in CELLS]
    found = {}
    for rate in ("none", "1e-12", "1e-2"):
        out = tmp_path / rate
        command = ["fuse", *parts, "--method", "cat", "--out", str(out)]
        training = ["--train", "time-order", "--steps", "3", "--batch-size", "4", "--limit-train", "8", "--limit", "2"]
        assert main(command if rate == "none" else [*command, *training, "--learning-rate", rate]) == 0
        found[rate] = tensors(out)
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 4
    for name, tensor in found["none"].items():
        torch.testing.assert_close(found["1e-12"][name], tensor)
        assert not torch.allclose(found["1e-2"][name], tensor, atol=1e-4), name


@pytest.mark.parametrize(
    ("names", "more", "reason"),
    [
        (["one"], [], "a single adapter is what it is"),
        (["one", "elsewhere"], [], "adapters of different backbones have nothing in common"),
        (["one", "bottleneck"], [], "only adapters of one kind, size and place can be merged"),
        (
            ["bottleneck", "bottleneck"],
            ["--method", "ties"],
            "ties merges LoRA; bottlenecks merge by average, or are fused",
        ),
        (["one", "two"], ["--weights", "1,2,3"], "--weights: 3 given for 2 adapters"),
        (["one", "two"], ["--weights", "tuned"], "tuned chooses on the dev items of a task: name it with --task"),
        (["one", "two"], ["--dev-languages", "de"], "use it with --weights tuned"),
        (["one", "tagger"], ["--weights", "tuned", "--task", "time-order"], "these adapters have none in common"),
        (
            ["one", "two"],
            ["--weights", "tuned", "--task", "time-order", "--dev-languages", "xx"],
            "the task 'time-order' has no language 'xx'",
        ),
        (["one", "two"], ["--density", "2"], "--density should be more than 0 and at most 1"),
        (
            ["one", "two"],
            ["--method", "fusion", "--train", "time-order"],
            "is a LoRA, and a fusion mixes what bottleneck",
        ),
        (["one", "nowhere/at/all"], [], "there is no directory"),
    ],
)
def test_what_cannot_be_merged_is_refused(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], more: list[str], reason: str
) -> None:
    out = tmp_path / "merged"
    paths = [name if "/" in name else str(adapters / name) for name in names]
    layout = [] if "fusion" in more else ["--format", "peft"]
    assert main(["fuse", *paths, *more, *layout, "--out", str(out)]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()
