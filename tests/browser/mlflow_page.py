"""Working MLflow's pages: its tree of runs, columns, charts and artifacts, found by attributes made to be found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from browser.chromium import open_page, page_text, wait_for_elements, wait_until
from selenium.webdriver import Chrome

ASSISTANT_CLOSE = '[data-component-id="mlflow.assistant.chat_panel.close"]'
COLUMNS = '[data-testid="column-selection-dropdown"]'
PRESS = """
const found = [...document.querySelectorAll('body *')].find(
  each => !each.childElementCount && each.textContent.trim() === arguments[0]);
if (found) found.click();
return Boolean(found);
"""
ROWS = """
const places = {};
for (const row of document.querySelectorAll('.ag-row[row-index]')) {
  const link = row.querySelector('a[href*="/runs/"]');
  if (!link) continue;
  const level = [...row.classList].find(name => name.startsWith('ag-row-level-'));
  const indent = link.closest('.ag-cell').querySelector('[style*="width"]');
  places[row.getAttribute('row-index')] = [link.innerText.trim(), indent ? parseInt(indent.style.width) : 0];
}
return Object.keys(places).sort((a, b) => a - b).map(index => places[index]);
"""
EXPAND = """
for (const link of document.querySelectorAll('.ag-row[row-index] a[href*="/runs/"]')) {
  if (link.innerText.trim() !== arguments[0]) continue;
  const button = link.closest('.ag-cell').querySelector('button');
  if (button) { button.click(); return true; }
}
return false;
"""
CELLS = """
const link = [...document.querySelectorAll('.ag-row a[href*="/runs/"]')].find(a => a.innerText.trim() === arguments[0]);
if (!link) return {};
const id = link.closest('.ag-row').getAttribute('row-id'), cells = {};
for (const cell of document.querySelectorAll(`.ag-row[row-id="${id}"] .ag-cell`))
  cells[cell.getAttribute('col-id')] = cell.innerText.trim();
return cells;
"""
CHARTS = """
return [...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.querySelector(
  '.scatterlayer .trace, .barlayer .trace, .parcoords')).length;
"""
POINTS = """
return [...document.querySelectorAll('.js-plotly-plot')].map(
  plot => plot.querySelectorAll('.scatterlayer .point').length);
"""
TABLE = """
const rows = {};
for (const row of document.querySelectorAll('table tr' + arguments[0])) {
  const head = row.querySelector('th'), texts = [...row.querySelectorAll('td')].map(cell => cell.innerText.trim());
  if (head) rows[head.innerText.trim().replace(/:$/, '')] = texts;
}
return rows;
"""
IMAGE_WIDTHS = "return [...document.images].filter(each => each.complete).map(each => each.naturalWidth);"


class Row(NamedTuple):
    """A run in the table: its name, and its indentation in pixels, by which the tree shows its depth."""

    name: str
    indent: int


def open_mlflow(driver: Chrome, url: str) -> None:
    """Open a page of MLflow without the assistant, which opens by itself once in every new browser."""
    open_page(driver, url)
    if not driver.execute_script("return localStorage.getItem('medarts-assistant-closed');"):
        wait_for_elements(driver, ASSISTANT_CLOSE)[0].click()
        wait_until(driver, lambda: not driver.execute_script(f"return document.querySelector('{ASSISTANT_CLOSE}');"))
        driver.execute_script("localStorage.setItem('medarts-assistant-closed', 'true');")


def press(driver: Chrome, text: str) -> None:
    """Press what has this text, and no other."""
    wait_until(driver, lambda: driver.execute_script(PRESS, text))


def rows(driver: Chrome) -> list[Row]:
    """The runs of the table that are on the screen, from top to bottom."""
    return [Row(name, indent) for name, indent in driver.execute_script(ROWS)]


def wait_for_rows(driver: Chrome, *names: str) -> list[Row]:
    """Wait until the table has just these runs in this order."""
    wait_until(driver, lambda: [row.name for row in rows(driver)] == list(names), lambda: rows(driver))
    return rows(driver)


def expand(driver: Chrome, name: str) -> None:
    """Open a run's children in the table."""
    wait_until(driver, lambda: driver.execute_script(EXPAND, name), lambda: rows(driver))


def show_columns(driver: Chrome, *titles: str) -> None:
    """Tick columns of the table: metrics by name, tags and parameters, too."""
    wait_for_elements(driver, COLUMNS)[0].click()
    for title in titles:
        wait_for_elements(driver, f'[class*="tree-treenode"] [title="{title}"]')[0].click()
    wait_for_elements(driver, COLUMNS)[0].click()


def cells(driver: Chrome, name: str) -> dict[str, str]:
    """A run's row, by column: MLflow's key, such as metrics.`accuracy`."""
    found: dict[str, str] = driver.execute_script(CELLS, name)
    return found


def wait_for_charts(driver: Chrome, at_least: int) -> int:
    """Wait until this many charts are drawn with something in them, and give their number."""
    wait_until(driver, lambda: charts(driver) >= at_least, lambda: f"{charts(driver)} charts\n{page_text(driver)}")
    return charts(driver)


def charts(driver: Chrome) -> int:
    """How many charts have a line, a bar or parallel coordinates in them now."""
    return int(driver.execute_script(CHARTS))


def points_of_charts(driver: Chrome) -> list[int]:
    """How many points the lines of each drawn chart have."""
    return [int(count) for count in driver.execute_script(POINTS)]


def table(driver: Chrome, selector: str = "") -> dict[str, list[str]]:
    """The rows of the page's tables by their heads; `selector` narrows the rows, such as `.diff-row`."""
    found: dict[str, list[str]] = driver.execute_script(TABLE, selector)
    return found


def artifact_link(pages: str, experiment_id: str, run_id: str, path: str) -> str:
    """Where MLflow shows an artifact of a run."""
    return f"{pages}/#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}?workflowType=machine_learning"


@contextmanager
def previewed_page(driver: Chrome) -> Iterator[None]:
    """Inside an HTML artifact that MLflow shows in its frame, which lets scripts run but keeps them apart."""
    frame = wait_for_elements(driver, "iframe.mlflow-html-iframe")[0]
    driver.switch_to.frame(frame)
    try:
        yield
    finally:
        driver.switch_to.default_content()


def wait_for_picture(driver: Chrome, width: int) -> None:
    """Wait until a picture at least this many pixels wide is loaded."""
    wait_until(
        driver,
        lambda: any(each >= width for each in driver.execute_script(IMAGE_WIDTHS)),
        lambda: f"widths {driver.execute_script(IMAGE_WIDTHS)}\n{page_text(driver)}",
    )
