"""Faults that are planted in a step are found: each check of the rehearsal is shown to be one."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.cuda.budgets import REPLAYED, budget
from tests.cuda.cases import Case
from tests.cuda.conftest import Rehearse
from tests.cuda.planted import PLANTED
from tests.cuda.play import Told
from tests.cuda.rules import CROSSED, FROM_HOST, HOST_INDEX, MIXED, PAGEABLE, RANDOM, TOO_WIDE, WAITS
from tests.cuda.works import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_CASE = Case("train", "xlm-roberta", "bfloat16", "lora", "classification")
EXPECTED = {
    "a node of the default stream is held": CROSSED,
    "the host asks for a loss": WAITS,
    "a mask picks rows": WAITS,
    "numbers of the host in a step": FROM_HOST,
    "a list becomes a tensor in a step": FROM_HOST,
    "random numbers in a step": RANDOM,
    "two number formats meet": MIXED,
    "batches in pageable memory": PAGEABLE,
    "an index in host memory": HOST_INDEX,
    "attention in 32 bits": TOO_WIDE,
}


@pytest.fixture(scope="module")
def told(rehearse: Rehearse) -> dict[str, Told]:
    return rehearse([asdict(_CASE), *({**asdict(_CASE), "planted": fault} for fault in PLANTED)])


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_planted_fault_is_found(fault: str, told: dict[str, Told]) -> None:
    found = [one for one in told[fault].problems if one[0] in STEPS and one[1].startswith(EXPECTED[fault])]
    assert found, (told[fault].error, told[fault].problems)
    sound = [one for one in told[_CASE.name].problems if one[0] in STEPS]
    assert not told[_CASE.name].error and not sound


def test_a_node_that_outlives_its_step_is_seen(told: dict[str, Told]) -> None:
    assert told["a node of the default stream is held"].facts["outlived"]
    assert not told[_CASE.name].facts["outlived"]


def test_products_cell_by_cell_exceed_the_budget(told: dict[str, Told]) -> None:
    most = budget(_CASE.method, _CASE.precision)
    assert most is not None
    assert told[_CASE.name].launches["first"] <= most < told["products cell by cell"].launches["first"]
    assert told[_CASE.name].launches["again"] <= REPLAYED < most, "a step that is replayed launches next to nothing"


def test_operands_on_two_devices_are_an_error(told: dict[str, Told]) -> None:
    assert "device" in told["operands on two devices"].error
