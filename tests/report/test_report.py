from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from adapterx import report
from adapterx.plan.cells import Cell
from adapterx.report.curve_figure import curve_figures
from adapterx.report.efficiency_figure import efficiency_figures
from adapterx.report.gap_figure import gap_figure
from adapterx.store import Store
from tests.report.fake import Fake, write

GRID = Fake(seeds=(1, 2), transfers=("continue", "stack"), targets=("choice", "names"), tagging=("names",))
VOID = {"meta", "path", "line", "circle", "rect", "use", "polygon", "image", "br"}


class Page(HTMLParser):
    """Checks nesting and collects attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID or tag == "image":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small grid with one cell of every kind of trouble."""
    cells = list(GRID.cells())
    troubles = ("failed", "diverged", "collapsed", "out-of-memory", "out-of-disk", "missing", "refused", "blocked")
    store = Store(tmp_path_factory.mktemp("store"))
    statuses = dict(zip(cells[3::5], troubles, strict=False))
    return report.build(store, write(store, replace(GRID, statuses=statuses))).parent


def test_the_page_stands_alone(built: Path) -> None:
    html = (built / "index.html").read_text()
    page = Page(html)
    assert not page.open
    assert "://" not in html
    assert not re.search(r"<(link|iframe|img|object|embed)\b|@import|<script\b[^>]*\bsrc\b", html)
    assert html.count("<script") == 2, "its data and its own script"
    assert "default-src 'none'" in html, "the browser is told to ask nobody either"
    assert all(value.startswith("#") for name in ("href", "src", "xlink:href") for value in page.values(name))
    ids = Counter(page.values("id"))
    assert [one for one, times in ids.items() if times > 1] == []
    assert {value[1:] for value in page.values("href")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_the_page_shows_every_status_with_its_message(built: Path) -> None:
    text = Page((built / "index.html").read_text()).text
    for status in ("failed", "diverged", "collapsed", "out-of-memory", "out-of-disk", "missing", "refused", "blocked"):
        assert status in text
    assert "failed at step 7 <of> 40" in text
    assert "1 of 2 seeds" in text
    for section in ("The gap", "Scores", "Failed cells", "Training", "Method", "Provenance", "Recipe"):
        assert section in text
    assert "seeds=[1]" in text
    assert "0123456789abcdef" in text
    assert "73,728" in text


def test_a_run_without_failures_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    page = report.build(store, write(store, Fake()))
    assert "None: all 6 cells finished." in page.read_text()
    assert "None: all 6 cells finished." in (page.parent / "report.md").read_text()


@pytest.mark.parametrize(
    "fake",
    [
        Fake(backbones=("small",), compare=False),
        Fake(backbones=("small",)),
        Fake(languages=("en",)),
        Fake(sources=()),
        Fake(
            methods=("lora", "pfeiffer"), statuses=dict.fromkeys(Fake(methods=("lora", "pfeiffer")).cells(), "failed")
        ),
        Fake(statuses=dict.fromkeys(Fake().cells(), "missing")),
        Fake(statuses=dict.fromkeys(Fake().cells(), "refused")),
    ],
    ids=["no-compare", "one-backbone", "one-language", "no-source", "all-failed", "all-missing", "all-refused"],
)
def test_a_report_can_always_be_built(tmp_path: Path, fake: Fake) -> None:
    store = Store(tmp_path)
    run = write(store, fake)
    page = report.build(store, run)
    assert not Page(page.read_text()).open
    shown = len([status for status in fake.statuses.values() if status != "done"])
    assert len(json.loads((page.parent / "report.json").read_text())["cells"]) == len(list(fake.cells()))
    with (page.parent / "results.csv").open() as file:
        assert sum(row["value"] == "" for row in csv.DictReader(file)) == shown
    Console(quiet=True).print(report.summary(report.analyse(store, run)))


@pytest.mark.parametrize("by", ["backbones", "methods", "transfers", "targets"])
def test_gaps_can_be_drawn_along_any_axis(tmp_path: Path, by: str) -> None:
    store = Store(tmp_path)
    run = write(store, replace(GRID, seeds=(1,), methods=("lora", "pfeiffer")))
    path = run / "run.json"
    path.write_text(path.read_text().replace('"by": "backbones"', f'"by": "{by}"'))
    figure = gap_figure(report.analyse(store, run))
    assert figure is not None
    panels = {"targets": ["small", "large"]}.get(by, ["choice", "names"])
    assert [re.findall(r">(small|large|choice|names)</text>", panel)[-1] for panel in figure.panels] == panels
    varying = {"backbones": 4, "methods": 4, "transfers": 4, "targets": 4}[by]
    assert len(figure.keys) == varying


def test_curves_show_every_training_that_ran(tmp_path: Path) -> None:
    store = Store(tmp_path)
    analysis = report.analyse(store, write(store, Fake(seeds=(1, 2))))
    figures = curve_figures(analysis)
    assert [figure.name for figure in figures] == ["loss-intermediate", "loss-choice"]
    assert [len(figure.panels) for figure in figures] == [2, 2]
    lines = [len(re.findall(r"stroke-width: 0\.9", panel)) for figure in figures for panel in figure.panels]
    assert lines == [4, 4, 6, 6]


def test_dev_scores_have_curves_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    analysis = report.analyse(store, write(store, Fake(seeds=(1, 2))))
    refs = [ref for ref in analysis.results.stages if ref.kind == "target"]
    scored = {ref: ((10, 0.25 + 0.01 * place), (40, 0.75)) for place, ref in enumerate(refs)}
    (*_, figure) = curve_figures(replace(analysis, results=replace(analysis.results, dev_scores=scored)))
    assert figure.name == "dev-choice" and len(figure.panels) == 2 and figure.data is not None
    assert [row[0].text for row in figure.data.rows] == [ref.label for ref in refs]
    assert [row[-1].text for row in figure.data.rows] == ["0.750"] * len(refs)
    assert figure.data.rows[1][2].text == "0.260", "before the first score nothing is known but it"
    assert any("dev score 0.750 at the end" in panel for panel in figure.panels)


def test_scores_are_drawn_against_what_they_cost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    analysis = report.analyse(store, write(store, Fake(methods=("lora", "pfeiffer"), accuracy=rising)))
    (figure,) = efficiency_figures(analysis)
    assert figure.name == "price-choice" and len(figure.panels) == 2
    labels = [f"{backbone} · {method}" for backbone in ("small", "large") for method in ("lora", "pfeiffer")]
    assert [key.label for key in figure.keys] == labels
    assert figure.data is not None and len(figure.data.rows) == 12
    assert all(panel.count('class="mark"') == 12 for panel in figure.panels)
    assert "trained parameters" in figure.panels[0] and "seconds a seed" in figure.panels[1]


def rising(cell: Cell, _: str) -> float:
    return 0.6 if cell.backbone == "small" else 0.7


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        store = Store(tmp_path / name)
        directory = report.build(store, write(store, GRID)).parent
        contents.append({path.name: path.read_bytes() for path in directory.iterdir()})
    assert set(contents[0]) == {"index.html", "report.md", "results.csv", "report.json"}
    assert contents[0] == contents[1]


def test_the_csv_is_tidy(built: Path) -> None:
    with (built / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    failed = [row for row in rows if row["status"] not in ("done", "collapsed")]
    cells = json.loads((built / "report.json").read_text())["cells"]
    assert len(failed) == sum(cell["status"] not in ("done", "collapsed") for cell in cells) >= 7
    assert all(row["value"] == row["language"] == "" for row in failed)
    scored = [row for row in rows if row["value"]]
    place = ("backbone", "method", "intermediate", "transfer", "target", "seed", "language", "metric")
    assert len({tuple(row[key] for key in place) for row in scored}) == len(scored)
    for row in scored:
        assert 0 <= float(row["low"]) <= float(row["value"]) <= float(row["high"]) <= 1
        assert row["n"] == "50"
        assert row["interval"] == "Wilson's over items (jackknife)"
        assert row["trained_in"] == str(row["language"] == "en").lower()


def test_the_json_agrees_with_the_page(built: Path) -> None:
    content = json.loads((built / "report.json").read_text())
    page = Page((built / "index.html").read_text()).text
    assert content["answer"] in page
    assert content["question"] in page
    intervals = content["intervals"]
    assert intervals["level"] == 0.95
    assert "jackknife" in intervals["means"] and "pooled over settings" in intervals["means"]
    assert "jackknife" in page and "pooled over all settings" in page
    assert "jackknife" in (built / "report.md").read_text()
    missing = [gap for gap in content["gaps"] if "missing" in gap["mean"]]
    assert missing
    assert all(set(gap["others"]) in ({"missing"}, {"value", "low", "high"}) for gap in content["gaps"])


def test_the_summary_has_one_row_per_setting_and_ends_with_the_answer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fake = Fake(seeds=(1, 2), targets=("choice", "names"), tagging=("names",))
    victim = next(cell for cell in fake.cells() if cell.intermediate == "multi")
    analysis = report.analyse(store, write(store, replace(fake, statuses={victim: "out-of-memory"})))
    console = Console(width=140)
    with console.capture() as captured:
        console.print(report.summary(analysis))
    lines = [line.split() for line in captured.get().splitlines()]
    rows = [line for line in lines if line[:1] in (["small"], ["large"])]
    assert len(rows) == 2 * 3 * 2
    hit = next(row for row in rows if "out-of-memory," in row)
    assert " ".join(hit) == "small multi continue choice – – 1 of 2 seeds 1 out-of-memory, 1 done"
    answered = " ".join(captured.get().split())
    assert "is missing in 1 (choice)" in answered
    assert f"{victim.label} ran out of memory" in answered


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_the_rows_of_the_summary_differ_at_any_width(width: int, tmp_path: Path) -> None:
    store = Store(tmp_path)
    targets = ("linguistic-acceptability-of-questions", "linguistic-acceptability-of-answers")
    fake = Fake(targets=targets, methods=("lora-of-all-layers", "lora-of-top-layers"), bootstrap=100)
    analysis = report.analyse(store, write(store, fake))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(report.summary(analysis))
    text = captured.get().partition("\n\n")[0]  # the table, before the sentences
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    if width == 60:  # each row is a paragraph
        together = "".join(text.split())
        assert all(together.count(name) for name in (*targets, *fake.methods))


def test_others_are_a_dash_where_there_are_none_and_refused_cells_are_counted_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fake = Fake(languages=("en",), seeds=(1, 2))
    one, two, *_ = fake.cells()
    statuses = {one: "refused", two: "failed"}
    analysis = report.analyse(store, write(store, replace(fake, statuses=statuses)))
    console = Console(width=140)
    with console.capture() as captured:
        console.print(report.summary(analysis))
    text = captured.get()
    assert "12 cells: 10 done, 1 refused, 1 failed" in text
    lines = [line for line in text.splitlines() if line.startswith(("small", "large", "backbone"))]
    head, rows = lines[0], lines[1:7]
    end = head.index("others") + len("others")
    assert all(row[:end].endswith(" –") for row in rows)


def test_the_description_is_text_in_markdown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = write(store, Fake(bootstrap=100))
    content = json.loads((run / "run.json").read_text())
    content["recipe"]["description"] = "# <img src=x onerror=alert(1)> [a](b) *x*\n\n```\n1. &lt; \x1b[2J"
    (run / "run.json").write_text(json.dumps(content))
    report.build(store, run)
    text = (run / "report" / "report.md").read_text()
    head = text.partition("\n## ")[0]
    assert "\\# \\<img src=x onerror=alert(1)> \\[a](b) \\*x\\*" in head
    assert "\\`\\`\\` 1. &amp;lt; \\\\x1b\\[2J" in head
    assert "````yaml" in text


def test_the_room_needs_no_torch() -> None:
    code = "import sys, adapterx.report, adapterx.report.html, adapterx.store; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
