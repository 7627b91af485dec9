"""Adapters that a stranger sent, and items to be answered: every file broken, every setting changed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.files import NEVER, PERHAPS, WEIGHTS, Break, copied, mutations, rewrite
from tests.fuzz.outcome import Outcome, command, sampled

ITEM = {"id": "1", "text": "the cat", "text_pair": "a dog"}
SETTINGS: dict[str, tuple[str, ...]] = {
    "peft": ("adapterx.json", "adapter_config.json", "head_config.json"),
    "adapterhub": ("adapterx.json", "adapter_config.json", "head_config.json"),
    "stack": ("adapterx.json", "adapter_setup.json"),
}
TENSORS: dict[str, tuple[str, ...]] = {
    "peft": ("adapter_model.safetensors",),
    "adapterhub": ("adapter.safetensors", "model_head.safetensors"),
}
PARTS = 8
"""Tests that share the changes of one file's settings."""
Predict = Callable[[Path], Outcome]


@pytest.fixture
def predict(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Predict:
    """Answers an item with adapters; the answers are JSON with finite scores, if there are any."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "items.jsonl").write_text(json.dumps(ITEM) + "\n")

    def answered(adapter: Path, items: str = "items.jsonl") -> Outcome:
        outcome = command(
            capsys, "predict", adapter, items, "--task", "time-order", "--language", "de", "--backbone", checkpoint
        )
        for line in outcome.out.splitlines():
            answer = json.loads(line)
            assert set(answer) == {"id", "language", "label", "scores"}
            assert all(math.isfinite(score) for score in answer["scores"].values()), outcome.told
        return outcome

    return answered


@pytest.mark.parametrize("layout", SETTINGS)
def test_what_is_broken_is_whole_otherwise(layout: str, adapters: Path, predict: Predict) -> None:
    files = {path.name for path in (adapters / layout).iterdir() if path.is_file()}
    assert files == {"README.md", *SETTINGS[layout], *TENSORS.get(layout, ())}
    outcome = predict(adapters / layout)
    assert outcome.code == 0 and json.loads(outcome.out)["id"] == "1", outcome.said


def _cases(files: dict[str, tuple[str, ...]], breaks: dict[str, Break]) -> tuple[list[Any], list[str]]:
    found = {
        f"{layout}/{name}: {what}": (layout, name, make)
        for layout, names in files.items()
        for name in names
        for what, make in breaks.items()
    }
    return list(found.values()), list(found)


@pytest.mark.parametrize(("layout", "name", "make"), sampled(*_cases(SETTINGS, {**NEVER, **PERHAPS}), everyday=3))
def test_broken_settings(layout: str, name: str, make: Break, adapters: Path, tmp_path: Path, predict: Predict) -> None:
    make(copied(adapters / layout, tmp_path / layout) / name)
    predict(Path(layout)).answers_or_refuses(layout)


@pytest.mark.parametrize(("layout", "name", "make"), sampled(*_cases(TENSORS, {**NEVER, **WEIGHTS}), everyday=4))
def test_weights_that_are_none(
    layout: str, name: str, make: Break, adapters: Path, tmp_path: Path, predict: Predict
) -> None:
    make(copied(adapters / layout, tmp_path / layout) / name)
    predict(Path(layout)).refuses(layout)


@pytest.mark.parametrize(("layout", "name", "make"), sampled(*_cases(TENSORS, PERHAPS), everyday=1))
def test_weights_that_are_damaged(
    layout: str, name: str, make: Break, adapters: Path, tmp_path: Path, predict: Predict
) -> None:
    """Flipped bits of numbers that stay finite are another adapter."""
    make(copied(adapters / layout, tmp_path / layout) / name)
    predict(Path(layout)).answers_or_refuses(layout)


def _changed() -> tuple[list[Any], list[str]]:
    cases = [(layout, name, part) for layout, names in SETTINGS.items() for name in names for part in range(PARTS)]
    return cases, [f"{layout}/{name} {part}" for layout, name, part in cases]


@pytest.mark.parametrize(("layout", "name", "part"), sampled(*_changed(), everyday=1))
def test_a_setting_of_another_type(
    layout: str, name: str, part: int, adapters: Path, tmp_path: Path, predict: Predict
) -> None:
    path = copied(adapters / layout, tmp_path / layout) / name
    failed = []
    for what, content in list(mutations(json.loads(path.read_text()), values=6))[part::PARTS]:
        rewrite(path, content)
        try:
            predict(Path(layout)).answers_or_refuses(layout)
        except AssertionError as error:
            failed.append(f"{layout}/{name} {what}: {str(error).splitlines()[0]}")
    assert not failed, "\n".join(failed)


def _items() -> tuple[list[Any], list[str]]:
    found = {what: (json.dumps(content) + "\n").encode() for what, content in mutations(ITEM)}
    good = json.dumps(ITEM).encode()
    found |= {
        "not JSON": b"x\n",
        "not UTF-8": b"\xff" + good,
        "NaN": b'{"id": "1", "text": NaN}\n',
        "half a pair": b'{"id": "1", "text": "\\ud800"}\n',
        "deep": b'{"text": ' + b"[" * 100_000 + b"\n",
        "half of it": good[: len(good) // 2],
        "zeros": bytes(200),
        "twice in a line": good + good,
        "between carriage returns": good + b"\r" + good,
        "ten megabytes": b'{"id": "1", "text": "' + b"x" * 10_000_000 + b'"}\n',
        "a key twice": b'{"id": "1", "id": "2", "text": "a", "text_pair": "b"}\n',
    }
    return list(found.values()), list(found)


@pytest.mark.parametrize("content", sampled(*_items(), everyday=3))
def test_an_item(content: bytes, adapters: Path, tmp_path: Path, predict: Predict) -> None:
    """The message names file and line."""
    good = json.dumps(ITEM).encode() + b"\n"
    (tmp_path / "items.jsonl").write_bytes(good + content)
    outcome = predict(adapters / "peft")
    outcome.answers_or_refuses("items.jsonl:2: ", "items.jsonl: is not UTF-8")
    assert outcome.code in (0, 2) and bool(outcome.out) == (outcome.code == 0), "all or nothing"


@pytest.mark.parametrize("what", ["missing", "a directory", "a pipe", "an endless device", "a link to itself"])
@pytest.mark.slow
def test_no_file_of_items(what: str, adapters: Path, tmp_path: Path, predict: Predict) -> None:
    NEVER[what](tmp_path / "items.jsonl")
    predict(adapters / "peft").refuses("items.jsonl")
