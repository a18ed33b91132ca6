"""Makes the pictures in docs/images anew from a store with a finished search; `tests/` has to be on PYTHONPATH."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import optuna
from browser.chromium import (
    chromium,
    open_page,
    set_colour_scheme,
    set_viewport,
    wait_for_elements,
    wait_for_text,
    wait_until_still,
)
from browser.mlflow_page import (
    artifact_link,
    expand,
    open_mlflow,
    rows,
    show_columns,
    wait_for_charts,
    wait_for_picture,
    wait_until,
)
from browser.servers import mlflow_pages, optuna_pages
from PIL import Image
from rich.console import Console
from rich.text import Text
from selenium.webdriver import Chrome

from medarts_ops.tracking.reading.links import compared_runs_link, experiment_link
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import KIND_TAG, ORIGIN_TAG, REPORT, STAGE_TAG

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1600, 1000
COLOURS = 256
COLUMNS = 118
MAX_REPORT = 2**24
COMPARED = 4
"""Individuals on the comparing page, the most accurate ones."""

HIDE_TOOLBARS = """
const style = document.createElement('style');
style.textContent = '.modebar-container, .modebar { display: none !important; }';
document.head.append(style);
"""
"""Plotly's toolbars cover charts where there is no mouse to leave them, as in a headless browser."""


class Shown(NamedTuple):
    """A search to take pictures of, its stages in order and its individuals, the most accurate first."""

    search: StoredRun
    stages: list[StoredRun]
    individuals: list[StoredRun]


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db", help="the MLflow store")
    parser.add_argument("--storage", default="sqlite:///optuna.db", help="the Optuna storage")
    parser.add_argument("--search", help="a search's name or run id; the newest finished one unless given")
    given = parser.parse_args()
    shown = chosen(open_store(given.tracking_uri, create=False), given.search)
    IMAGES.mkdir(exist_ok=True)
    with chromium(WIDTH, HEIGHT) as driver:
        with mlflow_pages(given.tracking_uri) as pages:
            take_runs(driver, pages.url, shown)
            take_charts(driver, pages.link, shown)
            take_comparison(driver, pages.url, shown)
            take_artifact(driver, pages.url, shown)
        with optuna_pages(given.storage) as dashboard:
            take_dashboard(driver, dashboard, given.storage, shown)
        take_report(driver, given.tracking_uri, shown)
        take_terminal(driver, "medarts", "show", shown.search.name, "--tracking-uri", given.tracking_uri)
    take_cells(given.tracking_uri, shown)


def chosen(store: RunStore, name: str | None) -> Shown:
    """The search of this name, or the newest finished one."""
    if name is None:
        search = next(run for run in store.all_of_kind("search") if run.status == "FINISHED")
    else:
        search = store.find_run(name)
    stages = store.children(search, "stage")
    individuals = [run for stage in stages for run in store.children(stage, "individual") if run.status == "FINISHED"]
    return Shown(search, stages, sorted(individuals, key=lambda run: -run.metrics["accuracy"]))


def take_runs(driver: Chrome, pages: str, shown: Shown) -> None:
    """The table of runs, the search and all its stages opened."""
    open_mlflow(driver, experiment_link(pages, shown.search.experiment_id))
    wait_for_text(driver, shown.search.name)
    hidden = ("Dataset", "Source", "Models")
    show_columns(driver, *hidden, "accuracy", "params", "hours", "front", KIND_TAG, ORIGIN_TAG)
    for run in (shown.search, *shown.stages):
        expand(driver, run.name)
    total = 1 + len(shown.stages) + len(shown.individuals)
    wait_until(driver, lambda: len(rows(driver)) >= total)
    keep(driver, "mlflow-runs")


def take_charts(driver: Chrome, link: str, shown: Shown) -> None:
    """What the link that `medarts ui` prints opens."""
    open_mlflow(driver, link)
    wait_for_text(driver, f"{len(shown.individuals)} matching runs")
    wait_for_charts(driver, at_least=6)
    keep(driver, "mlflow-compare")


