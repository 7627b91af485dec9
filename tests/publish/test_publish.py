"""A run's adapters go to the Hub, and come back as they were: files, card, answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from adapterx.cli import main
from adapterx.publish.hub import blocks, check, stranger
from tests.backbones.checkpoints import save
from tests.publish import grid
from tests.publish.grid import BASE, TOKEN
from tests.support.hub import Hub, serve
from tests.support.hub_client import talking

Publish = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run, the adapters of which are LoRA and stacks of LoRA."""
    root = tmp_path_factory.mktemp("published")
    grid.train(root)
    return root


@pytest.fixture
def hub(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the backbone, and an account."""
    monkeypatch.setattr("adapterx.publish.hub.waiting._FIRST", 0.01)
    with serve(tmp_path / "hub") as hub:
        hub.writers[TOKEN] = "me"
        hub.commit_directory(BASE, root / "backbone")
        with talking(hub, tmp_path / "home", TOKEN):
            yield hub


@pytest.fixture
def publish(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Publish:
    """Runs the command; exit code, output, complaints."""

    def run(what: str, *arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        store = ("--store", str(root / "store"))
        given = [str(one) for one in arguments]
        out = () if "--out" in given else ("--out", str(tmp_path / "out"))
        code = main(["publish", what, *store, *out, "--base-model", BASE, *given])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[dict[str, Any]]:
    """Have the check answer in this process, from what it was given, instead of loading a library in another one.

    transformers 5 notes at its import which hub it talks to, so that there it is in another one all the same.
    """
    jobs: list[dict[str, Any]] = []
    if transformers.__version__ >= "5":
        return jobs

    def ran(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
        jobs.append(job)
        (scratch / "lines.py").write_text(job["code"])
        return stranger.main(json.loads(json.dumps({**job, "code": str(scratch / "lines.py")})))

    monkeypatch.setattr(check, "_ran", ran)
    return jobs


@pytest.mark.slow
def test_a_stack_is_published_and_nothing_twice(hub: Hub, publish: Publish, root: Path, tmp_path: Path) -> None:
    """With the library in a process of its own, as a user has it."""
    ask = ("small.lora.en.stack.order.seed1", "--repo", "me/orders")
    code, printed, complaints = publish(*ask)
    assert code == 0 and printed.startswith("me/orders: new at "), complaints
    files = hub.files("me/orders")
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md", "recipe.yaml", "record.json"} <= set(files)
    assert {"members/intermediate/adapter_model.safetensors", "members/target/adapter_model.safetensors"} <= set(files)
    config = json.loads(files["adapter_config.json"])
    commit = hub.resolve(BASE, "main")
    assert commit is not None
    assert (config["r"], config["task_type"]) == (8, "SEQ_CLS")
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE, commit.name)

    code, printed, _ = publish(*ask)
    assert code == 0 and printed.startswith("me/orders: unchanged at ") and hub.commits("me/orders") == 2
    code, printed, _ = publish(*ask, "--status")
    assert code == 0 and printed.startswith("me/orders: up at ")

    text = files["README.md"].decode()
    mine = text.replace("# orders\n", "# Orders, by me\n\nRead this first.\n").replace(
        "license: other", "license: other\nthumbnail: mine.png"
    )
    hub.commit("me/orders", {**files, "README.md": mine.encode(), "notes.txt": b"mine"})
    code, printed, _ = publish(*ask, "--cards-only")
    assert code == 0 and printed.startswith("me/orders: card ")
    kept = hub.files("me/orders")
    assert "Read this first." in kept["README.md"].decode() and "thumbnail: mine.png" in kept["README.md"].decode()
    assert kept["notes.txt"] == b"mine"

    assert publish(*ask, "--delete")[0] == 2 and hub.has("me/orders")
    code, printed, _ = publish(*ask, "--delete", "--yes")
    assert (code, printed) == (0, "me/orders: deleted\n") and not hub.has("me/orders")
    assert publish(*ask, "--delete", "--yes")[0] == 2


def test_the_card_says_what_the_run_says(hub: Hub, publish: Publish, answered: list[Any], tmp_path: Path) -> None:
    assert publish("small.lora.none.order.seed1", "--repo", "me/orders")[0] == 0
    card = ModelCard(hub.files("me/orders")["README.md"].decode())
    data = card.data.to_dict()  # type: ignore[no-untyped-call]
    assert (data["base_model"], data["base_model_relation"], data["library_name"]) == (BASE, "adapter", "peft")
    assert data["language"] == ["en", "de"] and data["pipeline_tag"] == "text-classification"
    (model,) = data["model-index"]
    results = {one["dataset"]["config"]: one["metrics"][0]["value"] for one in model["results"]}
    assert set(results) == {"en", "de", "average"}
    assert results["average"] == pytest.approx((results["en"] + results["de"]) / 2, abs=1e-3)
    assert blocks.names(card.text) == ["summary", "load", "results", "training", "limits", "files", "citation"]
    assert "**lora** | **none**" in card.text and "lora | en | stack" in card.text
    assert "0 = `earlier`, 1 = `same`, 2 = `later`" in card.text and "32 tokens" in card.text
    told = json.loads(hub.files("me/orders")["evaluation/every_eval_ever.json"])
    intervals = [one["score_details"]["uncertainty"]["confidence_interval"] for one in told["evaluation_results"]]
    assert all(one["lower"] <= one["upper"] and one["confidence_level"] == 0.95 for one in intervals)


PIPELINE = """
import json
from transformers import pipeline

cut = {"truncation": True, "max_length": 32}
with model.disable_adapter():
    bare = model(**inputs).logits[0].softmax(-1)
asked = {"text": "A first text.", "text_pair": "A second one, where the task has pairs."}
found = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)(asked, **cut)
print(json.dumps([scores.tolist(), bare.tolist(), {one["label"]: one["score"] for one in found}]))
"""
"""What follows the card's lines: the same by a pipeline, and without the adapter."""


