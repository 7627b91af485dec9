"""What a report says of tuned merge weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from adapterx import report
from adapterx.report import merge_weights
from adapterx.report.table import markdown
from adapterx.store import Store
from tests.report.fake import Fake, write

GRID = Fake(
    backbones=("small",), intermediates=("none", "both"), transfers=("tuned",), seeds=(1, 2), merged=True, compare=False
)


def test_every_merged_target_tells_what_it_chose(tmp_path: Path) -> None:
    store = Store(tmp_path)
    analysis = report.analyse(store, write(store, GRID))
    table = merge_weights.table(merge_weights.weighed(analysis.results), analysis.results.run)
    assert table is not None
    assert markdown(table).splitlines() == [
        "**Merge weights, in the order of the members, and the mean over members of their dev scores (main metric, %)"
        " when merged so, before the target was trained (backbone small, method lora, intermediate both, transfer"
        " tuned, target choice, 2 candidates).**",
        "",
        "| seed | weights | dev | default |",
        "| --- | ---: | ---: | ---: |",
        "| 1 | 0.5 : 0.5 | 68.8 | 68.8 |",
        "| 2 | 0.25 : 0.75 | 75.0 | 68.8 |",
    ]


def test_page_markdown_and_json_say_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    directory = report.build(store, write(store, replace(GRID, tuned=True))).parent
    page = (directory / "index.html").read_text()
    assert page.count(">Tuning</h2>") == 1 and "0.25 : 0.75" in page and "successive halving" in page
    assert "| 2 | 0.25 : 0.75 | 75.0 | 68.8 |" in (directory / "report.md").read_text()
    assert "The target’s data had no part in it" in (directory / "report.md").read_text()
    _, second = json.loads((directory / "report.json").read_text())["merge_weights"]
    assert second == {
        "backbone": "small",
        "method": "lora",
        "intermediate": "both",
        "transfer": "tuned",
        "target": "choice",
        "seed": 2,
        "weights": [0.25, 0.75],
        "dev": 0.75,
        "dev_default": 0.6875,
        "candidates": 2,
    }


def test_nothing_is_said_where_weights_were_given(tmp_path: Path) -> None:
    store = Store(tmp_path)
    directory = report.build(store, write(store, replace(GRID, merged=False))).parent
    assert "Merge weights" not in (directory / "index.html").read_text()
    assert json.loads((directory / "report.json").read_text())["merge_weights"] == []
