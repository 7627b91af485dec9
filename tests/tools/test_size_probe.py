"""Small sizes go through the probe as the real ones do; its times and megabytes are no test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterx.backbones.load import load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.spec import Backbone
from tools.size_probe import probe
from tools.sizes import page, shapes
from tools.sizes.shapes import SIZES, Size
from tools.sizes.worker import errors, numbers

SMALL = {
    "xlm-roberta": Size("xlm-roberta", 2, 64, 4, 128, 300),
    "xlm-roberta-xl": Size("xlm-roberta-xl", 3, 64, 4, 128, 300),
}


def test_sizes_have_as_many_parameters_as_published() -> None:
    # Conneau et al. 2020 (270 M, 550 M) and Goyal et al. 2021 (3.5 B, 10.7 B).
    from math import prod

    from adapterx.backbones.sizes import tensors

    counts = {name: sum(prod(shape) for _, shape in tensors(size.config())) / 1e6 for name, size in SIZES.items()}
    assert counts == pytest.approx({"base": 277.5, "large": 558.8, "xl": 3475.0, "xxl": 10690.0}, rel=0.01)
    assert Size.of("xl", 4).num_hidden_layers == 4 and Size.of("xl", 4).whole == 36


@pytest.mark.parametrize("architecture", SMALL)
def test_a_checkpoint_in_shards_is_loaded_and_compared(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "SHARD", 100_000)
    SMALL[architecture].write(tmp_path / "model")
    assert len(list((tmp_path / "model").glob("model-*.safetensors"))) > 1
    exact = load(Backbone(model=str(tmp_path / "model")))
    assert errors(exact, tmp_path / "exact") == {
        "layer_error": 0.0,
        "logit_error": 0.0,
        "gradient_cosine": pytest.approx(1.0, abs=1e-6),
    }
    rounded = errors(load(Backbone(model=str(tmp_path / "model"), load="int8-rows")), tmp_path / "exact")
    assert 0 < rounded["layer_error"] < 0.1 and 0 < rounded["logit_error"] < 0.1
    assert 0.98 < rounded["gradient_cosine"] < 1.0
    found = numbers(PackedEncoder(exact.model))
    assert [name for name in found if name.startswith("layer")] == [
        f"layer{number}" for number in range(1, SMALL[architecture].num_hidden_layers + 1)
    ]


@pytest.mark.slow
@pytest.mark.long
def test_a_size_is_probed_in_processes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiny", SMALL["xlm-roberta"])
    rows = probe("tiny", 1, ["float32", "bfloat16", "fp8"], "cpu", tmp_path)
    assert [row["precision"] for row in rows] == ["float32", "bfloat16", "fp8"]
    assert rows[2]["skipped"] == "needs a GPU"
    assert all(row["train_tokens"] > 0 and row["load_peak"] >= row["kept"] for row in rows[:2])
    text = page.text(rows, page.machine(rows, 0.0))
    assert "## tiny, 1 of its 2 layers: 0 million parameters, 16 texts" in text and "| fp8 | needs a GPU |" in text
    assert json.dumps(rows)


def test_the_page_names_what_failed() -> None:
    row: dict[str, Any] = {"size": "xl", "layers": None, "whole": 36, "precision": "nf4", "failed": "no memory"}
    found = {
        "device": "cpu",
        "processor": "a processor",
        "threads": 2,
        "torch": "2",
        "commit": "0123456789",
        "load": 9.0,
    }
    assert "| nf4 | no memory |" in page.text([row], found)
    assert "other programs were at work" in page.text([row], found)
    assert page.line(row).endswith("no memory")
    assert page.file_name(found) == "sizes-a-processor"
