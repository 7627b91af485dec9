"""Recipes as bytes: what an editor, a disk or a stranger made of a file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapterx import cli
from adapterx.plan.contamination import uncompared
from adapterx.plan.looks import unseen
from tests.fuzz.files import NEVER, PERHAPS, Break
from tests.fuzz.outcome import command, sampled
from tests.fuzz.schema import yaml
from tests.fuzz.test_schemas import RECIPE
from tests.plan.fakes import FakeBackbones

TEXTS = {
    "a tag": "adapterx: !!python/object/apply:os.system ['echo x']\n",
    "a list": "- adapterx\n- 1\n",
    "a text": "adapterx\n",
    "two documents": "adapterx: 1\n---\nadapterx: 1\n",
    "a tab": "adapterx: 1\n\tname: x\n",
    "a colon twice": "adapterx: 1: 2\n",
    "a key twice": "adapterx: 1\nname: a\nname: b\n",
    "a key that is a list": "? [a, b]\n: 1\n",
    "a key that is null": "~: 1\n",
    "an alias of nothing": "adapterx: *x\n",
    "an alias of itself": "adapterx: &x [*x]\n",
    "aliases that grow": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    "a merge of a list": "<<: [1, 2]\nadapterx: 1\n",
    "an open bracket": "seeds: [1, 2\n",
    "an open quote": 'name: "x\n',
    "a character beyond Unicode": 'name: "\\UFFFFFFFF"\n',
    "half a pair": 'name: "\\ud800"\n',
    "a number of a million digits": "seeds: [0x" + "f" * 1_000_000 + "]\n",
    "a decimal of a million digits": "seeds: [" + "9" * 1_000_000 + "]\n",
    "a fraction of many digits": "train: {learning_rate: 1." + "0" * 100_000 + "}\n",
    "an exponent of many digits": "train: {learning_rate: 1e" + "9" * 100 + "}\n",
    "deep brackets": "a: " + "[" * 5000 + "\n",
    "deep indentation": "".join(" " * at + "a:\n" for at in range(500)),
    "many keys": "".join(f"k{at}: 1\n" for at in range(60_000)),
    "a directive": "%YAML 3.0\n---\nadapterx: 1\n",
    "an unknown directive": "%FOO bar\n---\nadapterx: 1\n",
    "a comment alone": "# adapterx: 1\n",
    "a control character": "name: a\x07b\n",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a good recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cli.common, "describer", FakeBackbones)
    monkeypatch.setattr(cli.common, "questions", lambda *_: (uncompared, unseen))
    path = tmp_path / "r.yaml"
    path.write_text(yaml({**RECIPE, "description": "häuser"}), encoding="utf-8")
    return path


@pytest.mark.parametrize("make", sampled(list(NEVER.values()), list(NEVER), everyday=1))
def test_no_recipe(make: Break, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(here)
    command(capsys, "plan", "r.yaml").refuses("r.yaml: ")


@pytest.mark.parametrize("make", sampled(list(PERHAPS.values()), list(PERHAPS), everyday=1))
def test_another_content(make: Break, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(here)
    command(capsys, "plan", "r.yaml").answers_or_refuses("r.yaml:")


@pytest.mark.parametrize("text", sampled(list(TEXTS.values()), list(TEXTS), everyday=2))
def test_a_text(text: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here.write_bytes(text.encode())
    command(capsys, "plan", "r.yaml").refuses("r.yaml:")


@pytest.mark.parametrize("seed", sampled(list(range(60)), [str(seed) for seed in range(60)], everyday=1))
def test_some_bytes_changed(seed: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One to five characters replaced by others that mean something in YAML."""
    chance = random.Random(seed)
    text = list(here.read_text(encoding="utf-8"))
    for _ in range(chance.randint(1, 5)):
        text[chance.randrange(len(text))] = chance.choice("{}[]:,&*!|>%@`'\"#-?\t\n \x00é")
    here.write_text("".join(text), encoding="utf-8")
    command(capsys, "plan", "r.yaml").answers_or_refuses("r.yaml:")
