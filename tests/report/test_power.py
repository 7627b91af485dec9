"""What a design can tell, beside statsmodels and beside a simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from adapterx.report.power import Spread, items_needed, power, seeds_needed, smallest
from adapterx.report.statistics import half_width

MANY = 10**9


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_without_an_items_part_it_is_the_power_of_a_t_test(seeds: int) -> None:
    of = Spread(0.0, 1 / seeds, 0.0, seeds - 1, MANY, seeds)
    known = TTestPower()
    wanted = known.solve_power(nobs=seeds, power=0.8, alpha=0.05, alternative="two-sided")
    assert smallest(of) == pytest.approx(wanted, rel=0.01)  # degrees of freedom are rounded down by 1 %, at most
    assert power(of, 1.0) == pytest.approx(known.power(1.0, seeds, 0.05), abs=0.005)


def test_with_items_alone_it_is_that_of_the_normal_distribution() -> None:
    assert smallest(Spread(0.04, 0.0, 0.0, 0.0, MANY, 1)) == pytest.approx(0.2 * (1.95996 + 0.84162), rel=1e-3)
    assert smallest(Spread(0.0, 0.0, 0.0, 0.0, 100, 1)) == 0.0


def test_power_is_how_often_an_interval_leaves_zero_out() -> None:
    of, random = Spread(0.5, 1.0, 0.2, 4.0, 500, 3), np.random.default_rng(1)
    effect = smallest(of)
    estimates = random.normal(effect, math.sqrt(of.items + of.training), 4000)
    scattered = of.training * random.chisquare(of.freedom, 4000) / of.freedom
    reached = [half_width(of.items, of.count, float(one), of.freedom) for one in scattered]
    assert np.mean(np.abs(estimates) > reached) == pytest.approx(0.8, abs=0.02)


def test_seeds_and_items_that_are_needed_are_the_fewest() -> None:
    of = Spread(1e-6, 1e-4, 0.0, 4, 5010, 3)
    seeds = seeds_needed(of, 0.01)
    assert seeds is not None
    assert smallest(of.with_seeds(seeds)) <= 0.01 < smallest(of.with_seeds(seeds - 1))
    few = Spread(1e-4, 1e-6, 0.0, 4, 5010, 3)
    times = items_needed(few, 0.01)
    assert times is not None
    assert smallest(few.with_items(1.1 * times)) <= 0.01 < smallest(few.with_items(0.8 * times))


def test_what_no_number_helps_says_so() -> None:
    assert seeds_needed(Spread(1.0, 1e-4, 0.0, 4, 100, 3), 0.01) is None
    assert items_needed(Spread(1e-6, 1.0, 0.0, 4, 100, 3), 0.01) is None
    with pytest.raises(ValueError, match="one seed says nothing"):
        seeds_needed(Spread(1.0, 0.0, 0.0, 0.0, 100, 1), 0.01)


def test_more_items_shrink_the_interaction_too() -> None:
    of = Spread(0.4, 1.0, 0.6, 4, 100, 3)
    more = of.with_items(4)
    assert more.items == pytest.approx(0.1) and more.interaction == pytest.approx(0.15) and more.count == 400
    assert more.training == pytest.approx(0.4 + 0.15)
    assert of.with_seeds(6) == replace(of, training=0.5, interaction=0.3, freedom=10.0, seeds=6)
