"""Writing a report beside its run."""

from __future__ import annotations

from pathlib import Path

from adapterx.report.analysis import Analysis, analyse
from adapterx.report.document import document
from adapterx.report.exports import report_json, report_markdown, results_csv
from adapterx.report.html import page
from adapterx.store import Store, write_json, write_text


def build(store: Store, run_dir: Path) -> Path:
    """Analyse a run and write its report; returns the path of the HTML page.

    Raises FileNotFoundError or ValueError, naming the file, if `run_dir` holds no readable run.json.
    """
    return write(analyse(store, run_dir), run_dir)


def write(analysis: Analysis, run_dir: Path) -> Path:
    """Write index.html, report.md, results.csv and report.json into the run's `report` directory.

    The same analysis gives the same bytes.
    """
    directory, laid_out = run_dir / "report", document(analysis)
    write_text(directory / "results.csv", results_csv(analysis))
    write_json(directory / "report.json", report_json(analysis, laid_out))
    write_text(directory / "report.md", report_markdown(laid_out))
    write_text(directory / "index.html", page(laid_out))
    return directory / "index.html"
