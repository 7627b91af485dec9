"""The page of `tools/size_probe.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapterx.pace.calibration import is_busy
from tools.bench.results import commit
from tools.time_prediction import family

Row = Mapping[str, Any]
NOTE = (
    "Sizes have random weights, `embedded/e5-small` its own. *Weights* are the bytes of all tensors. The other columns"
    " of memory are anonymous memory above what the process had with its libraries imported: *kept* once the model and"
    " its tokenizer are loaded, *loading* at most until then, *training* at most in steps of one LoRA cell (rank 8,"
    " queries and values, all layers), *evaluating* at most in a pass over four times as many texts. Weights in the"
    " number format of their file stay mapped to it, and are no anonymous memory. Errors are relative distances to"
    " float32 on this machine: of hidden states after the worst layer, and of the logits of a random head; *cosine* is"
    " that of a random LoRA's gradients with those of float32."
)


def machine(rows: Sequence[Row], load: float) -> dict[str, Any]:
    """What the rows were measured on, and at which commit.

    Args:
        load: that of the machine before the first one.
    """
    found = next((dict(row["machine"]) for row in rows if "machine" in row), {})
    return {**found, "processor": family(found.get("processor", "")), "commit": commit(), "load": load}


def file_name(found: Row) -> str:
    """A file name for a machine: its GPU or its processor."""
    what = found["processor"] if found.get("device", "cpu") == "cpu" else found["device"]
    return "sizes-" + re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")


def line(row: Row) -> str:
    """One row for the terminal."""
    if "load_seconds" not in row:
        return f"{row['size']:18} {row['precision']:10} {row.get('skipped') or row.get('failed')}"
    return (
        f"{row['size']:18} {row['precision']:10} load {row['load_seconds']:.1f} s, weights {row['weights']:,.0f} MiB,"
        f" {row['train_tokens']:,.0f} and {row['evaluate_tokens']:,.0f} tokens/s, logits {row['logit_error']:.2%}"
    )


def text(rows: Sequence[Row], found: Row) -> str:
    """The whole page."""
    where = f"{found['processor']}, {found['threads']} threads" if found["device"] == "cpu" else found["device"]
    parts = [
        "# XLM-R's sizes in every precision\n",
        f"{where}, torch {found['torch']}, at commit `{str(found['commit'])[:9]}`. Made by"
        f" `python tools/size_probe.py`. {_busy(found['load'])}\n",
        f"{NOTE}\n",
    ]
    for size in dict.fromkeys(row["size"] for row in rows):
        own = [row for row in rows if row["size"] == size]
        parts += [f"## {_title(own)}\n", _table(own)]
    return "\n".join(parts)


def _busy(load: float) -> str:
    if is_busy(load):
        return (
            f"The load of the machine was {load:.1f} before it began: other programs were at work, times are too long."
        )
    return "Nothing else was at work."


def _title(rows: Sequence[Row]) -> str:
    first = rows[0]
    count = next((row["parameters"] for row in rows if "parameters" in row), 0)
    layers = first["layers"] or first["whole"]
    cut = f", {layers} of its {first['whole']} layers" if layers and layers < first["whole"] else ""
    texts = next((row["texts"] for row in rows if "texts" in row), 0)
    return f"{first['size']}{cut}: {count / 1e6:,.0f} million parameters, {texts} texts of 64 tokens in a step"


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| precision | load, s | weights, MiB | kept | loading | training | evaluating | tokens/s trained"
        " | evaluated | worst layer | logits | cosine |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        if "load_seconds" not in row:
            lines.append(f"| {row['precision']} | {row.get('skipped') or row.get('failed')} |" + " |" * 10)
            continue
        memory = " | ".join(
            f"{row[key]:,.0f}" for key in ("weights", "kept", "load_peak", "train_peak", "evaluate_peak")
        )
        speed = " | ".join(f"{row[key]:,.0f}" for key in ("train_tokens", "evaluate_tokens"))
        lost = f"{row['layer_error']:.2%} | {row['logit_error']:.2%} | {row['gradient_cosine']:.5f}"
        lines.append(f"| {row['precision']} | {row['load_seconds']:.1f} | {memory} | {speed} | {lost} |")
    return "\n".join([*lines, ""])
