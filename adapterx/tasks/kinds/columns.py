"""Columns of stored predictions, as arrays of pyarrow, which is imported when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def label_lists(items: Sequence[Any]) -> Any:
    """Lists of whole numbers, int32, of one array per item."""
    import pyarrow as pa

    return lists(items, pa.int32())


def lists(items: Sequence[Any], kind: Any) -> Any:
    """Lists of numbers of an arrow type, of one array per item."""
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])]).astype(np.int32)
    values = np.concatenate(list(items)) if len(items) else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind))


def text_columns(gold: Sequence[Any], prediction: Sequence[Any]) -> dict[str, Any]:
    """Of each item the list of the right texts, and the predicted one."""
    import pyarrow as pa

    return {
        "gold": pa.array([list(item) for item in gold], pa.list_(pa.string())),
        "prediction": pa.array(list(prediction), pa.string()),
    }