@pytest.mark.slow
def test_the_cards_lines_load_it_from_the_hub(hub: Hub, publish: Publish, answered: list[Any], tmp_path: Path) -> None:
    """As a stranger runs them, in a process that knows nothing of adapterx; the adapter acts in a pipeline too."""
    assert publish("small.lora.en.stack.order.seed1", "--repo", "me/orders")[0] == 0
    (code,) = re.findall(r"```python\n(.*?)```", hub.files("me/orders")["README.md"].decode(), re.DOTALL)
    command = [sys.executable, "-c", code + PIPELINE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores, bare, piped = json.loads(done.stdout.splitlines()[-1])
    assert list(piped) and not np.allclose(scores, bare, atol=1e-6)
    np.testing.assert_allclose([piped[label] for label in ("earlier", "same", "later")], scores, atol=1e-6)


def test_another_backbone_uploads_nothing(
    hub: Hub, publish: Publish, answered: list[Any], root: Path, tmp_path: Path
) -> None:
    other = save(tmp_path / "other", seed=7)
    hub.commit_directory("org/other", other)
    code, _, complaints = publish(
        "small.lora.none.order.seed1", "--repo", "me/orders", "--base-model", "small=org/other"
    )
    assert code == 2 and "its library gives scores up to" in complaints
    assert not hub.has("me/orders")


def test_a_dry_run_is_what_is_uploaded(hub: Hub, publish: Publish, answered: list[Any], tmp_path: Path) -> None:
    ask = ("small.lora.none.order.seed1", "--repo", "me/orders")
    code, printed, _ = publish(*ask, "--dry-run", "--dtype", "bfloat16")
    out = tmp_path / "out" / "orders"
    assert code == 0 and f"{out}: would be me/orders; 20 items give the stored scores" in printed
    assert not hub.has("me/orders")
    assert {str(one.dtype) for one in load_file(out / "adapter_model.safetensors").values()} == {"torch.bfloat16"}
    dry = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert publish(*ask, "--dtype", "bfloat16")[0] == 0
    up = {name: content for name, content in hub.files("me/orders").items() if name != ".gitattributes"}
    assert up == dry


def test_a_grid_is_one_repository_a_setting(hub: Hub, publish: Publish, answered: list[Any], tmp_path: Path) -> None:
    code, printed, _ = publish("grid", "--repo", "me/tiny")
    assert code == 0
    lines = printed.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "me/tiny-small-lora-none-order",
        "me/tiny-small-lora-en-stack-order",
        "me/tiny-index",
    ]
    (slug,) = hub.collections
    assert lines[-1].endswith(f"collection {slug}")
    assert {one["id"] for one in hub.collections[slug]["items"]} == {line.partition(":")[0] for line in lines}
    assert "me/tiny-small-lora-none-order" in hub.files("me/tiny-index")["README.md"].decode()
    card = hub.files("me/tiny-small-lora-none-order")["README.md"].decode()
    assert "This is seed 1, the first of 2: no dev data chose among them" in card


