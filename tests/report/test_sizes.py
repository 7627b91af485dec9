"""The gap as a function of size, on runs whose truth is made up: slope, strength, equivalence, and what was lacking."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse, answer
from adapterx.report.contrasts import Contrast, slope_weights
from adapterx.report.statistics import Estimate
from adapterx.report.undecided import needed
from adapterx.store import Store
from tests.report.fake import Fake, write

THREE = ("small", "medium", "large")
Ask = Callable[..., Analysis]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Analyse a made-up run of three sizes in which the arm gains what is said of each."""

    def made(gains: Mapping[str, float], *, delta: float = 1.0, apart: float = 0.0, **changes: object) -> Analysis:
        def accuracy(cell: Cell, language: str) -> float:
            moved = apart * (cell.seed - 2) * (1 if cell.intermediate == "multi" else -1)
            return 0.45 + moved + (gains[cell.backbone] if cell.intermediate == "multi" else 0.0)

        given = {"backbones": THREE, "seeds": (1, 2, 3), "items": 400, "accuracy": accuracy, **changes}
        store = Store(tmp_path / f"{len(list(tmp_path.iterdir()))}")
        run = write(store, Fake(**given))  # type: ignore[arg-type]
        content = json.loads((run / "run.json").read_text())
        content["recipe"]["compare"]["delta"] = delta
        (run / "run.json").write_text(json.dumps(content))
        return analyse(store, run)

    return made


def only(analysis: Analysis) -> Contrast:
    assert analysis.overall is not None
    (one,) = analysis.overall.contrasts
    return one


def test_a_shrinking_gap_has_a_slope_with_its_strength(ask: Ask) -> None:
    said = answer.answer(ask({"small": 0.45, "medium": 0.3, "large": 0.15}))
    assert said.startswith("The gap narrows as the backbone grows: it is +")
    assert " points with small, +" in said and " with medium and +" in said
    assert ", a slope of −" in said and " points per doubling of the parameters along the line fitted to all" in said
    assert said.endswith("sizes. The evidence is very strong (p < 0.001).")


def test_a_growing_gap(ask: Ask) -> None:
    said = answer.answer(ask({"small": 0.1, "medium": 0.25, "large": 0.4}))
    assert said.startswith("The gap widens as the backbone grows") and ", a slope of +" in said


def test_a_constant_gap_is_equivalent_within_delta(ask: Ask) -> None:
    same = dict.fromkeys(THREE, 0.2)
    analysis = ask(same, delta=8.0, random=3)
    assert analysis.overall is not None and analysis.overall.verdicts == ("flat",)
    said = answer.answer(analysis)
    assert said.startswith("The gap hardly changes as the backbone grows: it is +")
    assert said.endswith("sizes, is less than 8 points per doubling of the parameters either way.")
    one = only(analysis)
    assert isinstance(one.slope, Estimate) and max(-one.slope.low, one.slope.high) < 0.08
    assert one.exceeds is not None and one.exceeds <= 0.025


def test_what_cannot_be_told_says_what_would_tell_it(ask: Ask) -> None:
    analysis = ask(dict.fromkeys(THREE, 0.2), apart=0.03)
    said = answer.answer(analysis)
    assert said.startswith("Whether the gap changes with size is not resolved by this run")
    assert "the interval of the slope, " in said
    assert " A change of 1 point per doubling of the parameters (" in said and " would take " in said
    wanted = needed(only(analysis))
    assert wanted is not None and wanted.found > wanted.margin
    assert said.endswith(f"this design finds {100 * wanted.found:.1f} points, at least, with a probability of 80%.")


def test_a_collapsed_arm_leaves_the_slope_missing(ask: Ask) -> None:
    lost = {Cell("medium", "lora", "multi", "continue", "choice", seed): "collapsed" for seed in (1, 2, 3)}
    analysis = ask(dict.fromkeys(THREE, 0.2), statuses=lost)
    assert answer.answer(analysis).startswith("Not answered by this run: medium.lora.multi")
    assert "collapsed" in answer.answer(analysis)


def test_one_seed_says_nothing_of_training(ask: Ask) -> None:
    analysis = ask({"small": 0.2, "medium": 0.21, "large": 0.19}, seeds=(1,), items=100)
    said = answer.answer(analysis)
    assert said.startswith("Of these trained models only, one seed each: whether the gap changes with size is not")
    assert said.endswith("That is about these trained models; two seeds, at least, tell of training.")


def test_the_slope_is_that_of_least_squares(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "medium": 0.3, "large": 0.1})
    one = only(analysis)
    sizes = np.log2([level.parameters for level, _ in one.at])
    values = [gap.value for _, gap in one.at if isinstance(gap, Estimate)]
    fitted = sm.OLS(values, sm.add_constant(sizes)).fit()
    assert isinstance(one.slope, Estimate)
    assert one.slope.value == pytest.approx(fitted.params[1], rel=1e-6)
    weights = slope_weights([level.parameters for level, _ in one.at])
    assert np.dot(weights, sizes) == pytest.approx(sizes[-1] - sizes[0]) and sum(weights) == pytest.approx(0)
