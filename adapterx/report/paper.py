"""Figures and tables of a report for a paper: PDF, SVG and PNG by matplotlib, and LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterx.report.analysis import Analysis
from adapterx.report.document import document
from adapterx.report.drawing import MARKERS, STYLE, DrawnPanel, Figure, Key, recorded
from adapterx.report.latex import latex
from adapterx.report.sections import sections
from adapterx.store import write_text
from adapterx.store.atomic import write_stream

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

FORMATS = ("pdf", "svg", "png")
"""What figures are written as."""
_METADATA: dict[str, dict[str, Any]] = {
    # No times, so that the same results give the same bytes.
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
_PREVIEW = r"""% Every table and figure of a run, to look at them: pdflatex preview.tex
\documentclass{article}
\usepackage[landscape,margin=1.5cm]{geometry}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx,textcomp}
\begin{document}
"""


def write_paper(analysis: Analysis, out: Path, formats: Sequence[str] = FORMATS, dpi: int = 300) -> list[Path]:
    """Write every figure in every format, every table as LaTeX, and a document that shows them all.

    A figure of several panels is one file for each, so that they can be laid out as a paper needs them; legends are in
    each. Captions stand in the tables' files, and of figures in the document.

    Returns:
        The files, figures first.
    """
    with recorded() as drawn:
        laid_out = document(analysis)
    parts = [part for section in sections(laid_out) for part in section.parts if section.in_markdown or _drawn(part)]
    figures = [part for part in parts if isinstance(part, Figure)]
    written: list[Path] = []
    shown = _PREVIEW
    for figure in figures:
        names = [name for name, panel in _named(figure, drawn) if _save(panel, figure.keys, out / name, formats, dpi)]
        written += [out / f"{name}.{form}" for name in names for form in formats]
        shown += _figure(figure.caption, names)
    for table in (part for part in parts if not isinstance(part, Figure)):
        path = out / f"{table.name}.tex"
        write_text(path, latex(table))
        written.append(path)
        shown += f"\\input{{{table.name}.tex}}\n"
    write_text(out / "preview.tex", f"{shown}\\end{{document}}\n")
    return [*written, out / "preview.tex"]


def _drawn(part: object) -> bool:
    return isinstance(part, Figure)


def _named(figure: Figure, drawn: Sequence[DrawnPanel]) -> Iterator[tuple[str, DrawnPanel]]:
    """A figure's panels with the names of their files."""
    by_svg = {one.svg: one for one in drawn}
    for number, svg in enumerate(figure.panels, start=1):
        if svg in by_svg:
            yield figure.name if len(figure.panels) == 1 else f"{figure.name}-{number}", by_svg[svg]


def _save(panel: DrawnPanel, keys: Sequence[Key], path: Path, formats: Sequence[str], dpi: int) -> bool:
    import matplotlib as mpl

    with mpl.rc_context({**STYLE, "svg.fonttype": "path", "pdf.fonttype": 42}):
        if keys:
            panel.canvas.legend(
                handles=[_handle(key) for key in keys],
                loc="outside lower center",
                ncols=min(3, len(keys)),
                frameon=False,
                fontsize=7,
            )
        for form in formats:
            save = partial(panel.canvas.savefig, format=form, dpi=dpi, metadata=_METADATA[form])
            write_stream(path.with_name(f"{path.name}.{form}"), save)
    return True


def _handle(key: Key) -> Line2D:
    from matplotlib.lines import Line2D

    # Dashes of a legend on the page are twice as long as those that are drawn.
    dashes = tuple(float(length) / 2 for length in key.dash.split())
    style: Any = (0, dashes) if dashes else "-"
    return Line2D(
        [], [], color=key.colour, marker=MARKERS.get(key.marker, ""), linestyle=style, label=key.label, markersize=4
    )


def _figure(caption: str, names: Sequence[str]) -> str:
    from adapterx.report.latex import escaped

    panels = "\n".join(rf"\includegraphics[width=0.32\linewidth]{{{name}}}" for name in names)
    return f"\\begin{{figure}}[p]\\centering\n{panels}\n\\caption{{{escaped(caption)}}}\n\\end{{figure}}\n"
