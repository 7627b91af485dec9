"""Real benchmark files through the real command line. Skipped where $ADAPTERX_DATA (../shared/data) is absent."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import ROOT, adapterx, environment

DATA = Path(os.environ.get("ADAPTERX_DATA") or ROOT.parent / "shared" / "data").resolve()

pytestmark = pytest.mark.skipif(not (DATA / "xnli").is_dir(), reason=f"no benchmark files in {DATA}")


@pytest.mark.slow
def test_a_grid_over_xnli_udpos_and_xcopa(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe(
        methods={"parallel": {"kind": "bottleneck", "placement": "parallel"}},
        intermediates={"both": {"tasks": ["lingnli", "udpos"], "source": "local"}},
        transfers=["continue"],
        targets={
            "xnli": {"task": "xnli", "train_task": "lingnli", "source": "local", "languages": ["en", "sw", "th"]},
            "udpos": {"task": "udpos", "source": "local", "languages": ["en", "zh"]},
            "xcopa": {"task": "xcopa", "source": "local", "languages": ["en", "qu"]},
        },
        train={
            "learning_rate": 1e-3,
            "batch_size": 4,
            "steps": 3,
            "limit": 24,
            "early_stopping": {"every": 2, "patience": 1, "limit": 8},
        },
        seeds=[1],
        compare=None,
    )
    run = adapterx("run", path, "--store", tmp_path / "store", env=environment(ADAPTERX_DATA=str(DATA)))
    # Three steps on a random encoder teach nothing: cells may collapse (exit code 1), but each was evaluated.
    assert run.returncode in (0, 1), run.stderr
    assert "trained 8 stages, evaluated 6" in run.stdout, run.stdout + run.stderr
    with (tmp_path / "store" / "runs" / "grid" / "report" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["target"], row["language"]) for row in rows}
    assert found >= {("xnli", "sw"), ("xnli", "th"), ("udpos", "zh"), ("xcopa", "qu")}
    assert {row["metric"] for row in rows if row["target"] == "udpos"} == {"span_f1", "accuracy"}


OWN = """\
adapterx: 1
name: german-nli
description: Training data that it should not be.
format: pair-classification
labels: [entailment, neutral, contradiction]
metrics: [accuracy]
languages: [de, en]
licence: CC BY-NC 4.0
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, text_pair: 1}
    splits:
      train: {paths: "xnli/test-{language}.tsv", labels: xnli/test-labels.txt, languages: [de]}
"""


@pytest.mark.slow
def test_training_on_a_translation_of_the_test_set_is_refused(recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "german-nli.yaml").write_text(OWN, encoding="utf-8")
    path = recipe(
        intermediates={
            "none": None,
            "leak": {"tasks": "german-nli", "languages": "de"},
            "same": {"tasks": "lingnli"},
        },
        targets={"xnli": {"task": "xnli", "train_task": "lingnli", "languages": ["en", "sw"]}},
        compare=None,
    )
    plan = adapterx("plan", path, "--store", tmp_path / "store", env=environment(ADAPTERX_DATA=str(DATA)))
    said = " ".join(plan.stdout.split())
    assert plan.returncode == 1, plan.stderr
    assert "refused: 8 of them (small.lora.leak.continue.xnli.seed1, …): training on 'german-nli' leaks into" in said
    assert re.search(r"test set of .xnli.: (5,\d+) of the \1 test items of .xnli. in de are also training items", said)
    assert "target training: same → xnli" in said
