"""The report in a real browser: every width, light and dark, nothing loaded, nothing that sticks out."""

from __future__ import annotations

import pytest
from browser.chromium import (
    PAPER,
    console_errors,
    contrasts,
    cut_tables,
    open_page,
    print_look,
    printed_pages,
    scroll_width,
    set_colour_scheme,
    set_viewport,
)
from browser.conftest import Story
from report.reports import make_wide_report
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from medarts_ops.report.page import report_html
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.vocabulary import REPORT

pytestmark = pytest.mark.slow

WIDTHS = (1280, 400)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def report(story: Story, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report that the search's run holds."""
    folder = tmp_path_factory.mktemp("report")
    return open_store(story.tracking_uri).download(story.search.run_id, REPORT, folder, 2**23).as_uri()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report with as much in its tables as they may have."""
    path = tmp_path_factory.mktemp("wide") / "report.html"
    path.write_text(report_html(make_wide_report()), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_every_width_and_says_nothing_on_the_console(
    driver: Chrome, report: str, width: int, scheme: str
) -> None:
    set_viewport(driver, width, 900)
    set_colour_scheme(driver, scheme)
    open_page(driver, report)
    assert scroll_width(driver) == width
    assert console_errors(driver) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_stands_out_from_its_ground(driver: Chrome, report: str, scheme: str) -> None:
    set_colour_scheme(driver, scheme)
    open_page(driver, report)
    found = contrasts(driver)
    assert len(found) > 100
    assert min(found) >= 4.5  # WCAG AA


def test_dark_and_light_are_two_looks(driver: Chrome, report: str) -> None:
    grounds = set()
    for scheme in SCHEMES:
        set_colour_scheme(driver, scheme)
        open_page(driver, report)
        grounds.add(driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert len(grounds) == 2


def test_every_picture_is_drawn_and_what_is_wider_than_the_page_scrolls_in_its_frame(
    driver: Chrome, report: str
) -> None:
    set_viewport(driver, 400, 900)
    open_page(driver, report)
    pictures = driver.find_elements(By.CSS_SELECTOR, "figure img")
    assert len(pictures) >= 9
    wider = 0
    for picture in pictures:
        assert driver.execute_script("return arguments[0].naturalWidth;", picture) > 0
        frame = picture.find_element(By.XPATH, "..")
        assert frame.rect["x"] >= 0 and frame.rect["x"] + frame.rect["width"] <= 400
        if picture.size["width"] > frame.size["width"]:
            wider += 1
            driver.execute_script("arguments[0].scrollLeft = 1e6;", frame)
            hidden = picture.rect["x"] + picture.size["width"] - (frame.rect["x"] + frame.size["width"])
            assert driver.execute_script("return arguments[0].scrollLeft;", frame) > 0
            assert hidden <= 0  # its end can be reached
    assert wider >= 3


def test_it_asks_the_network_for_nothing(driver: Chrome, report: str) -> None:
    open_page(driver, report)
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name);")
    assert [address for address in loaded if not address.startswith("data:")] == []


def test_a_link_leads_to_its_part(driver: Chrome, report: str) -> None:
    set_viewport(driver, 1280, 900)
    open_page(driver, report)
    driver.find_element(By.LINK_TEXT, "Evaluations").click()
    heading = driver.find_element(By.ID, "evaluations")
    assert 0 <= driver.execute_script("return arguments[0].getBoundingClientRect().top;", heading) < 200


def test_no_table_is_wider_than_a_page_of_1280_pixels(driver: Chrome, wide: str) -> None:
    set_viewport(driver, 1280, 900)
    open_page(driver, wide)
    assert len(driver.find_elements(By.TAG_NAME, "table")) >= 10
    assert cut_tables(driver) == []
    assert scroll_width(driver) == 1280


def test_on_a_narrow_screen_the_page_stays_and_its_tables_scroll(driver: Chrome, wide: str) -> None:
    set_viewport(driver, 400, 900)
    open_page(driver, wide)
    assert scroll_width(driver) == 400
    assert len(cut_tables(driver)) >= 5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_on_paper_nothing_is_cut_folded_or_left_without_its_colour(driver: Chrome, wide: str, scheme: str) -> None:
    with print_look(driver, scheme):
        open_page(driver, wide)
        assert cut_tables(driver) == []
        assert scroll_width(driver) == PAPER
        for frame in driver.find_elements(By.CLASS_NAME, "scroll"):
            assert frame.value_of_css_property("overflow-x") == "visible"
            assert frame.rect["width"] <= PAPER
        pictures = driver.find_elements(By.CSS_SELECTOR, "figure img")
        assert max(picture.rect["width"] for picture in pictures) <= PAPER
        bar = driver.find_element(By.CLASS_NAME, "bar")
        assert bar.value_of_css_property("print-color-adjust") == "exact"
        assert driver.find_element(By.CSS_SELECTOR, "details:not(.on-screen) pre").rect["height"] > 100
        assert not driver.find_element(By.TAG_NAME, "nav").is_displayed()
        assert driver.find_element(By.TAG_NAME, "body").value_of_css_property("color") == "rgba(28, 31, 36, 1)"


def test_on_paper_a_heading_and_a_picture_stay_together(driver: Chrome, wide: str) -> None:
    with print_look(driver):
        open_page(driver, wide)
        for selector, rule, value in (
            ("h3", "break-after", "avoid"),
            ("h3 + p", "break-after", "avoid"),
            ("p.failed", "break-after", "avoid"),
            ("figure", "break-inside", "avoid"),
            ("tr", "break-inside", "avoid"),
        ):
            assert driver.find_element(By.CSS_SELECTOR, selector).value_of_css_property(rule) == value
    # Nothing shrinks it: it is laid out for the paper's own width.
    assert 8 <= printed_pages(driver) <= 24
