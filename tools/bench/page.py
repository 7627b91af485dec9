"""The page of one machine's results, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.bench import grid
from tools.bench.variants import Claim

METHOD = """\
Every contender does the same work in a process of its own: one frozen encoder of XLM-R's shape with random weights,
random texts with the lengths of natural language inference (log-normal, mean 35 tokens, at most 128), three classes,
Hugging Face's classification head, fp32 on a CPU and bf16 on a GPU. Embeddings are frozen and only looked up, so a
vocabulary of 5,000 stands for 250,002. The contenders take turns, round after round, one working at a time; numbers are
medians over rounds. The ratio is of examples per second, summed over cells, to the first peer's, with the least and the
greatest ratio of a round. A peer trains one cell after another, so its rate for many cells is that of one.

`Trainer` is used as it comes: dynamic padding, no logging, no checkpoints. On a CPU every contender's allocator keeps
what a step frees, as a run of adapterx has it; the default setting makes a peer slower. Backbone dropout is off in all
rows but the one that says otherwise, so that the losses can be compared: the last column is the largest relative
difference of the first cell's first losses (of scores, in an evaluation) from the first peer's, on the same batches
from the same initial weights. The share is that of the machine's measured matmul rate which the necessary work reaches:
products of real tokens with frozen weights, forward and to their inputs, none below the lowest adapter on the way back,
the last layer only where the head reads, and nothing that is kept or shared.
"""


def page(results: dict[str, Any], claims: Sequence[Claim]) -> str:
    """The whole page."""
    found = results["machine"]
    rate = results["rate"]
    packages = ", ".join(f"{name} {number or '(absent)'}" for name, number in found["packages"].items())
    device = found["gpu"] or f"{found['processor']}, {found['cores']} cores"
    commits = sorted({one["commit"] for one in results["variants"].values() if one["commit"]})
    lines = [
        f"# The fused engine against its peers: {results['name']}",
        "",
        f"{device}; {found['threads']} threads; Python {found['python']}; {packages}; commit"
        f" {', '.join(short(one) for one in commits) or 'unknown'}. Measured matmul rate:"
        f" {rate['flops'] / 1e12:.3g} TFLOP/s ({rate['dtype']}, {rate['shape']}).",
        "",
        METHOD,
        "## Asked and measured",
        "",
        *_table(["", "against", "asked", "measured", "range over rounds"], [_claim(one, results) for one in claims]),
    ]
    for variant in results["variants"].values():
        lines += ["", f"## {variant['title']}", "", *_contenders(variant)]
    if found_grid := results.get("grid"):
        lines += ["", "## A grid as one program", "", *grid.lines(found_grid)]
    return "\n".join(lines) + "\n"


def short(commit: str) -> str:
    """The commit in ten digits, with its plus sign if it has one."""
    return commit[:10] + ("+" if commit.endswith("+") else "")


def _claim(claim: Claim, results: dict[str, Any]) -> list[str]:
    variant = results["variants"].get(claim.variant)
    row = [claim.what, variant["variant"]["baseline"] if variant else "", f"≥ {claim.asked:g}×"]
    if variant is None:
        return [*row, "not measured", ""]
    contender = variant["contenders"].get(claim.contender, {"skipped": None})  # results of earlier code
    if "ratio" not in contender:
        return [*row, contender["skipped"] or "not measured", ""]
    sign = "" if contender["ratio"] >= claim.asked else " ✗"
    return [*row, f"**{contender['ratio']:.2f}×**{sign} ({claim.contender})", _range(contender)]


def _contenders(variant: dict[str, Any]) -> list[str]:
    header = ["", "examples/s", "ms/example", "CPU ms/example", "peak memory", "share", "ratio", "range", "difference"]
    rows = []
    notes = []
    for name, one in variant["contenders"].items():
        if "examples_per_second" not in one:
            rows.append([name, one["skipped"] or "not measured", *[""] * (len(header) - 2)])
            continue
        rows.append(
            [
                name,
                f"{one['examples_per_second']:.4g}",
                f"{one['ms_per_example']:.3g}",
                f"{one['cpu_ms_per_example']:.3g}",
                f"{one['peak_memory_bytes'] / 2**30:.2f} GiB",
                f"{one['matmul_share']:.1%}",
                f"{one['ratio']:.2f}×" if "ratio" in one else "",
                _range(one),
                f"{one['difference']['largest']:.1e}" if one.get("difference") else "",
            ]
        )
        if "first_epoch_ms_per_example" in one:
            notes.append(
                f"{name}: {one['first_epoch_ms_per_example']:.3g} ms/example in the first epoch, which fills it."
            )
        if one["skipped"]:
            notes.append(f"{name}: {one['skipped']}")
    return [*_table(header, rows), *(["", *notes] if notes else [])]


def _range(contender: dict[str, Any]) -> str:
    if "ratio_range" not in contender:
        return ""
    least, greatest = contender["ratio_range"]
    return f"{least:.2f}–{greatest:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, numbers to the right."""
    line = "| " + " | ".join(header) + " |"
    rule = "|---|" + "---:|" * (len(header) - 1)
    return [line, rule, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]
