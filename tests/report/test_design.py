"""What a plan can tell before it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx import cli
from adapterx.report import analyse
from adapterx.report.contrasts import slope_weights
from adapterx.report.design import DISAGREEMENT, design, stated, stored
from adapterx.report.power import Spread, smallest
from adapterx.store import Store
from tests.plan.conftest import Planner, backbones, planned, tasks  # noqa: F401
from tests.report.fake import Fake, write
from tests.test_cli import recipe  # noqa: F401

COMPARE = {"arm": "multi", "baseline": "en"}


def test_more_seeds_find_less(planned: Planner) -> None:  # noqa: F811
    few, many = (design(planned(seeds=seeds, compare=COMPARE)) for seeds in ([1, 2], [1, 2, 3, 4, 5]))
    assert [one.target for one in few] == [one.target for one in many]
    for one, other in zip(few, many, strict=True):
        assert (one.seeds, other.seeds) == (2, 5)
        assert other.gap < one.gap
        assert one.change is not None and other.change is not None and other.change < one.change
        assert one.slope is None and "points with one backbone, a change of" in one.words


def test_a_wanted_gap_takes_seeds_or_cannot_be_had(planned: Planner) -> None:  # noqa: F811
    plan = planned(seeds=[1, 2], compare=COMPARE)
    large = design(plan, wanted=0.9)
    assert all(one.seeds_wanted == 2 and one.words.endswith("a gap of 90 points takes 2 seeds") for one in large)
    small = design(plan, wanted=0.0001)
    assert all(one.words.endswith("a gap of 0.01 points takes no number of seeds") for one in small)


def test_without_a_comparison_there_is_nothing_to_find(planned: Planner) -> None:  # noqa: F811
    assert design(planned(compare=None)) == ()


def test_one_seed_finds_what_is_about_the_models(planned: Planner) -> None:  # noqa: F811
    (one, *_) = design(planned(seeds=[1], compare=COMPARE))
    assert "of these trained models" in one.source
    items = stated(1.0, one.languages).item / one.items
    assert one.gap == pytest.approx(smallest(Spread(items, 0.0, 0.0, 0.0, one.items, 1)))


def test_what_is_supposed_is_spelt_out() -> None:
    one = stated(2.0, 4, parallel=False)
    assert one.item == pytest.approx(DISAGREEMENT / 4) and one.training == pytest.approx(2 * 0.02**2)
    assert one.source == "supposing that trainings scatter by 2 points and arms differ on 20% of the items"
    assert stated(2.0, 4).item > one.item


def test_a_run_says_how_items_scatter(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fake = Fake(seeds=(1, 2, 3), items=400, accuracy=lambda cell, _: 0.5)
    found = stored(analyse(store, write(store, fake)))["choice"]
    # Independent guesses: a difference of two has the variance 1/2 an item, over 2 languages and 3 seeds.
    assert found.item == pytest.approx(0.5 / 2 / 3, rel=0.25)
    assert found.training < 1e-3 and found.source == "as the run “fake” scattered"


def test_weights_of_two_sizes_are_a_difference() -> None:
    assert slope_weights([10, 40]) == pytest.approx([-1, 1])


def test_the_plan_prints_it(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    recipe.write_text(recipe.read_text() + "compare: {arm: en, baseline: none}\nseeds: [1, 2, 3]\n")
    assert cli.main(["plan", str(recipe), "--detect", "3", "--seed-sd", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "power: The smallest gap that is found with a probability of 80%, supposing that trainings scatter by 2" in said
    )
    assert "a gap of 3 points takes" in said


def test_points_are_points(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert cli.main(["plan", str(recipe), "--detect", "-1"]) == 2
    assert "--detect -1: should be points" in capsys.readouterr().err


def test_of_a_single_item_nothing_is_foretold(planned: Planner) -> None:  # noqa: F811
    assert design(planned(seeds=[1], compare=COMPARE, evaluate={"limit": 1})) == ()
    assert design(planned(seeds=[1], compare=COMPARE, evaluate={"limit": 2}))