def take_comparison(driver: Chrome, pages: str, shown: Shown) -> None:
    """What `medarts compare` links to, as far as the parameters that differ."""
    best = [run.run_id for run in shown.individuals[:COMPARED]]
    set_viewport(driver, WIDTH, 1410)
    open_mlflow(driver, compared_runs_link(pages, [shown.search.experiment_id], best))
    wait_for_text(driver, f"Comparing {len(best)} Runs")
    wait_for_charts(driver, at_least=1)
    wait_for_elements(driver, '[aria-label="Parameters - Show diff only"]')[0].click()
    keep(driver, "mlflow-compare-page")
    set_viewport(driver, WIDTH, HEIGHT)


def take_artifact(driver: Chrome, pages: str, shown: Shown) -> None:
    """The family tree among the search's artifacts."""
    search = shown.search
    open_mlflow(driver, artifact_link(pages, search.experiment_id, search.run_id, "pictures/lineage.png"))
    wait_for_picture(driver, width=300)
    keep(driver, "mlflow-artifact")


def take_dashboard(driver: Chrome, dashboard: str, storage: str, shown: Shown) -> None:
    """The first stage's study."""
    study = f"{shown.search.name}/{shown.stages[0].tags[STAGE_TAG]}"
    number = optuna.storages.get_storage(storage).get_study_id_from_name(study)
    open_page(driver, f"{dashboard}studies/{number}")
    wait_for_text(driver, study, "Pareto Front", "Hyperparameter Importance")
    wait_for_charts(driver, at_least=2)
    keep(driver, "optuna-dashboard")


def take_report(driver: Chrome, tracking_uri: str, shown: Shown) -> None:
    """The beginning of the report: on a wide and light screen, and on a narrow and dark one."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(tracking_uri, create=False)
        page = store.download(shown.search.run_id, REPORT, Path(folder), MAX_REPORT)
        for name, width, height, scheme in (("report", 1280, 960, "light"), ("report-narrow", 400, 1100, "dark")):
            set_viewport(driver, width, height)
            set_colour_scheme(driver, scheme)
            open_page(driver, page.as_uri())
            keep(driver, name)
    set_colour_scheme(driver, "light")


def take_terminal(driver: Chrome, *words: str) -> None:
    """What a command prints on a terminal, in its colours."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(printed_on_terminal(*words[1:])))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "terminal.html"
        picture = console.export_svg(title=" ".join(words[:3]))
        file.write_text(f'<body style="margin: 0"><div style="width: 1280px">{picture}</div>', encoding="utf-8")
        open_page(driver, file.as_uri())
        (drawn,) = wait_for_elements(driver, "svg")
        set_viewport(driver, 1280, round(drawn.size["height"]))
        keep(driver, "terminal")


def printed_on_terminal(*words: str) -> str:
    """Run medarts on a terminal of `COLUMNS` columns of its own."""
    terminal, its_end = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, "-c", "from medarts_ops.cli.main import main; main()", *words]
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, env=os.environ | size):
        os.close(its_end)
        parts = []
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while part := os.read(terminal, 4096):
                parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode().replace("\r\n", "\n")


def take_cells(tracking_uri: str, shown: Shown) -> None:
    """The cells that were found, as the search's run holds them."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(tracking_uri, create=False)
        file = store.download(shown.search.run_id, "pictures/genotype.png", Path(folder), MAX_REPORT)
        write(Image.open(file).convert("RGB"), "genotype")


def keep(driver: Chrome, name: str) -> None:
    """Write what the browser shows, once it is still."""
    driver.execute_script(HIDE_TOOLBARS)
    wait_until_still(driver)
    write(Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB"), name)


def write(picture: Image.Image, name: str) -> None:
    """Write a picture in few colours."""
    file = IMAGES / f"{name}.png"
    picture.quantize(COLOURS).save(file, optimize=True)
    print(f"{file}: {picture.width} × {picture.height}, {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
