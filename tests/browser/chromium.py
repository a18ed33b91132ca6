"""A real headless Chromium for tests and screenshots: opening pages, waiting for what they show, looking at them."""

from __future__ import annotations

import base64
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 60.0
"""Seconds that a page may take to show something: MLflow's is large, and machines are busy."""

PAPER = 688
"""CSS pixels of a page of A4 between margins of 14 mm."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root can't have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers have little of it
    "--hide-scrollbars",
)

VISIBLE_TEXT = "return document.body ? document.body.innerText : '';"
LAID_OUT = "return [...document.querySelectorAll(arguments[0])].filter(each => each.getClientRects().length);"

CUT_TABLES = """
return [...document.querySelectorAll('table')].filter(each => each.scrollWidth > each.parentElement.clientWidth + 1)
  .map(each => `${each.innerText.slice(0, 60)}: ${each.scrollWidth} of ${each.parentElement.clientWidth}`);
"""
CONTRASTS = """
const channel = value => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = colour => {
  const [red, green, blue] = colour.match(/[\\d.]+/g).map(Number);
  return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
};
const ground = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(colour) && colour !== 'transparent') return colour;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('h1, h2, p, td, th, dt, dd, a, summary, pre, figcaption')].map(element => {
  const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((one, other) => other - one);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
});
"""
"""WCAG's contrast of every text with what it stands on."""


def program(name: str) -> str:
    """The path of an installed program.

    Raises:
        FileNotFoundError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed (Debian: apt-get install chromium chromium-driver)")
    return found


@contextmanager
def chromium(width: int = 1600, height: int = 1000) -> Iterator[Chrome]:
    """A browser with a profile of its own, which ends with the block."""
    browser, driver = program("chromium"), program("chromedriver")
    options = ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(prefix="medarts-chromium-", ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        started = Chrome(options=options, service=Service(executable_path=driver))
        try:
            set_viewport(started, width, height)
            yield started
        finally:
            started.quit()


def open_page(driver: Chrome, url: str) -> None:
    """Open a page anew, also where only what follows `#` differs, and forget what its forerunner logged."""
    driver.get("about:blank")
    driver.get_log("browser")  # reading empties it
    driver.get(url)


def forget_sites(driver: Chrome) -> None:
    """Let pages forget what they have kept in this browser; what they were loaded from stays in its cache."""
    driver.get("about:blank")
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "local_storage,cookies"})


def set_viewport(driver: Chrome, width: int, height: int, scale: float = 1.0) -> None:
    """Give the page this many CSS pixels; `scale` device pixels each."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def set_colour_scheme(driver: Chrome, scheme: str) -> None:
    """Let pages see this `prefers-color-scheme`, "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def print_look(driver: Chrome, scheme: str = "light") -> Iterator[None]:
    """Lets pages look as they are printed on A4, from a system of that colour scheme."""
    set_viewport(driver, PAPER, 1000)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def printed_pages(driver: Chrome) -> int:
    """How many pages of A4 the page takes."""
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    return base64.b64decode(printed["data"]).count(b"/Type /Page\n")


def full_page_screenshot(driver: Chrome, path: Path) -> None:
    """Write all of the page as a PNG, what lies below the viewport too."""
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))


def console_errors(driver: Chrome) -> list[str]:
    """What the page has logged as errors since it was opened or this was asked last."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def scroll_width(driver: Chrome) -> int:
    """The width that the page's content takes: more than the viewport's means that it scrolls sideways."""
    return int(driver.execute_script("return document.documentElement.scrollWidth;"))


def cut_tables(driver: Chrome) -> list[str]:
    """The beginnings of the tables that are wider than what holds them."""
    found: list[str] = driver.execute_script(CUT_TABLES)
    return found


def page_text(driver: Chrome) -> str:
    """All text that the page shows now."""
    return str(driver.execute_script(VISIBLE_TEXT))


def wait_until(
    driver: Chrome,
    holds: Callable[[], object],
    describe: Callable[[], object] | None = None,
    seconds: float = PATIENCE,
) -> None:
    """Wait until something holds; `describe` says what was there instead, the page's text unless given.

    Elements that the page replaces while they are looked at count as not yet there.

    Raises:
        AssertionError: it never did.
    """

    def tried(_: Chrome) -> bool:
        return bool(holds())

    try:
        WebDriverWait(driver, seconds, ignored_exceptions=[StaleElementReferenceException]).until(tried)
    except TimeoutException:
        there = page_text(driver) if describe is None else describe()
        raise AssertionError(f"{driver.current_url} after {seconds:g} s: {there}") from None


def wait_until_still(driver: Chrome, seconds: float = PATIENCE) -> None:
    """Wait until the page looks the same twice, half a second apart: nothing spins, fades in or is still drawn.

    Raises:
        AssertionError: it keeps moving.
    """
    views = [b"", driver.get_screenshot_as_png()]

    def still() -> bool:
        time.sleep(0.5)
        views[:] = [views[1], driver.get_screenshot_as_png()]
        return views[0] == views[1]

    wait_until(driver, still, lambda: "the page keeps moving", seconds)


def wait_for_text(driver: Chrome, *texts: str, seconds: float = PATIENCE) -> str:
    """Wait until the page shows all these texts, and give its whole text.

    Raises:
        AssertionError: it never did; says which were missing and what was there instead.
    """

    def missing() -> list[str]:
        shown = page_text(driver)
        return [text for text in texts if text not in shown]

    wait_until(driver, lambda: not missing(), lambda: f"{missing()} not in\n{page_text(driver)}", seconds)
    return page_text(driver)


def wait_for_elements(driver: Chrome, selector: str, at_least: int = 1, seconds: float = PATIENCE) -> list[WebElement]:
    """Wait until this many elements of a CSS selector are laid out, and give all that are.

    Raises:
        AssertionError: there were too few.
    """

    def laid_out() -> list[WebElement]:
        found: list[WebElement] = driver.execute_script(LAID_OUT, selector)
        return found

    wait_until(
        driver,
        lambda: len(laid_out()) >= at_least,
        lambda: f"{len(laid_out())} of {at_least} `{selector}` in\n{page_text(driver)}",
        seconds,
    )
    return laid_out()


def contrasts(driver: Chrome) -> list[float]:
    """The contrast of each text of the page with what it stands on."""
    found: list[float] = driver.execute_script(CONTRASTS)
    return found
