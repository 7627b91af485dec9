"""Checkpoints that a stranger sent: configuration, tokenizer, index and weights, broken and changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.backbones.pickles import write
from tests.fuzz.files import NEVER, PERHAPS, WEIGHTS, Break, copied, mutations, rewrite
from tests.fuzz.outcome import Outcome, command, sampled

PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
NAMES = ("config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json")
PARTS = 8
"""Tests that share the changes of one file."""
Answer = Callable[[], Outcome]


@pytest.fixture
def broken(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint."""
    return copied(checkpoint, tmp_path / "broken")


@pytest.fixture
def answer(
    adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Answer:
    """Answers an item on the broken backbone, which reads all of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "items.jsonl").write_text('{"text": "the cat", "text_pair": "a dog"}\n')
    arguments = ("predict", adapters / "peft", "items.jsonl", "--task", "time-order", "--backbone", "broken")
    return lambda: command(capsys, *arguments)


def pickle(directory: Path, shards: int) -> None:
    """Write the weights as one pickle, or as so many and an index."""
    whole = directory / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    write(directory, tensors, shards)


def shard(directory: Path) -> None:
    """Write the weights as two files and an index."""
    whole = directory / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    halves = [dict(sorted(tensors.items())[half::2]) for half in (0, 1)]
    names = ["model-1.safetensors", "model-2.safetensors"]
    for name, half in zip(names, halves, strict=True):
        save_file(half, directory / name, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {tensor: name for name, half in zip(names, halves, strict=True) for tensor in half},
    }
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("form", ["one file", "shards", "a pickle", "pickled shards"])
def test_what_is_broken_is_whole_otherwise(form: str, broken: Path, answer: Answer) -> None:
    if form == "shards":
        shard(broken)
    elif form != "one file":
        pickle(broken, shards=2 * (form == "pickled shards"))
    outcome = answer()
    assert outcome.code == 0, outcome.said


def _cases(names: tuple[str, ...], breaks: dict[str, Break]) -> tuple[list[Any], list[str]]:
    found = {f"{name}: {what}": (name, make) for name in names for what, make in breaks.items()}
    return list(found.values()), list(found)


def _break(directory: Path, name: str, make: Break) -> None:
    if name in PICKLES:
        pickle(directory, shards=2 * name.endswith("index.json"))
    elif name.endswith("index.json"):
        shard(directory)
    make(directory / name)


@pytest.mark.parametrize(("name", "make"), sampled(*_cases((*NAMES, *PICKLES), NEVER), everyday=3))
def test_no_file(name: str, make: Break, broken: Path, answer: Answer) -> None:
    _break(broken, name, make)
    answer().refuses("broken")


@pytest.mark.parametrize(("name", "make"), sampled(*_cases((*NAMES, *PICKLES), PERHAPS), everyday=3))
def test_another_content(name: str, make: Break, broken: Path, answer: Answer) -> None:
    _break(broken, name, make)
    answer().answers_or_refuses("broken")


@pytest.mark.parametrize("make", sampled(list(WEIGHTS.values()), list(WEIGHTS), everyday=2))
def test_weights_that_are_none(make: Break, broken: Path, answer: Answer) -> None:
    make(broken / "model.safetensors")
    answer().refuses("broken")


def _changed() -> tuple[list[Any], list[str]]:
    cases = [(name, part) for name in (*NAMES, *PICKLES) if name.endswith(".json") for part in range(PARTS)]
    return cases, [f"{name} {part}" for name, part in cases]


@pytest.mark.parametrize(("name", "part"), sampled(*_changed(), everyday=1))
def test_a_setting_of_another_type(name: str, part: int, broken: Path, answer: Answer) -> None:
    if name in PICKLES:
        pickle(broken, shards=2)
    elif name.endswith("index.json"):
        shard(broken)
    path = broken / name
    failed = []
    for what, content in list(mutations(json.loads(path.read_text()), values=4))[part::PARTS]:
        rewrite(path, content)
        try:
            answer().answers_or_refuses("broken")
        except AssertionError as error:
            failed.append(f"{name} {what}: {str(error).splitlines()[0]}")
    assert not failed, "\n".join(failed)


SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


@pytest.mark.parametrize("key", [*SIZES, "max_position_embeddings", "type_vocab_size"])
@pytest.mark.parametrize("value", [1, 3, 10**6, 10**9, 10**18])
@pytest.mark.slow
def test_a_size_that_the_weights_do_not_have(key: str, value: int, broken: Path, answer: Answer) -> None:
    """A size is not believed before its weights: nothing is allocated for it."""
    path = broken / "config.json"
    content = json.loads(path.read_text())
    if content[key] == value or (key == "num_attention_heads" and content["hidden_size"] % value == 0):
        pytest.skip("which it may have")
    rewrite(path, {**content, key: value})
    answer().refuses("broken")


@pytest.mark.slow
@pytest.mark.parametrize("token", [-1, 10**5, 4 * 10**9, 2**63])
def test_a_token_beyond_the_vocabulary(token: int, broken: Path, answer: Answer) -> None:
    path = broken / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": token, "content": "the"})
    rewrite(path, content)
    answer().answers_or_refuses("broken")
