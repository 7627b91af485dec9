"""Rates are found again from times that follow from them."""

from __future__ import annotations

import numpy as np
import pytest

from adapterx.doctor import fit
from adapterx.pace.workload import COUNTS, Rates, Workload

TRUE = Rates(calls=2e-4, products=5e-12, attention=3e-11)


def works(seed: int = 0, count: int = 12) -> list[Workload]:
    random = np.random.default_rng(seed)
    scales = dict(zip(COUNTS, (100, 100, 1e11, 1e9, 1e8), strict=True))
    return [
        Workload(**{name: float(random.uniform(0.1, 5) * scale) for name, scale in scales.items()})
        for _ in range(count)
    ]


def test_exact_times_give_the_rates_back() -> None:
    found = fit.rates([(work, TRUE.seconds(work)) for work in works()])
    for name in COUNTS:
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=1e-6, abs=1e-18)


def test_no_rate_is_negative_though_the_times_would_have_it() -> None:
    timed = [(work, 1e-12 * work.products / (1 + work.calls)) for work in works(3)]
    found = fit.rates(timed)
    assert all(getattr(found, name) >= 0 for name in COUNTS) and found.products > 0


def test_known_rates_stay_and_the_rest_is_found() -> None:
    known = {name: getattr(TRUE, name) for name in COUNTS if name != "products"}
    found = fit.rates([(work, TRUE.seconds(work)) for work in works(count=2)], known)
    assert found.products == pytest.approx(TRUE.products) and found.calls == TRUE.calls


def test_noise_moves_the_times_little() -> None:
    random = np.random.default_rng(1)
    timed = [(work, TRUE.seconds(work) * float(random.uniform(0.95, 1.05))) for work in works()]
    found = fit.rates(timed)
    assert all(found.seconds(work) == pytest.approx(seconds, rel=0.15) for work, seconds in timed)


def test_counts_that_nothing_has_cost_nothing() -> None:
    found = fit.rates([(Workload(products=1e9), 0.5), (Workload(products=2e9), 1.0)])
    assert found.products == pytest.approx(5e-10) and found == Rates(products=found.products)
