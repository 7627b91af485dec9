"""Which weights are tried, and which of them win."""

from __future__ import annotations

from fractions import Fraction

import pytest

from adapterx.methods.merge_weights import Trial, Vector, best, search


def tried(members: int, peak: Vector | None = None, sums: bool = False) -> tuple[Trial, ...]:
    """Scores fall with the distance from a peak; without one all are equal."""

    def scored(vector: Vector) -> tuple[float, ...]:
        far = sum(abs(a - b) for a, b in zip(vector, peak, strict=True)) if peak else Fraction(0)
        return (float(1 - far / 2),) * members

    return search(members, sums, scored)


def shares(*counts: int) -> Vector:
    return tuple(Fraction(count, sum(counts)) for count in counts)


def test_two_members_have_five_candidates_and_three_sixteen() -> None:
    pairs = [trial.weights for trial in tried(2)]
    assert pairs == [shares(1, 1), shares(4, 0), shares(3, 1), shares(1, 3), shares(0, 4)]
    triples = [trial.weights for trial in tried(3)]
    assert triples[0] == shares(1, 1, 1)
    assert len(set(triples)) == len(triples) == 16
    assert {one.denominator for triple in triples[1:] for one in triple} <= {1, 2, 4}


@pytest.mark.parametrize("members", [2, 3, 4, 7])
def test_the_candidates_are_few_and_sum_to_one(members: int) -> None:
    for peak in (None, shares(*range(members))):
        found = [trial.weights for trial in tried(members, peak)]
        assert len(set(found)) == len(found) <= max(16, 1 + 2 * members)
        assert all(sum(one) == 1 and min(one) >= 0 and len(one) == members for one in found)


@pytest.mark.parametrize("members", [2, 5])
def test_the_default_of_a_sum_is_tried_too(members: int) -> None:
    default, *others = (trial.weights for trial in tried(members, None, sums=True))
    assert default == (1,) * members
    assert others == [trial.weights for trial in tried(members)]


@pytest.mark.parametrize(
    "peak", [shares(3, 1), shares(0, 1), shares(1, 2, 1), shares(2, 1, 1, 1, 0), shares(0, 0, 0, 1), shares(2, 1, 2, 1)]
)
def test_the_best_is_found(peak: Vector) -> None:
    assert best(tried(len(peak), peak)).weights == peak


@pytest.mark.parametrize("members", [2, 3, 5])
def test_of_equal_scores_the_more_even_weights_win(members: int) -> None:
    assert best(tried(members)).weights == shares(*[1] * members)
    assert best(tried(members, None, sums=True)).weights == (1,) * members, "as even, and tried first"
    uneven = [Trial(shares(0, 1), (0.5, 0.5)), Trial(shares(3, 1), (0.7, 0.3)), Trial(shares(1, 3), (0.3, 0.7))]
    assert best(uneven).weights == shares(3, 1), "as even as the one after it"


def test_rounding_decides_nothing() -> None:
    even, uneven = Trial(shares(1, 1), (0.1, 0.2, 0.3)), Trial(shares(3, 1), (0.3, 0.2, 0.1 + 1e-16))
    assert best([uneven, even]) is even
