"""A table as LaTeX with the rules of booktabs."""

from __future__ import annotations

import re
from itertools import groupby

from adapterx.report.table import Rows, Table, TableEntry
from adapterx.wording import plain

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{DAGGER}": r"\textdagger{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{SQUARE ROOT}": r"$\surd$",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
}
WIDE, TALL = 8, 35
"""More columns or rows than these may not fit a page: such tables are made smaller where they do not."""
_FIT_WIDTH = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_FIT_HEIGHT = r"\resizebox*{!}{\ifdim\totalheight>0.85\textheight 0.85\textheight\else\totalheight\fi}{%"
_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)))


def escaped(text: str) -> str:
    """A text as LaTeX that sets it as it is, on one line."""
    return _SPECIAL.sub(lambda mark: _ESCAPES[mark[0]], plain(" ".join(text.split()), longest=None))


def latex(table: Table) -> str:
    """A floating table with its caption, a label `tab:NAME`, and its notes below. Needs booktabs, and graphicx where it
    is wide or tall.
    """
    fits = [_FIT_WIDTH] * (len(table.columns) > WIDE) + [_FIT_HEIGHT] * (len(table.rows) > TALL)
    letters = "".join("l" if column.label else "r" for column in table.columns)
    lines = [
        r"\begin{table}[tbp]",
        r"\centering",
        r"\footnotesize" if table.dense or len(table.columns) > 10 else r"\small",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\setlength{\tabcolsep}{3.5pt}",
        *fits,
        rf"\begin{{tabular}}{{@{{}}{letters}@{{}}}}",
        r"\toprule",
        *_groups(table),
        _line([escaped(column.title) for column in table.columns]),
        r"\midrule",
    ]
    split = len(table.rows) - table.footer
    lines += _rows(table, table.rows[:split])
    if table.footer:
        lines += [r"\midrule", *_rows(table, table.rows[split:])]
    lines += [r"\bottomrule", r"\end{tabular}" + "}" * len(fits)]
    lines += [rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {escaped(note)}}}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _groups(table: Table) -> list[str]:
    """A line of headings over neighbours, and the short rules below them; nothing without groups."""
    if not any(column.group for column in table.columns):
        return []
    cells, rules, at = [], [], 1
    for title, columns in groupby(table.columns, lambda column: column.group):
        width = len(list(columns))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}" if title else " & " * (width - 1))
        if title:
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    return [_line(cells), " ".join(rules)]


def _rows(table: Table, rows: Rows) -> list[str]:
    """Lines of rows; a label that only repeats the one above is left out."""
    labels = [column.label for column in table.columns]
    leading = labels.index(False) if False in labels else 0
    found: list[str] = []
    above: tuple[TableEntry, ...] = ()
    for row in rows:
        same = [bool(above) and row[: at + 1] == above[: at + 1] for at in range(leading)]
        texts = ["" if at < leading and same[at] and not all(same) else _entry(entry) for at, entry in enumerate(row)]
        found.append(_line(texts))
        above = row
    return found


def _entry(entry: TableEntry) -> str:
    """An entry; of what is missing how much there is, the reason being for report.md."""
    if entry.tone == "missing":
        return rf"\textit{{{escaped(entry.text.partition(' (')[0])}}}"
    text = escaped(entry.text)
    if entry.tone == "strong" and text:
        text = rf"\textbf{{{text}}}"
    return rf"{text}\,{{\scriptsize {escaped(entry.interval)}}}" if entry.interval else text


def _line(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"
