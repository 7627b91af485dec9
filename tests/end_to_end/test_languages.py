"""MAD-X from the command line: language adapters below a task adapter, each language read through its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyarrow import parquet
from safetensors.torch import load_file

from adapterx.limits import Limit
from adapterx.tasks.catalog import find
from adapterx.tasks.data import load
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from tests.backbones.checkpoints import tokenizer
from tests.support.command import ROOT, adapterx
from tests.support.forge import forge

LANGUAGES = ["en", "de", "ru"]


def predictions(store: Path, cell: str) -> dict[str, list[list[float]]]:
    """Logits of each language."""
    (file,) = (store / "stages" / "evaluation").glob(f"{cell}-*/predictions.parquet")
    rows = parquet.read_table(file).to_pylist()
    return {code: [row["logits"] for row in rows if row["language"] == code] for code in LANGUAGES}


def test_language_adapters_take_turns(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path, store = (
        recipe(
            backbones={"small": str(json.loads(recipe().read_text())["backbones"]["small"])},
            methods={"task": {"kind": "bottleneck", "reduction_factor": 4}},
            intermediates={
                "languages": {
                    "tasks": "cldr-text",
                    "languages": LANGUAGES,
                    "per_language": True,
                    "method": {"kind": "bottleneck", "reduction_factor": 4, "invertible": "nice"},
                }
            },
            transfers=["stack"],
            targets={"latest": {"task": "time-latest", "languages": LANGUAGES}},
            seeds=[1],
            train={"learning_rate": 1e-2, "batch_size": 4, "steps": 4},
            compare=None,
        ),
        tmp_path / "store",
    )
    planned = adapterx("plan", path, "--store", store)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "1 cell → 4 trainings (3 intermediate, 1 target) and 1 evaluation" in planned.stdout
    run = adapterx("run", path, "--store", store)
    assert "trained 4 stages, evaluated 1" in run.stdout, run.stdout + run.stderr
    before = predictions(store, "small.task.languages.stack.latest.seed1")
    text = (store / "runs" / "grid" / "report" / "results.csv").read_text()
    assert all(f",{code}," in text for code in LANGUAGES)
    own = {code: _adapter(store, f"small.bottleneck.languages.{code}.seed1") for code in LANGUAGES}
    tensors = {code: load_file(file) for code, file in own.items()}
    assert any(name.startswith("embeddings.invertible.") for name in tensors["en"])
    assert any((tensors["en"][name] != tensors["de"][name]).any() for name in tensors["en"])
    target = load_file(_adapter(store, "small.task.languages.stack.latest.seed1", "target"))
    assert not any("invertible" in name for name in target)
    check_export(store, tmp_path, before)
    # Another German adapter changes what is read in German, and nothing else.
    forge(own["de"], {name: tensor + 0.5 for name, tensor in tensors["de"].items()})
    for directory in (store / "stages" / "evaluation").iterdir():
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
    again = adapterx("run", path, "--store", store)
    assert "trained 0 stages, evaluated 1" in again.stdout, again.stdout + again.stderr
    after = predictions(store, "small.task.languages.stack.latest.seed1")
    assert after["de"] != before["de"]
    assert (after["en"], after["ru"]) == (before["en"], before["ru"])


def check_export(store: Path, directory: Path, expected: dict[str, list[list[float]]]) -> None:
    """Every language's adapter leaves, and answers its own texts as in the run."""
    out = directory / "madx"
    cell: list[str | Path] = ["small.task.languages.stack", "--format", "adapterhub", "--store", store]
    done = adapterx("export", *cell, "--out", out)
    assert done.returncode == 0, done.stderr
    wanted = {"en": "intermediate", "de": "intermediate-de", "ru": "intermediate-ru"}
    assert json.loads((out / "adapterx.json").read_text())["languages"] == wanted
    for code in ("de", "en"):
        examples = choices(code, len(expected[code]))
        items = directory / f"{code}.jsonl"
        items.write_text("".join(json.dumps({"context": "", "choices": one.choices}) + "\n" for one in examples))
        answered = adapterx("predict", out, "--task", "time-latest", "--language", code, items)
        assert answered.returncode == 0, answered.stderr
        for line, logits in zip(answered.stdout.splitlines(), expected[code], strict=True):
            powers = np.exp(np.array(logits) - max(logits))
            np.testing.assert_allclose([*json.loads(line)["scores"].values()], powers / powers.sum(), atol=2e-4)
    try:
        import adapters  # noqa: F401
    except ImportError:
        pass  # its own tests skip visibly
    else:
        check_library(out, Path(json.loads((out / "adapterx.json").read_text())["model"]), expected["de"])
    lost = adapterx("predict", out, "--task", "time-latest", items)
    assert lost.returncode == 2 and "name it with --language, one of de, en, ru" in lost.stderr


def choices(code: str, count: int) -> list[ChoiceExample]:
    """The first test items of the target in a language."""
    found = load(find("time-latest"), "embedded", code, "test", Limit(count))
    return [one for one in found if isinstance(one, ChoiceExample)]


def check_library(out: Path, backbone: Path, expected: list[list[float]]) -> None:
    """The documented way to put another language's adapter below gives the run's own logits."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "export.md").read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "# language adapters" in block]
    names: dict[str, Any] = {}
    exec(code.replace("FacebookAI/xlm-roberta-base", str(backbone)).replace("DIR", str(out)), names)  # noqa: S102
    model, examples = names["model"].eval(), choices("de", len(expected))
    for one, logits in zip(examples, expected, strict=True):
        batch = tokenizer()(list(one.choices), padding=True, return_tensors="pt")
        with torch.no_grad():
            found = model(**{key: batch[key][None] for key in ("input_ids", "attention_mask")}).logits
        np.testing.assert_allclose(found.reshape(-1).numpy(), logits, atol=2e-5)


def _adapter(store: Path, label: str, kind: str = "intermediate") -> Path:
    (file,) = (store / "stages" / kind).glob(f"{label}-*/adapter.safetensors")
    return file
