"""The answer in words, on runs whose truth is made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse, answer, tables, wording
from adapterx.report.contrasts import Contrast, Verdict, verdicts
from adapterx.report.gap_figure import gap_figure
from adapterx.report.levels import Level
from adapterx.report.statistics import Estimate
from adapterx.store import Store
from tests.report import fake as fakes
from tests.report.fake import Fake, write

Ask = Callable[..., Analysis]
SEEDS = (1, 2, 3)


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Analyse a made-up run; the arm's gain is by backbone, or by target and backbone."""

    def made(gains: Mapping[str, Any] | None = None, *, own: tuple[str, ...] = (), **changes: object) -> Analysis:
        def accuracy(cell: Cell, language: str) -> float:
            if gains is None or cell.intermediate != "multi":
                return 0.5
            gain = gains.get(cell.target, gains)
            return 0.5 + float(gain[cell.backbone])

        given = {"seeds": SEEDS, "items": 150, "accuracy": accuracy, **changes}
        store = Store(tmp_path / f"{len(list(tmp_path.iterdir()))}")
        run = write(store, Fake(**given))  # type: ignore[arg-type]
        content = json.loads((run / "run.json").read_text())
        for cell in content["cells"]:
            cell["target_training"] = cell["cell"]["intermediate"] == "en" and cell["cell"]["target"] in own
        (run / "run.json").write_text(json.dumps(content))
        return analyse(store, run)

    return made


def test_the_question(ask: Ask) -> None:
    asked = "What does the intermediate “multi” gain over “en”, and does that gap close as the backbone grows?"
    assert answer.question(ask()) == asked
    assert answer.question(ask(backbones=("small",))) == "What does the intermediate “multi” gain over “en”?"


@pytest.mark.parametrize(
    ("gains", "start"),
    [
        ({"small": 0.4, "large": 0.1}, "The gap narrows as the backbone grows: it is +"),
        ({"small": 0.1, "large": 0.4}, "The gap widens as the backbone grows: it is +"),
        ({"small": -0.4, "large": -0.1}, "The gap narrows as the backbone grows: it is −"),
        ({"small": 0.3, "large": -0.3}, "The gap changes sign as the backbone grows: it is +"),
        ({"small": 0.1, "large": 0.12}, "Whether the gap changes with size is not resolved by this run: it is +"),
        # Always right against never right: a gap without any chance, the same at both sizes.
        ({"small": 0.5, "large": 0.5}, "The gap hardly changes as the backbone grows: it is +"),
    ],
    ids=["shrinks", "grows", "shrinks-below-zero", "turns", "undecidable", "constant"],
)
def test_two_sizes(ask: Ask, gains: Mapping[str, float], start: str) -> None:
    constant = gains["small"] == gains["large"]
    if constant:
        analysis = ask(accuracy=lambda cell, _: float(cell.intermediate == "multi"))
        assert "its change, 0.0 [0.0, 0.0], is less than a point either way" in answer.answer(analysis)
    else:
        analysis = ask(gains)
    said = answer.answer(analysis)
    assert said.startswith(start)
    assert ("includes zero" in said) == ("not resolved" in start)
    assert " points with small and " in said and " with large" in said
    assert wording.scope(analysis).startswith(
        "Each gap is a mean over the 2 languages that the target was not trained in and 3 seeds."
    )


@pytest.mark.parametrize(
    ("gains", "start", "middle"),
    [
        ({"small": 0.4, "medium": 0.2, "large": 0.0}, "The gap narrows", " with medium and "),
        ({"small": 0.1, "medium": -0.3, "large": 0.1}, "The gap goes up and down as the backbone grows", " −"),
    ],
    ids=["shrinks", "bends"],
)
def test_every_size_counts(ask: Ask, gains: Mapping[str, float], start: str, middle: str) -> None:
    said = answer.answer(ask(gains, backbones=("small", "medium", "large")))
    assert said.startswith(start)
    assert middle in said
    assert ("along the line fitted to all sizes" in said) == ("narrows" in start)


def test_one_seed_speaks_of_these_models_only(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "large": 0.1}, seeds=(1,))
    assert answer.answer(analysis).startswith("Of these trained models only, one seed each: the gap narrows")
    assert "With one seed, intervals cover the choice of test items but not the chance of" in wording.scope(analysis)
    assert "nothing is known of the chance of training" in wording.method(analysis)[0]
    scores = answer.answer(ask(seeds=(1,), compare=False))
    assert scores.startswith("Of these trained models only, one seed each: choice (accuracy")


def test_two_seeds_speak_of_training(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "large": 0.1}, seeds=(1, 2))
    assert "Of these trained models" not in answer.answer(analysis)
    assert "pooled over all settings" in wording.method(analysis)[0]


