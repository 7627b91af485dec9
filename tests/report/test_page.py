"""The report's page in a real browser: sort, filter, point, open a cell. Skipped where there is no Chromium."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapterx import report
from adapterx.report.colours import diverging, in_the_dark
from adapterx.report.languages import language
from adapterx.report.texts import TargetTexts
from adapterx.store import Store
from tests.report.fake import Fake, write
from tests.support.browser import Browser, browser, needs_chromium

HOSTILE = "</script><img src=x onerror=\"document.title='caught'\"> & <b>"
TEXTS = importlib.import_module("adapterx.report.texts")
GRID = Fake(
    seeds=(1, 2),
    transfers=("continue", "stack"),
    languages=("ar", "de", "en", "he", "ru", "sw"),
    targets=("choice", "names"),
    tagging=("names",),
    bootstrap=100,
    items=40,
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose items have texts, hostile ones among them, and one cell of every kind of trouble."""
    with pytest.MonkeyPatch.context() as patch:
        words = " ".join(["كلمة", "б", "c", "d", "e", HOSTILE.replace(" ", "_")])
        by_id = {f"item{number}": (words, HOSTILE) for number in range(40)}
        found = TargetTexts(dict.fromkeys(GRID.languages, by_id))
        patch.setattr(TEXTS, "read", lambda results, beside: dict.fromkeys(results.targets, found))
        store = Store(tmp_path_factory.mktemp("store"))
        troubles = ("failed", "diverged", "collapsed", "missing", "refused", "blocked")
        statuses = dict(zip(list(GRID.cells())[3::7], troubles, strict=False))
        return report.build(store, write(store, replace(GRID, statuses=statuses)))


@pytest.fixture(scope="module")
def shared() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def tab(shared: Browser, page: Path) -> Iterator[Browser]:
    """The page, freshly opened; whatever a test does to it, it complains of nothing and asks for nothing."""
    shared.complaints.clear()
    shared.look()
    shared.open(page)
    yield shared
    assert shared.complaints == []
    assert [one for one in shared.requests if not one.startswith(page.as_uri())] == []
    assert shared.run("document.title") == "fake"


def rows(tab: Browser, column: int, table: str = "#cells") -> list[str]:
    """The texts of a column in the rows that are seen."""
    found: list[str] = tab.run(
        f"[...document.querySelectorAll('{table} tbody:not(.footer) tr')].filter((row) => !row.hidden)"
        f".map((row) => row.cells[{column}].textContent)"
    )
    return found


def column(tab: Browser, title: str, table: str = "#cells") -> int:
    titles: list[str] = tab.run(
        f"[...document.querySelectorAll('{table} tr.titles th')].map((head) => head.textContent)"
    )
    return titles.index(title)


@needs_chromium()
def test_a_column_sorts_both_ways_and_back(tab: Browser) -> None:
    at = column(tab, "others")
    button = f"#cells tr.titles th:nth-child({at + 1}) .sort"
    listed = rows(tab, at)
    numbers = sorted((float(text) for text in listed if text != "–"), reverse=True)
    tab.click(button)
    down = rows(tab, at)
    assert [float(text) for text in down[: len(numbers)]] == numbers
    assert set(down[len(numbers) :]) == {"–"}, "what is missing stays last"
    head = f"document.querySelector('#cells tr.titles th:nth-child({at + 1})').getAttribute('aria-sort')"
    assert tab.run(head) == "descending"
    tab.click(button)
    up = rows(tab, at)
    assert [float(text) for text in up[: len(numbers)]] == numbers[::-1] and tab.run(head) == "ascending"
    assert set(up[len(numbers) :]) == {"–"}
    tab.run(f"document.querySelector('{button}').focus()")
    tab.press("Enter", 13)
    assert rows(tab, at) == listed and tab.run(head) is None, "the third time, by the keyboard, restores the order"


@pytest.mark.slow
@needs_chromium()
def test_the_footer_stays_where_it_is(tab: Browser) -> None:
    tab.click("#results-choice-accuracy tr.titles th:last-child .sort")
    assert tab.run("document.querySelector('#results-choice-accuracy tbody:last-child').className") == "footer"
    assert tab.run("document.querySelectorAll('#results-choice-accuracy tbody.footer tr').length") == 1


