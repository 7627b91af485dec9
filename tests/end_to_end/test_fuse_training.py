"""Adapters one already has are fused or merged and trained, from the command line, and scored beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adapterx.cli import main
from tests.backbones.checkpoints import tokenizer
from tests.end_to_end.fused import TRAIN
from tests.end_to_end.test_export import command
from tests.support.marks import everyday

SETTINGS = [
    *("--learning-rate", str(TRAIN["learning_rate"]), "--steps", str(TRAIN["steps"])),
    *("--batch-size", str(TRAIN["batch_size"]), "--limit-train", str(TRAIN["limit"]), "--seed", "1", "--limit", "2"),
]


@pytest.fixture(scope="module")
def parts(fused_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the run's fusion and merger were made of and what they became, exported."""
    root = tmp_path_factory.mktemp("parts")
    cells = {
        "latest": "none.latest.seed1",
        "match": "none.match.seed1",
        "fusion": "both.fusion.order.seed1",
        "mean": "both.mean.order.seed1",
    }
    for name, cell in cells.items():
        for backbone in ("e5", "small"):
            export = ["export", f"{backbone}.seq.{cell}", "--format", "adapterhub", "--store", str(fused_store)]
            assert main([*export, "--out", str(root / backbone / name)]) == 0
    return {f"{backbone}/{name}": root / backbone / name for name in cells for backbone in ("e5", "small")}


def same(ours: Path, theirs: Path) -> None:
    """Equal tensors, whatever the names of adapters within theirs."""
    for one, other in zip(sorted(load_file(ours).items()), sorted(load_file(theirs).items()), strict=True):
        # Steps are of 1e-2; a gradient near zero turns the order of sums into a millionth of that.
        torch.testing.assert_close(one[1], other[1], atol=1e-5, rtol=1e-5)


MADE = [("e5", "fusion"), ("small", "fusion"), ("small", "average")]


@pytest.mark.parametrize(
    ("backbone", "method"),
    everyday(MADE, [("small", "fusion")]),
)
def test_what_comes_out_is_what_a_recipe_makes_of_them(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], backbone: str, method: str
) -> None:
    """The same members, task, settings and seed give the same weights: it is one engine."""
    out = tmp_path / "out"
    own = {name: parts[f"{backbone}/{name}"] for name in ("latest", "match", "fusion", "mean")}
    given: list[str | Path] = [own["latest"], own["match"], "--method", method, "--train", "time-order", *SETTINGS]
    code, printed, complaints = command(capsys, "fuse", *given, "--out", out)
    assert code == 0, complaints
    name = "fused" if method == "fusion" else "merged"
    assert printed.splitlines()[0].split()[1:] == [name, "items"] and printed.splitlines()[-1] == str(out)
    assert "step 2 of 2, loss" in complaints
    assert "latest is not scored: the head answers multiple-choice" in complaints
    assert "match is not scored: the head's labels are" in complaints
    if method == "average":
        same(out / "adapter.safetensors", own["mean"] / "adapter.safetensors")
        same(out / "model_head.safetensors", own["mean"] / "model_head.safetensors")
    else:
        for part, theirs in (("head", "head"), ("latest,match", "time,items-1")):
            (name,) = (path.name for path in (out / part).glob("*.safetensors"))
            same(out / part / name, own["fusion"] / theirs / name)
        for part in ("latest", "match"):
            same(out / part / "adapter.safetensors", own[part] / "adapter.safetensors")
    known = json.loads((out / "adapterx.json").read_text())
    recipe = json.loads((own["mean"] / "adapterx.json").read_text())
    told = ("model", "backbone", "task", "labels", "max_length")
    assert [known[key] for key in told] == [recipe[key] for key in told]
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "heute", "text_pair": "gestern"}\n')
    code, printed, complaints = command(capsys, "predict", out, items, "--task", "time-order")
    assert (code, complaints) == (0, "") and sum(json.loads(printed)["scores"].values()) == pytest.approx(1, abs=1e-5)


