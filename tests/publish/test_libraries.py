"""Every form that a repository takes, loaded by its own library in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapterx.cli import main
from tests.publish import grid
from tests.publish.grid import BASE, TOKEN
from tests.support.command import environment
from tests.support.hub import Hub, serve
from tests.support.hub_client import talking


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every kind of head, stacks and a fusion."""
    root = tmp_path_factory.mktemp("forms")
    grid.train(
        root,
        methods={
            "lora": {"kind": "lora", "rank": 2},
            "seq": {"kind": "bottleneck", "reduction_factor": 4},
            "ia3": {"kind": "ia3"},
        },
        intermediates={
            "none": None,
            "en": {"tasks": "place-match"},
            "times": {"tasks": "time-mentions"},
            "both": {"members": ["en", "times"]},
        },
        transfers=["stack", "fuse"],
        targets={
            "order": {"task": "time-order", "languages": ["en", "de"]},
            "mentions": {"task": "time-mentions", "languages": ["en", "de"]},
            "choice": {"task": "place-choice", "languages": ["en", "de"]},
        },
        seeds=[1],
        skip=[
            {"intermediates": ["en", "times", "both"], "targets": ["mentions", "choice"]},
            {"intermediates": "times", "targets": "order"},
            {"methods": ["lora", "ia3"], "transfers": "fuse"},
        ],
    )
    return root


@pytest.fixture
def hub(root: Path, tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as hub:
        hub.writers[TOKEN] = "me"
        hub.commit_directory(BASE, root / "backbone")
        with talking(hub, tmp_path / "home", TOKEN):
            yield hub


FORMS = {
    "lora": ("small.lora.none.order", "peft"),
    "tagger": ("small.lora.none.mentions", "peft"),
    "own-head": ("small.lora.none.choice", "peft"),
    "ia3-stack": ("small.ia3.en.stack.order", "peft"),
    "hub": ("small.seq.none.order", "adapterhub"),
    "hub-tagger": ("small.seq.none.mentions", "adapterhub"),
    "hub-choice": ("small.seq.none.choice", "adapterhub"),
    "hub-stack": ("small.seq.en.stack.order", "adapterhub"),
    "hub-fusion": ("small.seq.both.fuse.order", "adapterhub"),
    "hub-lora": ("small.lora.none.order", "adapterhub"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_a_form_answers_in_its_library(
    hub: Hub, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    cell, layout = FORMS[name]
    pytest.importorskip("adapters" if layout == "adapterhub" else "peft")
    ask = ["publish", cell, "--store", str(root / "store"), "--out", str(tmp_path / "out"), "--repo", "me/form"]
    assert main([*ask, "--format", layout, "--base-model", BASE]) == 0, capsys.readouterr().err
    files = hub.files("me/form")
    assert "adapter_config.json" in files and json.loads(files["adapterx.json"])["model"] == BASE
    capsys.readouterr()
    assert main([*ask, "--format", layout, "--base-model", BASE, "--verify"]) == 0
    assert "every file is the same; 20 items give the stored scores" in capsys.readouterr().out


@pytest.mark.slow
def test_a_directory_is_published(hub: Hub, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "exported"
    store = ["--store", str(root / "store")]
    assert main(["export", "small.lora.en.stack.order", *store, "--format", "peft", "--out", str(out)]) == 0
    ask = ["publish", str(out), "--out", str(tmp_path / "out"), "--repo", "me/exported", "--base-model", BASE]
    assert main(ask) == 0, capsys.readouterr().err
    assert "Nobody has scored it yet." in hub.files("me/exported")["README.md"].decode()
    assert main(ask) == 0 and hub.commits("me/exported") == 2


SENTENCES = """
import sys, torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

base, adapter = sys.argv[1:]
texts = ["A first text.", "Ein zweiter, etwas längerer Text, der anders endet."]
embedder = SentenceTransformer(base, device="cpu")
embedder.load_adapter(adapter)
found = torch.tensor(embedder.encode(texts))

tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModel.from_pretrained(base).eval()
inputs = tokenizer(texts, padding=True, return_tensors="pt")
mask = inputs["attention_mask"][..., None]

@torch.no_grad()
def mean(model):
    return (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)

bare = mean(model)
acting = mean(PeftModel.from_pretrained(model, adapter).eval())
print((found - acting).abs().max().item(), (bare - acting).abs().max().item())
"""
"""Embeddings by sentence-transformers against the mean of what `peft` itself gives, and without the adapter."""


@pytest.mark.slow
def test_sentence_transformers_loads_an_encoders_adapter(
    hub: Hub, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One whose head is no class of the library's is an adapter of the bare encoder, which embeds texts."""
    pytest.importorskip("sentence_transformers")
    ask = ["publish", "small.lora.none.choice", "--store", str(root / "store"), "--out", str(tmp_path / "out")]
    assert main([*ask, "--repo", "me/form", "--base-model", BASE]) == 0, capsys.readouterr().err
    command = [sys.executable, "-c", SENTENCES, BASE, "me/form"]
    known = environment(**hub.environment(tmp_path / "stranger", TOKEN), HF_HUB_OFFLINE="0")
    done = subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    off, acts = map(float, done.stdout.split())
    assert off < 1e-5 and acts > 1e-3
