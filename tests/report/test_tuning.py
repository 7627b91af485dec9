"""What a report says of chosen learning rates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from adapterx import report
from adapterx.report import tuning
from adapterx.report.table import markdown
from adapterx.store import Store
from tests.report.fake import Fake, write

GRID = Fake(backbones=("small",), intermediates=("none", "en"), seeds=(1, 2, 3), tuned=True, compare=False)


def test_every_arm_tells_what_its_seeds_chose(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sick = next(cell for cell in GRID.cells() if cell.intermediate == "none" and cell.seed == 3)
    analysis = report.analyse(store, write(store, replace(GRID, statuses={sick: "diverged"})))
    table = tuning.table(tuning.tuned(analysis.results), analysis.results.run)
    assert table is not None
    assert markdown(table).splitlines() == [
        "**Learning rates chosen by successive halving, by stage: how many seeds chose each candidate."
        " Dev data of the training languages alone decided (backbone small, method lora, 3 seeds).**",
        "",
        "| phase | intermediate | transfer | target | learning rate 0.0001 | learning rate 0.001 | learning rate 0.01"
        " | diverged | spent, % |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| target | none | none | choice | 0 | **1** | **1** | 3 | 44 |",
        "| intermediate | en | – | – | 0 | **1** | **2** | 0 | 58 |",
        "| target | en | continue | choice | 0 | **1** | **2** | 0 | 58 |",
        "",
        "Every stage of a phase and method had the same candidates, compared at the same shares of its training."
        " 5 of 8 choices lie at an end of their list: a better rate may lie beyond it."
        " 3 of 8 had the same dev score as a candidate that left, and came before it in the list.",
    ]


def test_page_markdown_and_json_say_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    directory = report.build(store, write(store, GRID)).parent
    assert ">Tuning</h2>" in (directory / "index.html").read_text()
    assert "## Tuning\n" in (directory / "report.md").read_text()
    assert "Test data had no part in the choice" in (directory / "report.md").read_text()
    first, *others = json.loads((directory / "report.json").read_text())["tuning"]
    assert len(others) == 2
    assert first == {
        "phase": "target",
        "backbone": "small",
        "method": "lora",
        "intermediate": "none",
        "transfer": "none",
        "target": "choice",
        "chosen": [
            {"learning_rate": 1e-4, "seeds": 0},
            {"learning_rate": 1e-3, "seeds": 1},
            {"learning_rate": 1e-2, "seeds": 2},
        ],
        "seeds": 3,
        "diverged_candidates": 0,
        "tied": 1,
        "spent": round(1.75 / 3, 6),
    }


def test_nothing_is_said_where_rates_were_given(tmp_path: Path) -> None:
    store = Store(tmp_path)
    directory = report.build(store, write(store, replace(GRID, tuned=False))).parent
    assert "Tuning" not in (directory / "index.html").read_text()
    assert "Tuning" not in (directory / "report.md").read_text()
    assert json.loads((directory / "report.json").read_text())["tuning"] == []
