"""An experiment's page and its figure with hover in a real browser, made from made-up outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from browser.chromium import (
    console_errors,
    contrasts,
    cut_tables,
    open_page,
    print_look,
    scroll_width,
    set_colour_scheme,
    set_viewport,
    wait_for_elements,
    wait_for_text,
)
from pictures.summaries import make_table4
from report.experiment_reports import make_table4_report
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from medarts_ops.pictures.experiments import experiment_html
from medarts_ops.report.experiment_page import experiment_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page."""
    report = make_table4_report()
    summary = replace(report.summary, failures=("g_mid.s1: loss is NaN",), notes=("g_mid.s0 was taken over.",))
    path: Path = tmp_path_factory.mktemp("experiment") / "report.html"
    path.write_text(experiment_page(replace(report, summary=summary)), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_every_width_and_every_text_stands_out(driver: Chrome, page: str, width: int, scheme: str) -> None:
    set_viewport(driver, width, 900)
    set_colour_scheme(driver, scheme)
    open_page(driver, page)
    assert scroll_width(driver) == width
    assert console_errors(driver) == []
    found = contrasts(driver)
    assert len(found) > 100
    assert min(found) >= 4.5  # WCAG AA


def test_no_table_is_cut_on_a_wide_screen_or_on_paper(driver: Chrome, page: str) -> None:
    set_viewport(driver, 1280, 900)
    open_page(driver, page)
    assert cut_tables(driver) == []
    with print_look(driver):
        open_page(driver, page)
        assert cut_tables(driver) == []
        assert (
            driver.find_element(By.CSS_SELECTOR, "td.published").value_of_css_property("print-color-adjust") == "exact"
        )


def test_the_figure_is_drawn_and_nothing_is_loaded(driver: Chrome, page: str) -> None:
    open_page(driver, page)
    (picture,) = driver.find_elements(By.CSS_SELECTOR, "figure img")
    assert driver.execute_script("return arguments[0].naturalWidth;", picture) > 0
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name);")
    assert [address for address in loaded if not address.startswith("data:")] == []


def test_what_is_published_looks_unlike_what_was_measured(driver: Chrome, page: str) -> None:
    open_page(driver, page)
    looks = []
    for selector in ("table.result td.published", "table.result td.number:not(.published)"):
        cell = driver.find_element(By.CSS_SELECTOR, selector)
        looks.append((cell.value_of_css_property("font-style"), cell.value_of_css_property("background-color")))
    (published_style, published_ground), (style, ground) = looks
    assert (published_style, style) == ("italic", "normal") and published_ground != ground


def test_hovering_over_a_bar_tells_its_numbers(driver: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "figure.html"
    path.write_text(experiment_html(make_table4()), encoding="utf-8")
    open_page(driver, path.as_uri())
    bar = wait_for_elements(driver, ".bars .point path", at_least=3)[0]
    ActionChains(driver).move_to_element(bar).perform()
    wait_for_text(driver, "measured here: 3.47 ± 0.15 %, n = 3", "each seed: 3.30 %, 3.50 %, 3.60 %")
    assert console_errors(driver) == []
