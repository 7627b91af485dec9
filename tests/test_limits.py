"""Which items a limit keeps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from adapterx.limits import Limit, smallest

IDS = [f"item-{number}" for number in range(1000)]


def sample(ids: list[str], count: int) -> list[str]:
    return list(smallest(ids, count, str))


def test_the_sample_never_moves() -> None:
    """Pinned: identities of stored results stand for these very items."""
    assert sample(IDS, 5) == PINNED
    assert [IDS[place] for place in Limit(5).places(IDS)] == PINNED


PINNED = ["item-191", "item-235", "item-319", "item-404", "item-937"]


def test_the_order_of_the_data_decides_nothing_but_the_order_of_the_sample() -> None:
    shuffled = sorted(IDS, key=lambda id: id[::-1])
    assert set(sample(shuffled, 100)) == set(sample(IDS, 100))
    assert sample(shuffled, 100) == [id for id in shuffled if id in set(sample(IDS, 100))]


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    assert set(sample(IDS, 10)) < set(sample(IDS, 100))


def test_those_that_lack_an_item_agree_on_the_rest() -> None:
    whole = sample(IDS, 50)
    lacking = sample([id for id in IDS if id != whole[7]], 50)
    assert len(lacking) == 50 and set(whole) - {whole[7]} < set(lacking)


def test_it_is_spread_over_the_data() -> None:
    places = Limit(200).places(IDS)
    assert all(20 <= sum(start <= place < start + 200 for place in places) <= 60 for start in range(0, 1000, 200))


@pytest.mark.parametrize("limit", [Limit(5000), Limit(5000, "first")])
def test_more_than_there_are_keeps_all(limit: Limit) -> None:
    assert limit.places(IDS) == list(range(1000))
    assert sample(IDS, 5000) == IDS


def test_first_ones_are_the_first() -> None:
    assert Limit(3, "first").places(IDS) == [0, 1, 2]


def test_ids_that_tell_nothing_apart_give_a_random_sample_all_the_same() -> None:
    rows = [("same", f"text {number}", int(number >= 500)) for number in range(1000)]
    labels = [label for _, _, label in smallest(rows, 100, lambda row: row[0])]
    assert 30 <= sum(labels) <= 70


def test_repetitions_of_one_item_are_kept_in_their_order() -> None:
    rows = [("same", number // 5) for number in range(10)]
    assert list(smallest(rows, 10, lambda row: row[0])) == rows
    assert len(list(smallest(rows, 3, lambda row: row[0]))) == 3


def test_ids_may_hold_what_utf_8_cannot() -> None:
    assert sample(["\ud800", "a"], 2) == ["\ud800", "a"]


def test_memory_holds_the_sample_alone() -> None:
    def rows() -> Iterator[tuple[str, str]]:
        for number in range(20_000):
            yield str(number), "x" * 5000 + str(number)

    tracemalloc.start()
    try:
        kept = list(smallest(rows(), 20, lambda row: row[0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 20 and peak < 2_000_000, "of a hundred million bytes"


@pytest.mark.parametrize(
    ("limit", "words"),
    [(Limit(1), "a random sample of 1 item"), (Limit(1200, "first"), "the first 1,200 items")],
)
def test_its_words(limit: Limit, words: str) -> None:
    assert limit.words == words
