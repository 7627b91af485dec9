from __future__ import annotations

from tests.support.command import ROOT
from tools.tasks_page import page


def test_the_page_of_tasks_is_that_of_the_catalog() -> None:
    written = (ROOT / "docs" / "reference" / "tasks.md").read_text(encoding="utf-8")
    assert written == page(), "write it anew: python -m tools.tasks_page > docs/reference/tasks.md"
