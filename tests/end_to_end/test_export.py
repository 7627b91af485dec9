"""A run's cells leave as adapters, and answer new items as they did in the run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file

from adapterx.cli import main
from adapterx.limits import Limit
from adapterx.tasks.catalog import find
from adapterx.tasks.data import load
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from tests.backbones.checkpoints import save, tokenizer
from tests.support.command import ROOT, adapterx, environment

LANGUAGE = "de"
MODEL_INPUTS = ("input_ids", "attention_mask")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Path:
    """The store of a small run, and of another of the same cells: every format of task and kind of method."""
    root = tmp_path_factory.mktemp("exports")
    content = {
        "adapterx": 1,
        "name": "grid",
        "backbones": {"small": str(checkpoints["small"])},
        "methods": {
            "lora": {"kind": "lora", "rank": 4, "layers": "top-2"},
            "seq": {"kind": "bottleneck", "reduction_factor": 4},
            "par": {"kind": "bottleneck", "placement": "parallel"},
            "ia3": {"kind": "ia3"},
        },
        "intermediates": {"none": None, "en": {"tasks": "place-match"}},
        "transfers": ["stack"],
        "targets": {
            "order": {"task": "time-order", "languages": [LANGUAGE]},
            "mentions": {"task": "time-mentions", "languages": [LANGUAGE]},
            "choice": {"task": "place-choice", "languages": [LANGUAGE]},
        },
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 3, "limit": 12, "max_length": 32},
        "evaluate": {"limit": 4, "bootstrap": 100},
        "skip": [
            {"intermediates": "en", "targets": ["mentions", "choice"]},
            {"methods": ["par", "ia3"], "targets": ["mentions", "choice"]},
            {"methods": "seq", "targets": "order", "intermediates": "none"},
        ],
    }
    path = root / "grid.yaml"
    path.write_text(json.dumps(content))
    done = adapterx("run", path, "--store", root / "store")
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stdout + done.stderr
    (root / "store" / "runs" / "other").mkdir()
    copy(root / "store" / "runs" / "grid" / "run.json", root / "store" / "runs" / "other")
    return root / "store"


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output and complaints of a command, run in this process."""
    code = main([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


def line(example: Example) -> dict[str, Any]:
    if isinstance(example, PairExample):
        pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
        return {"id": example.id, "text": example.text, **pair}
    if isinstance(example, ChoiceExample):
        return {"id": example.id, "context": example.context, "choices": example.choices, "label": example.label}
    assert isinstance(example, TaggingExample)
    return {"id": example.id, "words": example.words}


CELLS = [
    ("small.lora.none.order.seed1", "peft", "time-order"),
    ("small.lora.none.order.seed1", "adapterhub", "time-order"),
    ("small.lora.en.stack.order.seed1", "peft", "time-order"),
    ("small.seq.en.stack.order.seed1", "adapterhub", "time-order"),
    ("small.par.none.order.seed1", "adapterhub", "time-order"),
    ("small.ia3.none.order.seed1", "peft", "time-order"),
    ("small.ia3.en.stack.order.seed1", "peft", "time-order"),
    ("small.lora.none.mentions.seed1", "peft", "time-mentions"),
    ("small.seq.none.mentions.seed1", "adapterhub", "time-mentions"),
    ("small.lora.none.choice.seed1", "peft", "place-choice"),
    ("small.seq.none.choice.seed1", "adapterhub", "place-choice"),
]


@pytest.mark.parametrize(("cell", "layout", "task"), CELLS)
def test_an_exported_cell_answers_as_it_did_in_the_run(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, layout: str, task: str
) -> None:
    out = tmp_path / "new" / "out"
    code, printed, complaints = command(
        capsys, "export", cell, "--run", "grid", "--format", layout, "--out", out, "--store", store
    )
    assert (code, complaints) == (0, "")
    parts = ["intermediate", "target"] if "stack" in cell else ["."]
    assert printed.splitlines() == [str(out / part) for part in parts]
    metadata = json.loads((out / "adapterx.json").read_text())
    assert (metadata["recipe"], metadata["cell"], metadata["task"]) == ("grid", cell, task)
    assert [path.name for path in out.parent.iterdir()] == ["out"]

    spec = find(task)
    examples = load(spec, next(iter(spec.sources)), LANGUAGE, "test", Limit(4))
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps(line(example), ensure_ascii=False) + "\n" for example in examples))
    code, printed, complaints = command(capsys, "predict", out, items, "--task", task, "--language", LANGUAGE)
    assert (code, complaints) == (0, "")
    answers = [json.loads(one) for one in printed.splitlines()]
    assert [answer["id"] for answer in answers] == [example.id for example in examples]
    assert {answer["language"] for answer in answers} == {LANGUAGE}
    compare(answers, stored(store, cell), spec.labels, tagging=spec.format == "tagging")


