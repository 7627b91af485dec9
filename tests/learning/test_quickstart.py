"""The quickstart draws one picture on every kind of processor: nothing in it rests on the last bits of sums."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest

from tests.support.command import ROOT, environment, process

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
PLAIN_LOOPS = {"ATEN_CPU_CAPABILITY": "default"}
"""Torch's own loops without the processor's wide instructions; matrices are multiplied with them."""
MARGIN = 0.1
"""Above chance, and of the multilingual intermediate's gain with six layers."""


Place = tuple[str, str, bool]
"""Backbone, intermediate, and whether the target was trained in the language."""


def picture(directory: Path, settings: dict[str, str], *overrides: str) -> dict[Place, float]:
    """Mean accuracies of the quickstart, run with these variables; every cell of it has learnt."""
    run = process(
        "run", "recipes/quickstart.yaml", *overrides, "--store", directory, env=environment(**settings), timeout=1700
    )
    assert run.returncode == 0, run.stdout + run.stderr
    report = directory / "runs" / "quickstart" / "report"
    for cell in json.loads((report / "report.json").read_text())["cells"]:
        assert (cell["status"], cell["constant"], cell["verdict"]) == ("done", {}, None), cell
    assert "learnt nothing" not in run.stdout, run.stdout
    scores: dict[Place, list[float]] = {}
    with (report / "results.csv").open() as file:
        for row in csv.DictReader(file):
            place = (row["backbone"], row["intermediate"], row["trained_in"] == "true")
            scores.setdefault(place, []).append(float(row["value"]))
    means = {place: sum(values) / len(values) for place, values in scores.items()}
    assert len(means) == 2 * 3 * 2
    assert all(mean > 0.25 + MARGIN for mean in means.values()), means
    assert means["6-layers", "multi", False] > means["6-layers", "en", False] + MARGIN, means
    # Each backbone knows English, the language that it was trained in, best.
    for backbone, intermediate, _ in means:
        assert means[backbone, intermediate, True] > means[backbone, intermediate, False] + MARGIN, means
    return means


@pytest.mark.slow
@pytest.mark.processors
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "settings",
    [{"OMP_NUM_THREADS": "2"}, {}, AVX2, PLAIN_LOOPS],
    ids=["two-threads", "one-thread", "avx2", "plain-loops"],
)
def test_the_same_picture(settings: dict[str, str], tmp_path: Path) -> None:
    assert picture(tmp_path, settings)


@pytest.mark.slow
@pytest.mark.processors
@pytest.mark.timeout(1800)
def test_eight_bits_score_as_float32_does(tmp_path: Path) -> None:
    """Each mean differs from the committed report's by less than the interval of their difference.

    Of two means of equal truth and scatter, one lies outside the other's 95 % interval in one case of six.
    """
    loaded = [f"backbones.{n}-layers={{model: embedded/e5-small@{n}, load: int8-rows}}" for n in (3, 6)]
    picture(tmp_path, {"OMP_NUM_THREADS": "2"}, *loaded)
    own, stated = (
        intervals(root / "report.md")
        for root in (tmp_path / "runs" / "quickstart" / "report", ROOT / "reports/quickstart")
    )
    assert len(stated) == 2 * 3 and own.keys() == stated.keys()
    for place, (mean, half) in stated.items():
        other, other_half = own[place]
        assert abs(mean - other) <= math.hypot(half, other_half), (place, own, stated)


def intervals(path: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Means over the languages that were not trained in, with half the width of their intervals."""
    row = re.compile(r"\| (\d-layers) \| (\w+) \| \w+ \| ([\d.]+) \[([\d.]+), ([\d.]+)\] \|")
    found = row.findall(path.read_text())
    return {(backbone, arm): (float(mean), (float(high) - float(low)) / 2) for backbone, arm, mean, low, high in found}
