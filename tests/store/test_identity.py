from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from adapterx.store import canonical, fingerprint


def test_order_of_keys_and_kind_of_sequence_do_not_matter() -> None:
    assert canonical({"b": [1, 2.5], "a": None}) == canonical({"a": None, "b": (1, 2.5)}) == b'{"a":null,"b":[1,2.5]}'


def test_values_that_differ_have_different_identities() -> None:
    values = [None, False, 0, 0.5, "", "0", [], {}, [0], [[0]], {"a": 0}, {"a": None}, "ä", "a\u0308"]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_identity_is_the_same_in_another_process() -> None:
    code = "from adapterx.store import fingerprint; print(fingerprint({'b': 1e-4, 'a': ['ก', True]}))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == fingerprint({"a": ["ก", True], "b": 0.0001})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": np.float64(1)}, {1, 2}, np.int64(3), b"x"])
def test_what_json_would_bend_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)  # type: ignore[arg-type]