def stored(store: Path, cell: str) -> list[dict[str, Any]]:
    run = json.loads((store / "runs" / "grid" / "run.json").read_text())
    ids = [entry["stages"]["evaluation"] for entry in run["cells"]]
    (stage,) = [ref for ref in ids if ref["slug"] == cell]
    (path,) = (store / "stages" / "evaluation").glob(f"*-{stage['id'][:12]}/predictions.parquet")
    return list(parquet.read_table(path).to_pylist())


def compare(answers: list[dict[str, Any]], rows: list[dict[str, Any]], labels: tuple[str, ...], tagging: bool) -> None:
    """Labels and probabilities are those of the stored predictions."""
    for answer, row in zip(answers, rows, strict=True):
        assert answer["id"] == row["id"]
        given = answer["label"] if tagging else [answer["label"]]
        scores = answer["scores"] if tagging else [answer["scores"]]
        assert given == [labels[place] for place in row["prediction"]]
        assert all(tuple(one) == labels[: len(one)] for one in scores)
        logits = np.reshape(row["logits"], (len(given), -1))
        np.testing.assert_allclose([list(one.values()) for one in scores], probabilities(logits), atol=2e-6)


def probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


LOADED = {
    "peft": ("peft", "a classifier", "small.lora.none.order"),
    "peft-other-head": ("peft", "any other head", "small.lora.none.choice"),
    "peft-stack": ("peft", "a stack", "small.lora.en"),
    "adapters": ("adapters", "with its head", "small.seq.none.choice"),
    "adapters-stack": ("adapters", "a stack", "small.seq.en"),
}


@pytest.mark.parametrize("way", LOADED)
def test_the_libraries_load_them_as_documented(
    exported: Callable[[str, str], Path], checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str], way: str
) -> None:
    """The page's own code, with other names; its logits are those that `predict` makes probabilities of."""
    library, marker, cell = LOADED[way]
    pytest.importorskip(library)
    stacked = way.endswith("stack")
    out = exported(cell, "peft" if library == "peft" else "adapterhub")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "export.md").read_text(), re.DOTALL)
    (code,) = [block for block in blocks if f"from {library} import" in block and f"# {marker}" in block]
    names: dict[str, Any] = {}
    exec(code.replace("FacebookAI/xlm-roberta-base", str(checkpoints["small"])).replace("DIR", str(out)), names)  # noqa: S102
    item = {"context": "the cat", "choices": ["a", "the", "cat", "b"]}
    texts = [(item["context"], choice) for choice in item["choices"]]
    if "choice" not in cell:
        item = {"text": "the cat", "text_pair": "b"}
        texts = [("the cat", "b")]
    batch = tokenizer()([text for text, _ in texts], [pair for _, pair in texts], padding=True, return_tensors="pt")
    task = json.loads((out / "adapterx.json").read_text())["task"]
    (out.parent / "items.jsonl").write_text(json.dumps(item))
    capsys.readouterr()  # a library may show its progress
    code, printed, complaints = command(capsys, "predict", out, out.parent / "items.jsonl", "--task", task)
    assert (code, complaints) == (0, "")
    expected = list(json.loads(printed)["scores"].values())
    logits = library_logits(names["model"].eval(), batch, out / "target" if stacked else out)
    np.testing.assert_allclose(probabilities(logits.reshape(1, -1)), [expected], atol=2e-6)


