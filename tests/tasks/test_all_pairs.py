"""No clean pair is refused: all splits to learn from or choose by, against all test sets, of the benchmarks at hand.

A refusal is right where the catalog declares that one split is made of the other, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.tasks import data
from adapterx.tasks.catalog import names
from adapterx.tasks.contamination import Relations
from adapterx.tasks.contents import Contents
from adapterx.tasks.examples import Split
from adapterx.tasks.facts import TaskPart

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def parts() -> dict[tuple[str, str, Split], TaskPart]:
    """Every split of every task of the catalog whose files are here, in all its languages."""
    found = {}
    for task in names():
        spec = data.find(task)
        here = [name for name, source in spec.sources.items() if not (source.generated or source.remote)]
        for source in here:
            for split in SPLITS:
                languages = tuple(code for code in spec.languages if _holds(task, source, code, split))
                if languages:
                    part = TaskPart(task, spec.format, spec.labels, source, languages, "", spec.tokens)
                    found[task, source, split] = part
    return found


def _holds(name: str, source: str, language: str, split: Split) -> bool:
    try:
        return bool(data.sizes(data.find(name), source, language, split))
    except (OSError, ValueError):
        return False


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.usefixtures("benchmarks")
def test_no_clean_pair_is_refused(tmp_path: Path) -> None:
    relations, known = Relations(Contents(None, tmp_path)), parts()
    pairs, refused = 0, []
    for (_, _, split), used in known.items():
        for (_, _, other), scored in known.items():
            if split == "test" or other != "test":
                continue
            pairs += 1
            leak = relations(used, scored, split).leak
            if leak is not None and "(derived_from)" not in leak:
                refused.append(leak)
    assert pairs >= 400
    assert refused == []