def test_no_token_or_place_of_this_machine_leaves(
    hub: Hub, publish: Publish, answered: list[Any], root: Path, tmp_path: Path
) -> None:
    code, printed, complaints = publish("grid", "--repo", "me/tiny", "--debug")
    assert code == 0
    journal = (tmp_path / "out" / "journal.json").read_text()
    said = [printed, complaints, journal]
    files = [path.read_bytes() for path in (tmp_path / "hub").rglob("*") if path.is_file() and BASE not in str(path)]
    assert files and not any(TOKEN in one for one in said)
    assert not any(TOKEN.encode() in one for one in files)
    for place in (str(root), str(tmp_path), str(Path.home() / ".cache")):
        assert not any(place.encode() in one for one in files), place


def test_what_is_no_ones_business_is_refused(
    hub: Hub, publish: Publish, answered: list[Any], root: Path, tmp_path: Path
) -> None:
    path = root / "store" / "runs" / "grid" / "run.json"
    before = path.read_text()
    try:
        for secret, told in ((TOKEN, "a token"), ("see /home/me/notes", "/home/me/notes, a path of this machine")):
            content = json.loads(before)
            content["description"] = content["recipe"]["description"] = f"Mine: {secret} and others."
            path.write_text(json.dumps(content))
            code, _, complaints = publish("small.lora.none.order.seed1", "--repo", "me/orders")
            assert code == 2 and told in complaints and TOKEN not in complaints
            assert not hub.has("me/orders")
    finally:
        path.write_text(before)


MISTAKES = {
    "no-such-repo": (["small.lora.none.order.seed1", "--repo", "me/a--b"], "is no repository's id"),
    "no-cell": (["small.lora.none.ordre.seed1", "--repo", "me/x"], "has no cell 'small.lora.none.ordre.seed1'"),
    "base": (["small.lora.none.order.seed1", "--repo", "me/x", "--base-model", "big=org/x"], "the backbones are small"),
    "fused": (["small.lora.en.stack.order.seed1", "--repo", "me/x", "--format", "adapterhub"], "composes stacked LoRA"),
    "unknown": (["nowhere", "--repo", "me/x"], "has no cell 'nowhere'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_published(hub: Hub, publish: Publish, name: str) -> None:
    arguments, told = MISTAKES[name]
    code, printed, complaints = publish(*arguments)
    assert (code, printed) == (2, "") and told in complaints, complaints
    assert not hub.has("me/x")


def test_a_local_backbone_needs_a_public_equal(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["publish", "small.lora.none.order.seed1", "--store", str(root / "store"), "--repo", "me/x", "--dry-run"]
    assert main(ask) == 2
    assert "is a directory of this machine" in capsys.readouterr().err
