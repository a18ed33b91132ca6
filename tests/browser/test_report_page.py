"""The report in a real browser: every width, light and dark, nothing loaded, nothing that sticks out."""

from __future__ import annotations

import pytest
from browser.chromium import console_errors, contrasts, open_page, scroll_width, set_colour_scheme, set_viewport
from browser.conftest import Story
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

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