def test_opposite_targets_are_not_averaged(ask: Ask) -> None:
    up, down = {"small": 0.0, "large": 0.4}, {"small": 0.4, "large": 0.0}
    analysis = ask({"choice": up, "names": down}, targets=("choice", "names"))
    said = answer.answer(analysis)
    assert said.startswith("As the backbone grows, the gap rises in 1 of 2 contrasts (choice: +")
    assert "and falls in 1 (names: −" in said
    assert said.endswith(" points). Targets point in opposite ways.")


def test_contrasts_are_counted_and_averaged(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "large": 0.1}, transfers=("continue", "stack"))
    said = answer.answer(analysis)
    assert said.startswith(
        "As the backbone grows, the gap falls in 2 of 2 contrasts (continue and stack). On average the"
    )
    assert "; it narrows, by −" in said
    assert "Claims allow for the 2 contrasts and their mean (Holm’s method)." in wording.scope(analysis)
    assert "there are 2 transfers" in wording.scope(analysis)


def test_different_metrics_are_counted_but_not_averaged(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "large": 0.1}, targets=("choice", "names"), tagging=("names",))
    assert analysis.overall is not None and analysis.overall.means == ()
    assert answer.answer(analysis).startswith("As the backbone grows, the gap falls in 2 of 2 contrasts (choice: −")
    assert "On average" not in answer.answer(analysis)
    assert "Different metrics, accuracy and span F1, are not averaged." in wording.scope(analysis)


def test_each_metric_has_a_mean_of_its_own(ask: Ask) -> None:
    gains = {"small": 0.4, "large": 0.1}
    analysis = ask(gains, targets=("choice", "inference", "names"), tagging=("names",))
    said = answer.answer(analysis)
    assert said.startswith("As the backbone grows, the gap falls in 3 of 3 contrasts (choice, inference and names: −")
    assert said.count("On average") == 1
    assert "On average over the contrasts in accuracy the gap is +" in said
    changes = tables.changes(analysis)
    assert changes is not None
    assert [row[0].text for row in changes.rows] == ["choice", "inference", "names", "mean, accuracy"]


def test_undecided_contrasts_have_an_undecided_mean(ask: Ask) -> None:
    said = answer.answer(ask({"small": 0.1, "large": 0.11}, items=40, transfers=("continue", "stack")))
    assert said.startswith("As the backbone grows, the gap is undecided in 2 of 2 contrasts (continue and stack).")
    assert said.endswith("does not settle a direction.")


def test_a_missing_contrast_says_which_cell_and_why(ask: Ask) -> None:
    victim = Cell("large", "lora", "en", "stack", "choice", 2)
    both = ask({"small": 0.4, "large": 0.1}, transfers=("continue", "stack"), statuses={victim: "out-of-memory"})
    said = answer.answer(both)
    assert "falls in 1 of 2 contrasts (continue: −" in said and "is missing in 1 (stack)" in said
    reason = f"{victim.label} ran out of memory (out-of-memory at step 7 <of> 40)"
    assert said.endswith(f"What is missing: {reason}.")
    only = ask({"small": 0.4, "large": 0.1}, transfers=("stack",), statuses={victim: "out-of-memory"})
    assert answer.answer(only) == f"Not answered by this run: {reason}."
    lost = {Cell("large", "lora", "en", "stack", "choice", seed): "failed" for seed in SEEDS}
    assert answer.answer(ask(transfers=("stack",), statuses=lost)).endswith("and 2 more cells without a result.")


def test_a_backbone_that_every_cell_was_refused_for_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    refused = {cell: "refused" for cell in Fake(seeds=SEEDS).cells() if cell.backbone == "large"}
    run = write(store, Fake(seeds=SEEDS, statuses=refused))
    content = json.loads((run / "run.json").read_text())
    del content["backbones"]["large"]
    (run / "run.json").write_text(json.dumps(content))
    assert "Left out, for every cell was refused: large." in wording.scope(analyse(store, run))


def test_backbones_of_equal_size_are_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fakes.SIZES, "medium", fakes.SIZES["small"])
    gains = {"small": 0.4, "medium": 0.4, "large": 0.1}
    sized = ask(gains, backbones=("small", "medium", "large"))
    assert " points with small and medium, of equal size and " in answer.answer(sized)
    assert "small and medium are of equal size, and count as one." in wording.scope(sized)
    alone = ask(gains, backbones=("small", "medium"))
    assert answer.answer(alone).startswith(
        "The gap of “multi” over “en” is above zero in 2 of 2 contrasts (small and med"
    )
    assert "small and medium are of equal size." in wording.scope(alone)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (0.3, "“multi” gains against “en”: the gap is +"),
        (-0.3, "“multi” loses against “en”: the gap is −"),
        (0.01, "Not resolved by this run: the gap is "),
    ],
)
def test_a_single_size(ask: Ask, gain: float, words: str) -> None:
    said = answer.answer(ask({"small": gain}, backbones=("small",)))
    assert said.startswith(words)
    assert said.endswith(" points, an interval that includes zero." if gain == 0.01 else " points.")


