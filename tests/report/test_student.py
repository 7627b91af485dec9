from __future__ import annotations

import pytest
from scipy import stats

from adapterx.report.student import LARGE, reach


@pytest.mark.parametrize(
    ("level", "freedom", "expected"),
    [
        # Tables of Student's t, two-sided.
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 4, 2.7764),
        (0.95, 30, 2.0423),
        (0.99, 10, 3.1693),
        (0.999, 5, 6.8688),
        (0.95, LARGE - 1, 1.9602),
        (0.95, LARGE, 1.9602),
        (0.95, 10**9, 1.9600),
    ],
)
def test_quantiles_are_those_of_the_tables(level: float, freedom: float, expected: float) -> None:
    assert reach(level, freedom) == pytest.approx(expected, abs=1e-4)


def test_fractions_of_a_degree_lie_between_their_neighbours() -> None:
    assert reach(0.95, 3) > reach(0.95, 3.4) > reach(0.95, 4)


@pytest.mark.parametrize(("level", "freedom"), [(0.0, 3), (1.0, 3), (0.95, 0), (0.95, -1)])
def test_what_has_no_quantile_is_refused(level: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        reach(level, freedom)


@pytest.mark.parametrize("freedom", [0.3, 0.9, 1, 2.7, 33.3, 100, 5009, LARGE - 1])
def test_quantiles_are_those_of_scipy(freedom: float) -> None:
    for level in (0.5, 0.8, 0.95, 0.9999, 1 - 1e-8):
        assert reach(level, freedom) == pytest.approx(stats.t.isf((1 - level) / 2, freedom), rel=1e-9)
