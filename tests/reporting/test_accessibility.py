"""The report read without good eyes, without a mouse, on a telephone, and by a checker in a real browser."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablations.reporting.document import Picture
from ablations.reporting.pages import write
from ablations.reporting.theme import COLOURS, themed
from tests import synthetic
from tests.making import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TEXT = ("ink", "soft", "link")  # 4.5 to 1 (WCAG 2.2, 1.4.3)
MARKS = ("dots", "blue", "orange", "green", "purple", "brown")  # 3 to 1 (1.4.11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def luminance(colour: str) -> float:
    """Relative, of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_words_and_marks_stand_out_from_paper_and_cards(shade: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for behind in ("paper", "wash"):
        ground = getattr(COLOURS[behind], shade)
        for name in TEXT:
            assert contrast(getattr(COLOURS[name], shade), ground) >= 4.5, (name, behind)
        for name in MARKS:
            assert contrast(getattr(COLOURS[name], shade), ground) >= 3, (name, behind)


@functools.cache
def pictures() -> list[Picture]:
    """Those of two made-up studies."""
    found: list[Picture] = []
    for grid in ("one_out", "full"):
        study, trials = synthetic.plan(grid, ["activation", "lrn", "dropout"], seeds=2)
        found += build(study, synthetic.results(trials), []).pictures
    return found


def test_figures_are_drawn_in_the_colours_of_the_theme_alone_so_that_a_page_can_turn_them_dark() -> None:
    drawn = pictures()
    assert {"effects-one-out", "curves", "gap", "cost", "half-normal"} <= {picture.name for picture in drawn}
    for picture in drawn:
        if picture.name == "interactions":  # a heat map is coloured by its numbers, which stand on it in black
            continue
        left = set(re.findall(r"#[0-9a-f]{6}\b", " ".join(re.findall(r'style="[^"]*"', themed(picture.svg)))))
        assert left == set(), picture.name
        assert "var(--ink)" in themed(picture.svg)
        assert "var(" not in picture.svg  # the file stands alone


def test_a_figure_tells_what_is_seen_in_it() -> None:
    said = {picture.name: picture.alternative for picture in pictures()}
    assert re.search(r"no LRN [+\N{MINUS SIGN}]\d\.\d\d \[", said["effects-one-out"])
    assert re.search(r"reference 2\d\.\d\d%; tanh instead of ReLU 2\d\.\d\d%", said["curves"])
    assert re.search(r"reference [\d.]+ and 2\d\.\d\d", said["gap"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `dev` is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: the rules that need a browser are not checked")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of block."""
    study, trials = synthetic.plan("full", ["activation", "lrn", "dropout"], seeds=3, name="<b>bold</b> & co")
    results = synthetic.results(trials)
    broken = [synthetic.diverged(results[0]), synthetic.failed(results[1]), *results[2:]]
    return write(build(study, broken, ["record x cannot be read"]), tmp_path_factory.mktemp("page"))[0]


def opened(browser: Browser, report: Path, width: int, scheme: str) -> Page:
    """The page in a window of its own; whatever it asks of the network or says on the console fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # for the checker's script, which is none of the page's
    )
    page = context.new_page()
    page.on("console", lambda message: pytest.fail(f"the console says {message.text}"))
    page.on("request", lambda asked: pytest.fail(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    page.goto(report.as_uri())
    return page


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")], ids=["desktop", "telephone at night"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, report, width, scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20  # it has looked
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.slow
def test_a_table_sorts_by_number_and_back_and_filters_its_rows(browser: Browser, report: Path) -> None:
    page = opened(browser, report, 1280, "light")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    box = page.locator(".box").filter(has=page.locator("th", has_text="record"))
    head = box.get_by_role("columnheader", name="test top-1, %")

    def cells() -> list[str]:
        return box.locator("tbody tr:not([hidden]) td:nth-child(4)").all_inner_texts()

    before = cells()
    numbers = sorted(float(cell) for cell in before if cell != "\N{EN DASH}")
    for order, wanted in (("ascending", numbers), ("descending", numbers[::-1])):
        head.get_by_role("button").press("Enter")
        assert head.get_attribute("aria-sort") == order
        assert [float(cell) for cell in cells()[: len(numbers)]] == wanted
        assert cells()[len(numbers) :] == ["\N{EN DASH}"] * (len(before) - len(numbers))  # missing ones come last
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None and cells() == before
    page.get_by_label("Filter rows").last.fill("-LRN DIVERGED")
    assert cells() == []
    page.get_by_label("Filter rows").last.fill("reference diverged")
    assert cells() == ["\N{EN DASH}"]
    page.context.close()


@pytest.mark.slow
def test_no_script_runs_but_the_page_s_own(browser: Browser, report: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "report.html"
    spoilt.write_text(report.read_text().replace("</main>", "</main><script>document.title = 'taken'</script>"))
    page = browser.new_page()
    page.goto(spoilt.as_uri())
    assert page.title().startswith("Ablation study: <b>bold</b>")
    assert page.locator("thead button").count() > 20  # its own has run
    page.close()