def test_heads_of_one_task_are_gone_on_with(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that is next to none leaves the mean of the heads; every adapter is scored."""
    other = tmp_path / "other"
    settings = ["--train", "place-match", "--train-languages", "en,de", "--limit-train", "4", "--steps", "1"]
    tiny = ["--learning-rate", "1e-12", "--batch-size", "2", "--limit", "2"]
    first: list[str | Path] = [parts["small/match"], parts["small/latest"], *settings, *tiny, "--out", other]
    code, printed, complaints = command(capsys, "fuse", *first)
    assert code == 0, complaints
    assert printed.splitlines()[0].split()[1:] == ["match", "merged", "items"]
    heads = [load_file(path / "model_head.safetensors") for path in (parts["small/match"], other)]
    one, two = (next(tensor for name, tensor in head.items() if ".1.weight" in name) for head in heads)
    assert not torch.allclose(one, two, atol=1e-3)
    out = tmp_path / "out"
    code, printed, complaints = command(
        capsys, "fuse", parts["small/match"], other, *settings, *tiny, "--weights", "0.25,0.75", "--out", out
    )
    assert code == 0, complaints
    assert printed.splitlines()[0].split()[1:] == ["match", "other", "ensemble", "merged", "items"]
    assert len(printed.splitlines()) == 27 and "not scored" not in complaints
    merged = load_file(out / "model_head.safetensors")
    for (_, one), (_, two), (_, mean) in zip(*(sorted(head.items()) for head in (*heads, merged)), strict=True):
        torch.testing.assert_close(mean, 0.25 * one + 0.75 * two, atol=1e-6, rtol=1e-5)


def test_an_adapter_from_elsewhere_is_fused_and_the_library_loads_it(
    parts: dict[str, Path], checkpoints: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Saved by the library, of another width; what comes out gives the same logits there."""
    library = pytest.importorskip("adapters")
    backbone = str(checkpoints["small"])
    there = library.XLMRobertaAdapterModel.from_pretrained(backbone)
    there.add_adapter("mine", config=library.SeqBnConfig(reduction_factor=4))
    there.save_adapter(str(tmp_path / "mine"), "mine", with_head=False, use_safetensors=True)
    out = tmp_path / "out"
    fuse: list[str | Path] = [
        "fuse",
        tmp_path / "mine",
        parts["small/match"],
        "--method",
        "fusion",
        "--train",
        "place-match",
        *SETTINGS,
    ]
    code, printed, complaints = command(capsys, *fuse, "--backbone", backbone, "--out", out)
    assert code == 0, complaints
    assert printed.splitlines()[0].split()[1:] == ["match", "fused", "items"]
    assert "mine is not scored: it has no prediction head" in complaints
    there.delete_adapter("mine")
    there.load_adapter_setup(str(out), use_safetensors=True, set_active=True)
    given = tokenizer()("the cat", "a", return_tensors="pt")
    with torch.no_grad():
        logits = there.eval()(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits[0]
    (tmp_path / "items.jsonl").write_text('{"text": "the cat", "text_pair": "a"}\n')
    capsys.readouterr()
    code, printed, complaints = command(capsys, "predict", out, tmp_path / "items.jsonl", "--task", "place-match")
    assert (code, complaints) == (0, "")
    expected = torch.tensor(list(json.loads(printed)["scores"].values()))
    torch.testing.assert_close(logits.softmax(0), expected, atol=2e-6, rtol=0)


REFUSED: dict[str, tuple[list[str], str]] = {
    "untrained": (["--method", "fusion"], "name the task to train it on with --train TASK"),
    "no-training": (["--steps", "3"], "--steps: of a training"),
    "weights": (["--method", "fusion", "--train", "time-order", "--weights", "1,2"], "leave --weights out"),
    "limit": (["--limit", "3"], "name the task with --task TASK"),
    "no-task": (["--task", "time-orde"], "no task 'time-orde'"),
    "no-language": (["--train", "time-order", "--train-languages", "xx"], "has no language 'xx'"),
    "other-task": (["--train", "time-order", "--task", "time-mentions"], "cannot be scored on 'time-mentions'"),
    "peft": (["--method", "fusion", "--train", "time-order", "--format", "peft"], "peft has no AdapterFusion"),
    "rate": (["--train", "time-order", "--learning-rate", "1e30"], "should be at most 1,000,000,000, not 1e+30"),
    "diverges": (
        ["--train", "time-order", "--learning-rate", "1e9", "--steps", "12", *SETTINGS[4:]],
        "try a smaller --learning-rate",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    more, reason = REFUSED[name]
    code, printed, complaints = command(
        capsys, "fuse", parts["small/latest"], parts["small/match"], *more, "--out", tmp_path / "out"
    )
    assert (code, printed) == (2, "")
    assert reason in complaints
    assert not list(tmp_path.iterdir())


LEAK = """\
adapterx: 1
name: order-again
description: The test items of another task of mine, to learn from.
format: pair-classification
labels: [earlier, same, later]
metrics: accuracy
languages: [en, de]
parallel: true
licence: mine
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, text_pair: 1, label: 2}
    splits: {SPLITS}
"""
TRAINED = 'train: {paths: "test-{language}.tsv", languages: [de]}, dev: {paths: "dev-{language}.tsv"}'
SCORED = 'train: {paths: "train-{language}.tsv"}, test: {paths: "test-{language}.tsv"}'


def own_tasks(directory: Path) -> None:
    """Two tasks, of which one trains on the other's 200 test items, in German."""
    for language in ("en", "de"):
        for split, first in (("train", 1000), ("test", 0), ("dev", 2000)):
            lines = [
                f"day number {n} in {language}, a long one to say the least\tday number {n + 1}\tearlier\n"
                for n in range(first, first + 200)
            ]
            (directory / f"{split}-{language}.tsv").write_text("".join(lines))
    (directory / "order-again.yaml").write_text(LEAK.replace("SPLITS", TRAINED))
    text = LEAK.replace("order-again", "order-scored").replace("SPLITS", SCORED)
    (directory / "order-scored.yaml").write_text(text)


def test_training_on_items_that_are_scored_is_refused(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another language of a parallel set, with the guard's words and before a backbone is loaded."""
    own_tasks(tmp_path)
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("adapterx.executors.fuse_bench.load", None)
    fuse: list[str | Path] = [
        "fuse",
        parts["small/latest"],
        parts["small/match"],
        "--train-languages",
        "de",
        "--out",
        tmp_path / "out",
    ]
    code, printed, complaints = command(capsys, *fuse, "--train", "order-again", "--task", "order-scored")
    assert (code, printed) == (2, "")
    assert (
        "training on 'order-again' leaks into the test set of 'order-scored': 200 of the 200 test items" in complaints
    )
    assert not (tmp_path / "out").exists()


def test_learning_the_same_task_again_is_said(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["--limit-train", "4", "--steps", "1", "--batch-size", "2", "--limit", "2"]
    fuse: list[str | Path] = ["fuse", parts["small/match"], parts["small/latest"], "--train", "place-match", *tiny]
    code, _, complaints = command(capsys, *fuse, "--out", tmp_path / "out")
    assert code == 0, complaints
    assert complaints.startswith(
        "target training: place-match → place-match: an adapter has learnt the target's own task\n"
    )


def test_what_is_composed_already_has_no_place_in_another(
    parts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaints = command(
        capsys, "fuse", parts["small/latest"], parts["small/fusion"], "--out", tmp_path / "out"
    )
    assert code == 2 and "is a fusion of 2 adapters (adapter_setup.json); name single ones" in complaints
