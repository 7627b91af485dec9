"""Tables on terminals of every width: nothing cut, rows told apart."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from adapterx.terminal import Column, TextGrid, folded

WIDTHS = (60, 61, 67, 74, 80, 99, 100, 120, 139, 160, 200)


def printed(renderable: RenderableType, width: int) -> str:
    buffer = StringIO()
    Console(file=buffer, width=width, color_system=None).print(renderable)
    return buffer.getvalue()


def grid(seed: int) -> tuple[TextGrid, list[list[str]]]:
    """Rows that differ in one letter of one long name, beside numbers."""
    generator = np.random.default_rng(seed)
    names = int(generator.integers(1, 6))
    length = int(generator.integers(3, 64))
    marks = ["-", "_", ".", "x"]
    shared = ["".join(generator.choice([*"abc", *marks], length)) for _ in range(names)]
    rows = []
    for number in range(8):
        labels = [*shared]
        labels[int(generator.integers(names))] += str(number)
        numbers = [f"{generator.uniform(0, 100):.1f}" for _ in range(int(seed % 5))]
        rows.append([*labels, *numbers])
    columns = [Column(f"axis {at}", folds=True, names=True) for at in range(names)]
    columns += [Column("a number", right=True) for _ in range(seed % 5)]
    return TextGrid(columns, [[Text(one) for one in row] for row in rows], rule=bool(seed % 2)), rows


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_at_any_width(seed: int, width: int) -> None:
    table, rows = grid(seed)
    text = printed(table, width)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    if table.widths(width) is None:
        together = "".join(text.split()).replace("anumber", "").replace("·", "")
        assert all("".join(row) in together for row in rows)
    else:
        widths = table.widths(width)
        assert widths is not None
        assert _columns_read_back(text, widths, rule=table.rule) == [
            "".join(parts) for parts in zip(*rows, strict=True)
        ]


def _columns_read_back(text: str, widths: list[int], *, rule: bool) -> list[str]:
    """What stands in each column below its title, line after line."""
    lines = text.splitlines()[1 + rule :]
    starts = [sum(widths[:at]) + 2 * at for at in range(len(widths))]
    return ["".join(line[start : start + w].strip() for line in lines) for start, w in zip(starts, widths, strict=True)]


def test_a_table_that_fits_stays_a_table() -> None:
    rows = [[Text("  small.lora"), Text("12")], [Text("kind")], [Text("  large.lora"), Text("3")]]
    table = TextGrid((Column("stage", folds=True, names=True), Column("memory", right=True)), rows)
    assert printed(table, 60) == "stage         memory\n  small.lora      12\nkind\n  large.lora       3\n"
    assert printed(table, 12) == "  small.lora\n    memory\n    12\nkind\n  large.lora\n    memory 3\n"


def test_folding_breaks_at_marks_and_keeps_the_indent() -> None:
    assert [one.plain for one in folded(Text("  a-long.name_of parts"), 10)] == ["  a-long.", "  name_of", "  parts"]
    assert [one.plain for one in folded(Text("abcdefghij"), 4)] == ["abcd", "efgh", "ij"]
    assert [one.plain for one in folded(Text("日本語テスト"), 5)] == ["日本", "語テ", "スト"]
    assert [one.plain for one in folded(Text("short"), 5)] == ["short"]