def test_arms_that_answer_alike(ask: Ask) -> None:
    assert "both arms answer every item alike, so their gap is 0.0" in answer.answer(
        ask(twins=True, backbones=("small",))
    )
    assert "both arms answer every item alike with every backbone" in answer.answer(ask(twins=True))


def test_targets_seen_in_their_training_language_alone_do_not_answer(ask: Ask) -> None:
    analysis = ask({"small": 0.4, "large": 0.1}, languages=("en",))
    said = answer.answer(analysis)
    assert said.startswith(
        "Not answered by this run, for no target shows zero-shot transfer: choice (evaluated only in the"
    )
    assert " There the gap is +" in said
    figure = gap_figure(analysis)
    assert figure is not None
    assert "mean over the language en that the target was trained in" in figure.caption


def test_what_an_intermediate_learnt_itself_is_left_out(ask: Ask) -> None:
    gains = {"choice": {"small": 0.4, "large": 0.1}, "names": {"small": 0.0, "large": 0.4}}
    analysis = ask(gains, targets=("choice", "names"), own=("names",))
    assert answer.answer(analysis).startswith("The gap narrows as the backbone grows")
    assert "Left out of the answer: names, target training: en learnt the task itself." in wording.scope(analysis)
    assert analysis.overall is not None
    assert [one.target for one in analysis.overall.contrasts] == ["choice"]


def test_without_a_comparison_the_answer_is_the_scores(ask: Ask) -> None:
    few = answer.answer(ask(compare=False, backbones=("small",)))
    assert few.startswith("choice (accuracy, in per cent, mean over 2 languages, not trained in): none ")
    assert "], en " in few and " and multi " in few and few.endswith("]; 9 of 9 cells finished.")
    many = answer.answer(ask(compare=False))
    assert "6 settings, from " in many and " to " in many
    victim = Cell("small", "lora", "multi", "continue", "choice", 1)
    assert "; 1 setting without all results; 8 of 9 cells" in answer.answer(
        ask(compare=False, backbones=("small",), statuses={victim: "failed"})
    )
    every = dict.fromkeys(Fake(backbones=("small",)).cells(), "failed")
    assert answer.answer(ask(compare=False, backbones=("small",), seeds=(1,), statuses=every)).startswith(
        "No cell has a"
    )


def contrast(change: Estimate, doubt: float, *, bends: bool = False, metric: str = "accuracy") -> Contrast:
    at = ((Level(1, ("a",)), Estimate(0.1, 0.05, 0.15)), (Level(2, ("b",)), Estimate(0.1, 0.05, 0.15)))
    return Contrast("lora", "stack", "choice", "", metric, at, change, bends, doubt, "", True)


UP, DOWN, FLAT = Estimate(0.03, 0.01, 0.05), Estimate(-0.03, -0.05, -0.01), Estimate(0.001, -0.004, 0.006)


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [
        ((0.04,), ("up",)),
        ((0.06,), ("open",)),
        ((0.04, 0.04), ("open", "open")),
        ((0.02, 0.04), ("up", "up")),
        ((0.02, 0.06), ("up", "open")),
    ],
)
def test_claims_allow_for_their_number(doubts: tuple[float, ...], expected: tuple[Verdict, ...]) -> None:
    assert verdicts([contrast(UP, doubt) for doubt in doubts]) == (expected, ())


def test_half_of_the_level_is_the_means() -> None:
    singles = [contrast(UP, 0.2), contrast(DOWN, 0.2)]
    assert verdicts(singles, [contrast(UP, 0.024)]) == (("open", "open"), ("up",))
    assert verdicts(singles, [contrast(UP, 0.026)])[1] == ("open",)
    assert verdicts(singles, [contrast(UP, 0.013), contrast(UP, 0.2)])[1] == ("open", "open")
    assert verdicts([contrast(FLAT, 0.7), contrast(UP, 0.2, bends=True)])[0] == ("flat", "bends")


def test_ranks_are_no_points(ask: Ask) -> None:
    """A change of 0.6 ranks is no change of less than a point, and fewer ranks are better."""
    assert verdicts([contrast(FLAT, 0.7, metric="rank_distance")])[0] == ("open",)
