from __future__ import annotations

from tools.tasks_page import REFERENCE, pages


def test_the_pages_of_tasks_are_those_of_the_catalog() -> None:
    there = {path.relative_to(REFERENCE) for path in [REFERENCE / "tasks.md", *(REFERENCE / "tasks").iterdir()]}
    written = {path: (REFERENCE / path).read_text(encoding="utf-8") for path in there}
    assert written == pages(), "write them anew: python -m tools.tasks_page"