@needs_chromium()
def test_words_and_values_filter(tab: Browser) -> None:
    assert len(rows(tab, 0)) == len(list(GRID.cells()))
    tab.run(
        "(() => { const one = document.querySelector('#cells .tools input'); one.value = 'large MULTI stack';"
        " one.dispatchEvent(new Event('input')); })()"
    )
    assert len(rows(tab, 0)) == 4
    assert set(rows(tab, 0)) == {"large"}, "what was not repeated is told again"
    assert "4 of" in tab.run("document.querySelector('#cells .tools .count').textContent")
    tab.run(
        "(() => { const one = document.querySelector('#cells .tools select[aria-label=\"seed\"]'); one.value = '2';"
        " one.dispatchEvent(new Event('change')); })()"
    )
    assert set(rows(tab, column(tab, "seed"))) == {"2"} and len(rows(tab, 0)) == 2


@needs_chromium()
def test_a_point_tells_its_numbers(tab: Browser, page: Path) -> None:
    tab.point("#gap circle.mark")
    told = tab.run("document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').textContent")
    assert re.search(r"multi − en with \w+ \([\d.]+ M\): [+−]?[\d.]+ \[.*\] points of accuracy; choice", told), told
    (gap, *_) = [
        one for one in json.loads((page.parent / "report.json").read_text())["gaps"] if "value" in one["others"]
    ]
    first = tab.run("document.querySelector('#gap-numbers tbody tr').cells[5].textContent").replace("−", "-")
    assert float(first) == pytest.approx(100 * gap["others"]["value"], abs=1e-3)
    tab.point("h1")
    assert tab.run("document.querySelector('#tip').hidden") is True


@needs_chromium()
def test_points_lie_on_what_is_drawn(tab: Browser) -> None:
    """Each point that tells is in the middle of a marker."""
    far: float = tab.run(
        "Math.max(...[...document.querySelectorAll('#gap circle.mark')].map((mark) => {"
        " const at = mark.getBoundingClientRect();"
        " const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2]; const [x, y] = middle(at);"
        " return Math.min(...[...mark.ownerSVGElement.querySelectorAll('use')].map((use) => {"
        " const [a, b] = middle(use.getBoundingClientRect()); return Math.hypot(a - x, b - y); })); }))"
    )
    assert far < 3


@needs_chromium()
def test_a_cell_opens_with_everything_it_has(tab: Browser) -> None:
    tab.click("#cells tr[data-cell='small.lora.none.choice.seed1'] button.open")
    tab.wait("document.querySelector('dialog').open")
    text = tab.run("document.querySelector('dialog').textContent")
    for part in ("small.lora.none.choice.seed1", "Scores", "Learning curve", "Confusions", "Answers", "Stages"):
        assert part in text
    assert "seeds: [1]" in text.partition("Recipe")[2]
    assert tab.run("decodeURIComponent(location.hash)") == "#cell=small.lora.none.choice.seed1"
    assert HOSTILE in text, "texts are shown as they are"
    assert tab.run("document.querySelectorAll('dialog img, dialog b').length") == 0
    assert tab.run("document.querySelector('dialog svg polyline').getAttribute('points').split(' ').length") == 40
    assert tab.run("[...document.querySelectorAll('dialog .confusion td.diagonal')].length") == 2
    rights = tab.run("[...document.querySelectorAll('dialog ol.items li')].map((item) => item.dataset.right)")
    assert rights == ["0", "0", "0", "1", "1", "1"]
    tab.press("Escape", 27)
    tab.wait("!document.querySelector('dialog').open")
    assert tab.run("location.hash") == ""


@pytest.mark.slow
@needs_chromium()
def test_texts_run_in_the_direction_of_their_script(tab: Browser) -> None:
    for code, direction in (("ar", "rtl"), ("he", "rtl"), ("ru", "auto")):
        tab.run("document.querySelector('#cells tr[data-cell=\"small.lora.none.choice.seed1\"] button.open').click()")
        tab.run(
            "(() => { const one = document.querySelector('dialog select[aria-label=\"In\"]');"
            f" one.value = '{code}'; one.dispatchEvent(new Event('change')); }})()"
        )
        item = "document.querySelector('dialog ol.items li p')"
        assert tab.run(f"[{item}.lang, {item}.dir]") == [code, direction]
        tab.run("document.querySelector('dialog').close()")


@pytest.mark.slow
@needs_chromium()
def test_the_keyboard_leads_from_a_row_to_another_seed_and_back(tab: Browser) -> None:
    tab.run("document.querySelector('#cells button.open').focus()")
    tab.press("Enter", 13)
    tab.wait("document.querySelector('dialog').open")
    tab.run('document.querySelector(\'dialog [aria-label="seed"] button[aria-pressed="false"]\').focus()')
    tab.press("Enter", 13)
    tab.wait("document.querySelector('dialog h3').textContent.endsWith('seed2')")
    tab.press("Escape", 27)
    tab.wait("!document.querySelector('dialog').open")
    assert tab.run("document.activeElement.className") == "open"


