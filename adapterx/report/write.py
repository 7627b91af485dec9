"""Writing a report beside its run, in the place of the one before."""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from adapterx.reading import read_json
from adapterx.report import texts
from adapterx.report.analysis import Analysis, analyse
from adapterx.report.document import document
from adapterx.report.exports import report_json, report_markdown, results_csv
from adapterx.report.html import page
from adapterx.results.run_file import state_of
from adapterx.stopping import shielded
from adapterx.store import Store, write_json, write_text
from adapterx.store.atomic import synchronise
from adapterx.store.store import RUN

FOLDER, NOTE = "report", "OUTDATED.txt"
_NEW, _FORMER = ".report-new-", ".report-former-"
_ABANDONED = 3600.0
"""Seconds after which nobody is writing a report any more."""
OUTDATED = (
    "this report is of an earlier state of the recipe, which has been run since and did not come to its end;"
    " `adapterx run` goes on with it, and `adapterx report` reports what is stored so far"
)


def build(store: Store, run_dir: Path, beside: Path | None = None) -> Path:
    """Analyse a run and write its report; returns the path of the HTML page. `beside` as for `write`.

    Raises FileNotFoundError or ValueError, naming the file, if `run_dir` holds no readable run.json.
    """
    return write(analyse(store, run_dir), run_dir, beside)


def write(analysis: Analysis, run_dir: Path, beside: Path | None = None) -> Path:
    """Write index.html, report.md, results.csv and report.json into the run's `report` directory.

    The same analysis gives the same bytes. All four are written aside first and take the place of the former directory
    together, so that whoever is interrupted leaves the former report as it was.

    Args:
        beside: where tasks of the user's own are found, whose texts are shown; None for the catalog's alone.
    """
    laid_out = document(analysis, texts.read(analysis.results, beside))
    _sweep(run_dir)
    aside = run_dir / f"{_NEW}{secrets.token_hex(4)}"
    try:
        write_text(aside / "results.csv", results_csv(analysis))
        write_json(aside / "report.json", report_json(analysis, laid_out))
        write_text(aside / "report.md", report_markdown(laid_out))
        write_text(aside / "index.html", page(laid_out))
        with shielded():
            _replace(run_dir / FOLDER, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return run_dir / FOLDER / "index.html"


def mark_outdated(run_dir: Path) -> Path | None:
    """Leave a note beside a report that is of another state of the run than its run.json, until the next is written.

    Returns:
        The note; None where there is no report, or it is of this state.
    """
    folder = run_dir / FOLDER
    if not (folder / "index.html").is_file() or _state(folder) == state_of((run_dir / RUN).read_bytes()):
        return None
    write_text(folder / NOTE, f"{OUTDATED[0].upper()}{OUTDATED[1:]}.\n")
    return folder / NOTE


def _state(folder: Path) -> object:
    """What state of its run a report is of; None where it does not say."""
    try:
        content = read_json(folder / "report.json", largest=None)
    except (OSError, ValueError):
        return None
    return content.get("run_state") if isinstance(content, dict) else None


def _replace(folder: Path, new: Path) -> None:
    """Put a directory in the place of another, which goes. Several processes may do so at once."""
    placed = False
    while not placed:
        former = folder.with_name(f"{_FORMER}{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            folder.rename(former)
        try:
            new.rename(folder)
            placed = True
        except OSError as error:
            # Another process may have put its report there meanwhile, which this one replaces in its turn.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                if former.exists():
                    former.rename(folder)
                raise
        shutil.rmtree(former, ignore_errors=True)
    synchronise(folder.parent)


def _sweep(run_dir: Path) -> None:
    """Remove what killed writers left; where one was killed between two renames, put the former report back."""
    for former in run_dir.glob(f"{_FORMER}*"):
        if (run_dir / FOLDER).exists():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.rename(run_dir / FOLDER)
    for left in run_dir.glob(f"{_NEW}*"):
        with suppress(FileNotFoundError):  # its writer may be at work, and done by now
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
