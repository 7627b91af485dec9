"""Items come in order, some ahead, none in vain, and their errors when they are asked for."""

from __future__ import annotations

import threading
import time

import pytest

from adapterx.engine.loader import Loader


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_items_come_in_order(workers: int) -> None:
    def make(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    loader = Loader(make, workers, end=12)
    assert [loader.next() for _ in range(12)] == list(range(12))
    loader.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_few_are_prepared_ahead_and_none_beyond_the_end(workers: int) -> None:
    made: list[int] = []
    release = threading.Event()

    def make(number: int) -> int:
        if number:
            release.wait(5)
        made.append(number)
        return number

    loader = Loader(make, workers, end=4)
    assert loader.next() == 0
    release.set()
    assert [loader.next() for _ in range(3)] == [1, 2, 3]
    loader.close()
    assert sorted(made) == [0, 1, 2, 3]
    assert loader._ahead == workers + 1


def test_an_error_is_raised_by_the_item_that_met_it() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    for workers in (0, 2):
        loader = Loader(make, workers, end=4)
        assert [loader.next(), loader.next()] == [0, 1]
        with pytest.raises(KeyError):
            loader.next()
        assert loader.next() == 3
        loader.close()


def test_closing_waits_for_nobody_to_ask() -> None:
    loader = Loader(lambda number: number, 2, end=100)
    loader.next()
    before = threading.active_count()
    loader.close()
    assert threading.active_count() < before
