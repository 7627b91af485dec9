"""Fused cells leave as AdapterHub's composed setups, and answer in the library and here as they did in the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors import safe_open

from adapterx.backbones.describe import describe
from adapterx.backbones.load import load
from adapterx.backbones.spec import Backbone
from adapterx.cli import main
from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.kinds.pair_classification import PairExample
from tests.end_to_end.fused import MODEL
from tests.end_to_end.test_export import command, compare, line, probabilities

CELLS = {"fusion": "small.seq.both.fusion.order.seed1", "low": "e5.seq.both.low.order.seed1"}


def stored(store: Path, cell: str) -> list[dict[str, Any]]:
    (path,) = (store / "stages" / "evaluation").glob(f"{cell}-*/predictions.parquet")
    return list(parquet.read_table(path).to_pylist())


@pytest.mark.parametrize("kind", CELLS)
def test_an_exported_fusion_answers_as_it_did_in_the_run(
    fused_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out, cell = tmp_path / "out", CELLS[kind]
    exported = command(capsys, "export", cell, "--format", "adapterhub", "--out", out, "--store", fused_store)
    # A module of the library's cannot be called `items`.
    assert exported == (0, f"{out / 'time'}\n{out / 'items-1'}\n", "")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "README.md",
        "adapter_setup.json",
        "adapterx.json",
        *(f"{part}/{file}" for part in ("time", "items-1") for file in ("adapter_config.json", "adapter.safetensors")),
        "time,items-1/adapter_fusion_config.json",
        "time,items-1/model_adapter_fusion.safetensors",
        "head/head_config.json",
        "head/model_head.safetensors",
    }
    spec = find("time-order")
    examples = data.load(spec, next(iter(spec.sources)), "de", "test", Limit(4))
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps(line(example), ensure_ascii=False) + "\n" for example in examples))
    code, printed, complaints = command(capsys, "predict", out, items, "--task", "time-order")
    assert (code, complaints) == (0, "")
    answers = [json.loads(one) for one in printed.splitlines()]
    compare(answers, stored(fused_store, cell), spec.labels, tagging=False)


@pytest.mark.slow
def test_the_library_gives_the_run_s_logits(
    fused_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("adapters")
    out, cell = tmp_path / "out", CELLS["low"]
    assert command(capsys, "export", cell, "--format", "adapterhub", "--out", out, "--store", fused_store)[0] == 0
    backbone = Backbone(model=MODEL)
    loaded = load(backbone, describe(backbone), "cpu")
    there = library.XLMRobertaAdapterModel(loaded.model.config)
    there.roberta.load_state_dict(loaded.model.state_dict(), strict=False)
    composed, head = there.load_adapter_setup(str(out), use_safetensors=True, set_active=True)
    assert (list(composed), head) == (["time", "items-1"], "head")
    spec = find("time-order")
    rows = stored(fused_store, cell)
    for example, row in zip(data.load(spec, next(iter(spec.sources)), "de", "test", Limit(4)), rows, strict=True):
        assert isinstance(example, PairExample)
        given = loaded.tokenizer(example.text, example.text_pair, truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            logits = there.eval()(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits
        np.testing.assert_allclose(logits[0].numpy(), row["logits"], atol=1e-5)
    assert not np.allclose(probabilities(np.array([rows[0]["logits"]])), 1 / 3, atol=1e-3)


def test_what_does_not_fit_is_refused(fused_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    export: list[str | Path] = ["export", CELLS["fusion"], "--store", fused_store, "--out", out, "--format"]
    code, _, complaints = command(capsys, *export, "peft")
    assert code == 2 and "peft has no AdapterFusion" in complaints and not list(tmp_path.iterdir())
    assert command(capsys, *export, "adapterhub")[0] == 0
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "heute"}\n')

    def refused() -> str:
        code, printed, complaints = command(capsys, "predict", out, items, "--task", "time-order")
        assert (code, printed) == (2, "")
        return complaints

    known = json.loads((out / "adapterx.json").read_text())
    (out / "adapterx.json").write_text(json.dumps({**known, "adapters": ["items-1", "time"]}))
    assert "names the adapters items-1, time, adapter_setup.json beside it time, items-1" in refused()
    (out / "adapterx.json").write_text(json.dumps(known))
    (out / "head").rename(out / "elsewhere")
    assert "head_config.json is missing" in refused()
    (out / "time,items-1").rename(out / "other")
    assert "there is no directory" in refused()


def test_a_stack_of_another_name_is_still_two_adapters(fused_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export = [
        "export",
        "small.seq.time.above",
        "--format",
        "adapterhub",
        "--out",
        str(out),
        "--store",
        str(fused_store),
    ]
    assert main(export) == 0
    for part in ("intermediate", "target"):
        with safe_open(out / part / "adapter.safetensors", "pt") as file:
            assert len(list(file.keys())) == 12
