"""Figures and LaTeX tables for a paper."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from adapterx.report import analyse
from adapterx.report.latex import escaped, latex
from adapterx.report.paper import write_paper
from adapterx.report.table import Table, TableColumn, TableEntry
from adapterx.store import Store
from tests.report.fake import Fake, write
from tests.support.command import adapterx

GRID = Fake(seeds=(1, 2), transfers=("continue", "stack"), bootstrap=100, items=20, steps=20)
STARTS = {"pdf": b"%PDF-", "png": b"\x89PNG", "svg": b"<?xml"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("store"))
    victim = next(cell for cell in GRID.cells() if cell.intermediate == "multi")
    write(store, replace(GRID, statuses={victim: "failed"}))
    return store.root


def test_every_figure_and_table_is_written(root: Path, tmp_path: Path) -> None:
    done = adapterx("figures", "fake", "--out", tmp_path / "paper", "--dpi", "60", "--store", root)
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert all(path.is_file() and path.stat().st_size for path in paths)
    names = {path.name for path in paths}
    assert {
        "gap.pdf",
        "gap.svg",
        "gap.png",
        "loss-choice-1.pdf",
        "loss-choice-2.pdf",
        "gaps.tex",
        "preview.tex",
    } <= names
    for path in paths:
        if path.suffix != ".tex":
            assert path.read_bytes().startswith(STARTS[path.suffix.removeprefix(".")])
    svg = (tmp_path / "paper" / "gap.svg").read_text()
    assert "currentColor" not in svg, "a paper has its own black"
    preview = (tmp_path / "paper" / "preview.tex").read_text()
    shown = re.findall(r"\\(?:input|includegraphics\[[^]]*\])\{([^}]*)\}", preview)
    assert shown and {name if name.endswith(".tex") else f"{name}.pdf" for name in shown} <= names


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        analysis = analyse(Store(root), root / "runs" / "fake")
        written = write_paper(analysis, tmp_path / name, ("pdf", "svg"))
        contents.append({path.name: path.read_bytes() for path in written})
    assert contents[0] == contents[1]


def test_unknown_formats_are_refused(root: Path, tmp_path: Path) -> None:
    done = adapterx("figures", "fake", "--out", tmp_path, "--formats", "pdf,gif", "--store", root)
    assert done.returncode == 2 and "gif: figures are written as pdf, svg, png" in done.stderr


def rows(text: str) -> list[list[str]]:
    """The cells of every line of a table, unescaped & apart."""
    lines = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    return [re.split(r" (?<!\\)& ", line) for line in lines]


def test_tables_have_as_many_columns_in_every_row(root: Path, tmp_path: Path) -> None:
    analysis = analyse(Store(root), root / "runs" / "fake")
    tables = [path for path in write_paper(analysis, tmp_path, ("svg",)) if path.suffix == ".tex"]
    for path in tables:
        text = path.read_text()
        if path.name == "preview.tex":
            continue
        letters = re.findall(r"\\begin\{tabular\}\{@\{\}(l*r*)@\{\}\}", text)
        assert len(letters) == 1, text
        for row in rows(text):
            spans = [int(found[1]) if (found := re.match(r"\\multicolumn\{(\d+)\}", cell)) else 1 for cell in row]
            assert sum(spans) == len(letters[0]), row
        assert [text.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")
        assert not re.search(r"(?<!\\)[%#](?!$)|\\hline", plain, re.MULTILINE)


@pytest.mark.skipif(not which("pdflatex"), reason="no pdflatex here")
def test_the_preview_is_set_and_nothing_leaves_the_page(root: Path, tmp_path: Path) -> None:
    columns = (TableColumn("name", label=True), *(TableColumn(f"language {at}", group="others") for at in range(40)))
    large = Table("large", "More than a page.", columns, ((TableEntry("12.3"),) * 41,) * 90)
    write_paper(analyse(Store(root), root / "runs" / "fake"), tmp_path, ("pdf",))
    (tmp_path / "large.tex").write_text(latex(large))
    preview = tmp_path / "preview.tex"
    preview.write_text(preview.read_text().replace(r"\end{document}", "\\input{large.tex}\n\\end{document}"))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", preview.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0 and "Output written on preview.pdf" in done.stdout, done.stdout
    log = (tmp_path / "preview.log").read_text(errors="replace")
    assert not re.findall(r"Overfull .hbox.*|Float too large.*", log)


def test_whatever_stands_in_a_table_is_text() -> None:
    hostile = "50% & a_b #1 {x} ~^ $y$ \\input{secret} <i>\nnext"
    assert escaped(hostile) == (
        r"50\% \& a\_b \#1 \{x\} \textasciitilde{}\textasciicircum{} \$y\$ \textbackslash{}input\{secret\}"
        r" \textless{}i\textgreater{} next"
    )
    columns = (TableColumn("name", label=True), TableColumn("gap", group="mean"), TableColumn("n", group="mean"))
    entries = (TableEntry(hostile), TableEntry("−1.5", "[−2.0, −1.0]", tone="strong"), TableEntry("3"))
    text = latex(Table("t", "Gap − in 100%", columns, (entries, entries), ("a_note",), footer=1))
    assert r"\caption{Gap $-$ in 100\%}" in text and r"\label{tab:t}" in text and r"a\_note" in text
    assert r" & \multicolumn{2}{c}{mean} \\" in text and r"\cmidrule(lr){2-3}" in text
    assert r"\textbf{$-$1.5}\,{\scriptsize [$-$2.0, $-$1.0]} & 3 \\" in text
    assert text.count(r"\midrule") == 2
    missing = (TableEntry("a"), TableEntry("1 of 2 seeds (multi: 1 failed)", tone="missing"), TableEntry("3"))
    assert r"a & \textit{1 of 2 seeds} & 3 \\" in latex(Table("t", "", columns, (missing,)))