def library_logits(model: Any, batch: Any, directory: Path) -> np.ndarray:
    """Of the library's head, or of ours on what the encoder gives."""
    with torch.no_grad():
        if not (directory / "head.safetensors").exists() and not (directory / "model_head.safetensors").exists():
            return np.asarray(model(**{key: batch[key] for key in MODEL_INPUTS}).logits.numpy())
        if (directory / "model_head.safetensors").exists():
            choices = {key: batch[key][None] if len(batch[key]) > 1 else batch[key] for key in MODEL_INPUTS}
            return np.asarray(model(**choices).logits.numpy())
        head = load_file(directory / "head.safetensors")
        first = model(**{key: batch[key] for key in MODEL_INPUTS}).last_hidden_state[:, 0]
        inner = torch.tanh(first @ head["dense.weight"].T + head["dense.bias"])
        return (inner @ head["output.weight"].T + head["output.bias"]).numpy()


def test_adapters_of_the_library_answer_too(
    checkpoints: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("adapters")
    there = library.XLMRobertaAdapterModel.from_pretrained(str(checkpoints["small"]))
    for name in ("below", "above"):
        there.add_adapter(name, config="double_seq_bn")
    labels = dict(enumerate(find("time-order").labels))
    there.add_classification_head("orders", num_labels=3, id2label=labels)
    stack = library.Stack("below", "above")
    there.set_active_adapters(stack)
    there.active_head = "orders"
    torch.manual_seed(5)
    for parameter in [*there.heads.parameters(), *(p for key, p in there.named_parameters() if "adapters" in key)]:
        parameter.data.normal_(0.0, 0.3)
    out = tmp_path / "setup"
    there.save_adapter_setup(str(out), stack, head_setup="orders", use_safetensors=True)
    (tmp_path / "items.jsonl").write_text('{"text": "the cat", "text_pair": "b"}')
    ask: list[str | Path] = [
        "predict",
        out,
        tmp_path / "items.jsonl",
        "--task",
        "time-order",
        "--backbone",
        checkpoints["small"],
    ]
    code, printed, complaints = command(capsys, *ask)
    assert (code, complaints) == (0, "")
    batch = tokenizer()("the cat", "b", return_tensors="pt")
    expected = probabilities(library_logits(there.eval(), batch, out / "orders"))
    np.testing.assert_allclose([list(json.loads(printed)["scores"].values())], expected, atol=2e-6)

    fuse = library.Fuse("below", "above")
    there.add_adapter_fusion(fuse, set_active=True)
    there.active_head = "orders"
    for parameter in (parameter for key, parameter in there.named_parameters() if "fusion" in key):
        parameter.data.normal_(0.0, 0.3)
    out = tmp_path / "fused"
    there.save_adapter_setup(str(out), fuse, head_setup="orders", use_safetensors=True)
    ask[1] = out
    code, printed, complaints = command(capsys, *ask)
    assert (code, complaints) == (0, "")
    fused = probabilities(library_logits(there.eval(), batch, out / "orders"))
    np.testing.assert_allclose([list(json.loads(printed)["scores"].values())], fused, atol=2e-6)
    assert not np.allclose(fused, expected, atol=1e-3)


@pytest.mark.slow
def test_items_come_through_standard_input_of_the_real_command(exported: Callable[[str, str], Path]) -> None:
    out = exported("small.par.none", "adapterhub")
    ask = [sys.executable, "-m", "adapterx", "predict", str(out), "--task", "time-order"]
    text = '{"text": "gestern"}\n\n{"id": "ä", "text": "heute", "label": "x"}\n'
    plain = {"PYTHONIOENCODING": "ascii"}  # of the answers; what it lacks must not get lost
    done = subprocess.run(ask, input=text, capture_output=True, text=True, env=environment(**plain), check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(one)["id"] for one in done.stdout.splitlines()] == ["1", "ä"]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no-cell": (["small.lora.none.orde.seed1"], "has no cell 'small.lora.none.orde.seed1' (did you mean 'small.lora"),
    "several": (["small.lora"], "'small.lora' begins 4 cells of the run 'grid': small.lora.none.order.seed1,"),
    "no-run": (["small.lora", "--run", "gird"], "no run 'gird'"),
    "which-run": (["small.par.none", "--run", ""], "has 2 runs: name one of grid, other with --run"),
    "bottleneck": (["small.par.none", "--format", "peft"], "peft has no bottleneck adapters"),
    "no-codec": (["small.ia3.none", "--format", "adapterhub"], "is no adapter that adapters 1.3.0 has files for"),
    "stacked-lora": (["small.lora.en"], "composes stacked LoRA instead of adding"),
    "stacked-parallel": (["small.par.en"], "of several parallel adapters"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_exported(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    arguments, message = MISTAKES[name]
    given = ["--run", "grid", "--format", "adapterhub", "--out", str(tmp_path / "out"), "--store", str(store)]
    if arguments[-2:] == ["--run", ""]:
        arguments, given = arguments[:1], given[2:]
    code, printed, complaints = command(capsys, "export", *given, *arguments)
    assert (code, printed) == (2, "")
    assert message in complaints
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: list[str | Path] = [
        "export",
        "small.lora.none.o",
        "--run",
        "grid",
        "--format",
        "peft",
        "--store",
        store,
        "--out",
    ]
    (tmp_path / "mine.txt").write_text("mine")
    code, _, complaints = command(capsys, *arguments, tmp_path)
    assert code == 2 and "is not empty, and nothing is ever overwritten" in complaints
    code, _, complaints = command(capsys, *arguments, tmp_path / "mine.txt")
    assert code == 2 and "is a file" in complaints
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert command(capsys, *arguments, tmp_path / "empty")[0] == 0
    assert (tmp_path / "empty" / "head_config.json").is_file()


@pytest.fixture
def exported(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], Path]:
    def export(cell: str, layout: str) -> Path:
        out = tmp_path / "adapter"
        assert (
            command(capsys, "export", cell, "--run", "grid", "--format", layout, "--out", out, "--store", store)[0] == 0
        )
        return out

    return export


def test_what_cannot_be_answered(
    exported: Callable[[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = exported("small.lora.none.order", "adapterhub")
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "heute"}\n')

    def refused(*arguments: str | Path) -> str:
        code, printed, complaints = command(capsys, "predict", *arguments)
        assert (code, printed) == (2, "")
        return complaints

    assert "no task 'time-orde'" in refused(out, items, "--task", "time-orde")
    assert "answers pair-classification, but the task 'udpos' is tagging" in refused(out, items, "--task", "udpos")
    assert "those of the task 'xnli'" in refused(out, items, "--task", "xnli")
    assert "no such file" in refused(out, tmp_path / "absent.jsonl", "--task", "time-order").lower()
    items.write_text('{"text": "heute"}\n{"text_pair": "morgen"}\n')
    assert "items.jsonl:2: lacks the field 'text'" in refused(out, items, "--task", "time-order")
    items.write_bytes(b"\xff\xfe")
    assert "is UTF-16, not UTF-8 text" in refused(out, items, "--task", "time-order")
    other = save(tmp_path / "wide", "xlm-roberta-xl")
    assert "the backbone is xlm-roberta-xl with 3 layers" in refused(
        out, items, "--task", "time-order", "--backbone", other
    )
    (out / "model_head.safetensors").unlink()
    assert "has no prediction head" in refused(out, items, "--task", "time-order")
    # The backbone is known without adapterx's own file, as the library's names it, until that says nothing either.
    (out / "adapterx.json").unlink()
    assert "has no prediction head" in refused(out, items, "--task", "time-order")
    config = json.loads((out / "adapter_config.json").read_text())
    (out / "adapter_config.json").write_text(json.dumps({**config, "model_name": None}))
    assert "its adapter_config.json names no model, so name the one" in refused(out, items, "--task", "time-order")
    assert "there is no directory" in refused(tmp_path / "nowhere", items, "--task", "time-order")


def test_a_backbone_that_has_changed_is_told(
    exported: Callable[[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = exported("small.lora.none.order", "peft")
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "heute"}\n')
    changed = save(tmp_path / "changed", seed=7)
    path = out / "adapterx.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": str(changed)}))
    code, _, complaints = command(capsys, "predict", out, items, "--task", "time-order")
    assert code == 2 and "is not what it was" in complaints
    assert command(capsys, "predict", out, items, "--task", "time-order", "--backbone", changed)[0] == 0
    path.write_text(json.dumps({**json.loads(path.read_text()), "adapters": ["../elsewhere"]}))
    code, _, complaints = command(capsys, "predict", out, items, "--task", "time-order")
    assert code == 2 and "adapters is ['../elsewhere']" in complaints
    path.unlink()
    assert command(capsys, "predict", out, items, "--task", "time-order", "--backbone", changed)[0] == 0
