"""Progress is shown throughout: lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io

from rich.console import Console

from adapterx.engine.train import Progress
from adapterx.executors.progress import QUIET_SECONDS, RunProgress
from adapterx.plan import Stage, build
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks


def targets(**changes: object) -> list[Stage]:
    """Target stages of the small recipe with changes."""
    plan = build(recipe(**changes), None, FakeBackbones(), FakeTasks())
    return [stage for stage in plan.stages.values() if stage.kind == "target"]


def test_lines_come_at_stage_ends_and_never_rarer_than_promised() -> None:
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1, 2])[:2]
    output, now = io.StringIO(), [0.0]
    with RunProgress(Console(file=output, width=80), stages, clock=lambda: now[0]) as progress:
        progress.begin(stages)
        for step in range(1, 101):
            now[0] += 1.0
            progress.steps(Progress(tuple((stage.label, step, 100, 0.5) for stage in stages)))
        progress.end(stages)
    lines = output.getvalue().splitlines()
    assert lines[0].startswith("[  0%] training b.") and lines[-1].startswith("[100%] trained b.")
    assert len(lines) == 2 + 100 // QUIET_SECONDS
    assert "[ 50%]" in lines[5] and "step 50 of 100, loss 0.500" in lines[5] and "about 50 s left" in lines[5]


def test_a_stage_that_was_not_planned_adds_to_the_work() -> None:
    """An input that was stored, found damaged, and is made anew."""
    planned, more = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1, 2])[:2]
    output, now = io.StringIO(), [0.0]
    with RunProgress(Console(file=output, width=80), [planned], clock=lambda: now[0]) as progress:
        for stage in (more, planned):
            progress.begin([stage])
            now[0] += 20.0
            progress.steps(Progress(((stage.label, 100, 100, 0.5),)))
            progress.end([stage])
    ends = [line[:6] for line in output.getvalue().splitlines() if "] trained" in line]
    assert ends == ["[ 50%]", "[100%]"]


def test_candidates_that_have_left_are_done() -> None:
    prune = {"learning_rates": [1e-4, 1e-3, 1e-2, 1e-1]}
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1], train={"prune": prune})[:1]
    output, now = io.StringIO(), [0.0]
    with RunProgress(Console(file=output, width=80), stages, clock=lambda: now[0]) as progress:
        progress.begin(stages)
        for step, candidates in ((20, 4), (40, 2), (60, 1)):
            now[0] += QUIET_SECONDS
            progress.steps(Progress(tuple(("candidate", step, 100, 0.5) for _ in range(candidates))))
    shares = [line.split("]")[0].strip("[ ") for line in output.getvalue().splitlines()]
    assert shares == ["0%", "20%", "70%", "90%"]


def test_a_terminal_gets_a_bar() -> None:
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1])[:1]
    output = io.StringIO()
    with RunProgress(Console(file=output, width=80, force_terminal=True), stages) as progress:
        progress.begin(stages)
        progress.end(stages, "diverged: no")
    assert "100%" in output.getvalue() and "━━━━" in output.getvalue()


def test_an_evaluation_is_shown_while_it_reads() -> None:
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1, 2])[:2]
    output, now = io.StringIO(), [0.0]
    with RunProgress(Console(file=output, width=80), stages, clock=lambda: now[0]) as progress:
        progress.begin(stages)
        passed = progress.passes(400, 1000, "items (5 languages × 2 cells)")
        for _ in range(8):
            now[0] += QUIET_SECONDS / 2
            passed(50, 125)
        progress.end(stages)
    lines = output.getvalue().splitlines()
    assert len(lines) == 1 + 4 + 1, "no rarer than promised, no oftener"
    assert lines[2].startswith("[ 50%]") and "200 of 400 items (5 languages × 2 cells)" in lines[2]
    assert "about 20 s left" in lines[2]


def test_a_stage_that_is_to_be_made_again_is_more_work() -> None:
    first, again = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1, 2])[:2]
    output = io.StringIO()
    with RunProgress(Console(file=output, width=80), [first], clock=lambda: 0.0) as progress:
        progress.begin([again])
        progress.end([again])
        progress.begin([first])
        progress.end([first])
    ended = [line.split("]")[0] for line in output.getvalue().splitlines() if "trained" in line]
    assert ended == ["[ 50%", "[100%"]
