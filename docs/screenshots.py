"""Makes the pictures in docs/images anew from a store with a finished search; `tests/` has to be on PYTHONPATH."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import NamedTuple

import optuna
from browser.chromium import chromium, open_page, set_viewport, wait_for_elements, wait_for_text, wait_until_still
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
from selenium.webdriver import Chrome

from medarts_ops.tracking.links import compared_runs_link
from medarts_ops.tracking.run_store import RunStore
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.tracked_run import TrackedRun

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1600, 1000
COLOURS = 256
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

    search: TrackedRun
    stages: list[TrackedRun]
    individuals: list[TrackedRun]


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


def chosen(store: RunStore, name: str | None) -> Shown:
    """The search of this name, or the newest finished one."""
    if name is None:
        search = next(run for run in store.searches() if run.status == "FINISHED")
    else:
        search = store.find_run(name)
    stages = store.children(search, "stage")
    individuals = [run for stage in stages for run in store.children(stage, "individual") if run.status == "FINISHED"]
    return Shown(search, stages, sorted(individuals, key=lambda run: -run.metrics["accuracy"]))


def take_runs(driver: Chrome, pages: str, shown: Shown) -> None:
    """The table of runs, the search and all its stages opened."""
    open_mlflow(driver, f"{pages}/#/experiments/{shown.search.experiment_id}/runs?workflowType=machine_learning")
    wait_for_text(driver, shown.search.name)
    hidden = ("Dataset", "Source", "Models")
    show_columns(driver, *hidden, "accuracy", "params", "hours", "front", "medarts.kind", "medarts.origin")
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
    study = f"{shown.search.name}/{shown.stages[0].tags['medarts.stage']}"
    number = optuna.storages.get_storage(storage).get_study_id_from_name(study)
    open_page(driver, f"{dashboard}studies/{number}")
    wait_for_text(driver, study, "Pareto Front", "Hyperparameter Importance")
    wait_for_charts(driver, at_least=2)
    keep(driver, "optuna-dashboard")


def keep(driver: Chrome, name: str) -> None:
    """Write what the browser shows, once it is still, in few colours."""
    driver.execute_script(HIDE_TOOLBARS)
    wait_until_still(driver)
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    file = IMAGES / f"{name}.png"
    picture.quantize(COLOURS).save(file, optimize=True)
    print(f"{file}: {picture.width} × {picture.height}, {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