@pytest.mark.slow
@needs_chromium()
def test_tagged_words_show_what_is_wrong(tab: Browser) -> None:
    tab.run("document.querySelector('#cells tr[data-cell=\"small.lora.none.names.seed1\"] button.open').click()")
    first = "document.querySelector('dialog ol.items li')"
    wrong = tab.run(f"{first}.querySelectorAll('.tag.off').length")
    said = re.search(r"(\d) of 6 words", tab.run(f"{first}.textContent"))
    assert wrong >= 1 and said and int(said[1]) == 6 - wrong


@pytest.mark.slow
@needs_chromium()
def test_an_address_opens_its_cell(tab: Browser, page: Path) -> None:
    tab.open(page, "#cell=large.lora.multi.stack.names.seed2")
    tab.wait("document.querySelector('dialog').open")
    assert tab.run("document.querySelector('dialog h3').textContent") == "large.lora.multi.stack.names.seed2"
    tab.open(page, "#cell=nobody")
    assert tab.run("document.querySelector('dialog').open") is False


@pytest.mark.slow
@needs_chromium()
def test_languages_stand_by_family_and_as_listed(tab: Browser) -> None:
    table = "#results-choice-accuracy"

    def choose(by: str) -> None:
        tab.run(
            f"(() => {{ const one = document.querySelector('{table} select[aria-label=\"order of languages\"]');"
            f" one.value = '{by}'; one.dispatchEvent(new Event('change')); }})()"
        )

    def codes() -> list[str]:
        found: list[str] = tab.run(
            f"[...document.querySelectorAll('{table} th[data-language]')].map((head) => head.textContent)"
        )
        return found

    listed, row = codes(), f"[...document.querySelector('{table} tbody tr').cells].map((cell) => cell.textContent)"
    before = dict(zip(listed, tab.run(row)[-len(listed) :], strict=True))
    choose("family")
    families = [language(code).family for code in codes()]
    assert families == sorted(families) and sorted(codes()) == sorted(listed) and codes() != listed
    assert dict(zip(codes(), tab.run(row)[-len(listed) :], strict=True)) == before, "columns move as a whole"
    heads = tab.run(f"[...document.querySelectorAll('{table} th.group')].map((head) => head.textContent)")
    assert heads[-len(set(families)) :] == sorted(set(families))
    assert tab.run("document.querySelector('#languages-choice select').value") == "family", "all tables alike"
    choose("")
    assert codes() == listed


@pytest.mark.slow
@needs_chromium()
def test_first_columns_stay_and_a_narrow_window_never_scrolls_sideways(tab: Browser) -> None:
    tab.look(width=400, height=800)
    tab.wait("document.querySelector('#cells .wide').classList.contains('more-right')")
    assert tab.run("document.documentElement.scrollWidth") <= 400
    tab.run("document.querySelector('#cells .scroll').scrollLeft = 200")
    tab.wait("document.querySelector('#cells .wide').classList.contains('more-left')")
    place = "document.querySelector('#cells tbody td').getBoundingClientRect().x"
    assert tab.run(place) == pytest.approx(
        tab.run("document.querySelector('#cells .scroll').getBoundingClientRect().x")
    )


@pytest.mark.slow
@needs_chromium()
def test_the_page_is_dark_where_that_is_preferred_but_not_on_paper(tab: Browser) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    assert tab.run(paper) == "rgb(255, 255, 255)"
    tab.look(dark=True)
    assert tab.run(paper) == "rgb(25, 24, 23)"
    tab.look(dark=True, media="print")
    assert tab.run(paper) == "rgb(255, 255, 255)"
    assert tab.run("getComputedStyle(document.querySelector('.tools')).display") == "none"


def test_the_script_is_small_and_asks_nobody() -> None:
    script = (Path(report.__file__).parent / "page.js").read_text()
    assert len(script.encode()) < 100_000
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|fetch\(|XMLHttpRequest|WebSocket", script)


def test_no_text_can_leave_the_data(page: Path) -> None:
    html = page.read_text()
    assert "<img" not in html and 'onerror=\\"' in html
    (data,) = re.findall(r'<script type="application/json" id="details">(.*?)</script>', html, re.DOTALL)
    texts = json.loads(data)["targets"]["choice"]["texts"]["ar"]
    assert next(iter(texts.values()))[1] == HOSTILE


def test_dark_colours_are_legible_and_as_strong_as_light_ones() -> None:
    for share in (-1.0, -0.35, 0.0, 0.35, 1.0):
        background, text = in_the_dark(diverging(share, 1))
        red, blue = int(background[1:3], 16), int(background[5:], 16)
        assert (blue > red) if share > 0 else (red >= blue)
        assert text in ("#000000", "#ffffff")
