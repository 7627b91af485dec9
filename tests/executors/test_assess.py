"""Adapters that are scored on a task, alone and against one another, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterx.files.settings import texts
from adapterx.report.statistics import LEVEL, METHOD_OF_A_CELL
from adapterx.report.student import reach
from tests.executors.test_answer import backbone, head, here, ran, task, written

__all__ = ["backbone", "here"]


@pytest.fixture
def two(here: Path) -> Path:
    """Items of two languages, and two adapters that each give one answer to all of them."""
    task(here, ("positive", "negative"), languages=["de", "en"])
    for code, labels in {"en": "ppppppnn", "de": "ppppnnnn"}.items():
        named = [("positive" if label == "p" else "negative") for label in labels]
        lines = [f"{'cat ' * (place % 3 + 1)}{place}\t{label}" for place, label in enumerate(named)]
        (here / f"reviews.{code}").write_text("".join(f"{line}\n" for line in lines))
    path = here / "reviews.yaml"
    content = json.loads(path.read_text())
    content["sources"]["local"]["splits"] = {"test": {"paths": "reviews.{language}"}}
    path.write_text(json.dumps(content))
    written(here / "yes", head(("negative", "positive"), "reviews"))
    written(here / "no", head(("positive", "negative"), "reviews"))
    return here


def test_scores_with_intervals_and_paired_differences(
    two: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("evaluate", "yes", "--task", "reviews", "--backbone", backbone)
    code, printed, complaints = ran(capsys, *command, "--against", "no")
    assert code == 0, complaints
    rows = [line.split() for line in printed.splitlines()]
    assert rows[0] == ["accuracy", "items", "yes", "95", "%", "no", "95", "%", "difference", "95", "%"]
    assert [row[:3] for row in rows[1:]] == [["mean", "8", "62.5"], ["de", "8", "50.0"], ["en", "8", "75.0"]]
    assert rows[3][-3:][0] == "+50.0"
    assert complaints == ""
    code, printed, _ = ran(capsys, *command, "--against", "no", "--json")
    told = json.loads(printed)
    assert (told["task"], told["limit"], told["intervals"]["method"]) == ("reviews", None, METHOD_OF_A_CELL)
    assert [one["metric"] for one in told["metrics"]] == ["accuracy"]
    assert [one["name"] for one in told["adapters"]] == ["yes", "no"]
    accuracy: dict[str, Any] = told["metrics"][0]
    assert accuracy["majority"] == {"de": 0.5, "en": 0.75}
    english = next(line for line in accuracy["lines"] if line["language"] == "en")
    assert [one["value"] for one in english["scores"]] == [0.75, 0.25]
    # Answers that are opposite in every item: the variance of their difference is four times that of either score, and
    # that of the two items more which the interval supposes.
    difference, items = english["difference"], english["items"]
    assert difference["value"] == pytest.approx(0.5)
    variance = 4 * 0.75 * 0.25 / (items - 1) + 2 / items**2
    assert difference["high"] - 0.5 == pytest.approx(reach(LEVEL, items - 1) * variance**0.5)
    assert 0.0 < english["scores"][0]["low"] < 0.75 < english["scores"][0]["high"] < 1.0


def test_an_adapter_against_itself_differs_by_nothing(
    two: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("evaluate", "yes", "--task", "reviews", "--backbone", backbone, "--against", "./yes", "--json")
    code, printed, _ = ran(capsys, *command, "--languages", "en", "--limit", "5")
    told = json.loads(printed)
    assert code == 0 and told["limit"] == {"items": 5, "sample": "random"}
    mean, english = told["metrics"][0]["lines"]
    assert (mean["language"], english["language"], english["items"]) == ("mean", "en", 5)
    assert english["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--languages", "fr"), "the task 'reviews' has no language 'fr'"),
        (("--task", "revues"), "no task 'revues'"),
        (("--labels", "a,b,c"), "--labels gives 3 names, the head of yes has 2 outputs"),
        (("--against", "nowhere/at/all"), "nowhere/at"),
    ],
)
def test_what_cannot_be_scored(
    more: tuple[str, str], message: str, two: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, complaints = ran(capsys, "evaluate", "yes", "--task", "reviews", "--backbone", backbone, *more)
    assert (code, printed) == (2, "") and message in complaints


def test_an_adapter_that_its_library_computes_is_scored(
    two: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("peft")
    from transformers import XLMRobertaModel

    from adapterx.formats import own_head

    there: Any = XLMRobertaModel.from_pretrained(backbone, add_pooling_layer=False)
    config = library.LoraConfig(task_type="FEATURE_EXTRACTION", use_dora=True, target_modules=["query"])
    library.get_peft_model(there, config).save_pretrained(two / "dora")
    own_head.write(two / "dora", head(("negative", "positive"), "reviews"))
    command = ("evaluate", "dora", "--task", "reviews", "--backbone", backbone, "--against", "yes", "--json")
    code, printed, complaints = ran(capsys, *command)
    assert code == 0, complaints
    told = json.loads(printed)
    assert texts([one["name"] for one in told["adapters"]]) == ["dora", "yes"]
    assert all(line["difference"]["value"] == 0 for line in told["metrics"][0]["lines"])
