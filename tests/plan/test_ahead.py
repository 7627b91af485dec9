"""Which splits a plan has read together, before it asks for any."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.plan import build
from adapterx.tasks.facts import Seen, Split
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks


class Spy:
    """Notes what it is asked, in order; knows the sizes of English."""

    def __init__(self) -> None:
        self.ahead_of: list[Sequence[Split]] = []
        self.looked: list[Split] = []

    def __call__(self, task: str, source: str, language: str, split: str) -> Seen:
        assert self.ahead_of, "looks come after it was told of them"
        self.looked.append((task, source, language, split))
        return Seen()

    def ahead(self, asked: Sequence[Split]) -> None:
        self.ahead_of.append(asked)

    def size(self, asked: Split) -> int | None:
        return 7 if asked[2] == "en" else None


def test_all_that_a_grid_reads_is_told_once_and_beforehand() -> None:
    asked_for = recipe(
        intermediates={"none": None, "multi": {"tasks": ["units", "text"], "languages": ["en", "de"]}},
        targets={"months": {"task": "months", "languages": "all"}},
        train={"steps": 2, "target": {"early_stopping": {"every": 1, "patience": 1}}},
    )
    spy, tasks = Spy(), FakeTasks()
    build(asked_for, None, FakeBackbones(), tasks, look=spy)
    (told,) = spy.ahead_of
    assert len(told) == len(set(told))
    assert {*spy.looked} <= {*told}
    assert {*told} == {
        *(("units", "embedded", code, "train") for code in ("en", "de")),
        *(("text", "embedded", code, "train") for code in ("en", "de")),
        *(("months", "embedded", code, "test") for code in ("en", "de", "fi")),
        *(("months", "embedded", "en", split) for split in ("train", "dev")),
    }
    assert not [one for one in tasks.asked if one.startswith("sizes") and " en " in one], "known from the look"
