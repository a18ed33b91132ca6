"""A real search with its evaluation in real stores, the servers on them, and a browser to look at their pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from browser.chromium import chromium, forget_sites, full_page_screenshot, set_colour_scheme, set_viewport
from browser.servers import Pages, mlflow_pages, optuna_pages
from factories import make_evaluate_config_tiny, make_search_config_tiny
from selenium.webdriver import Chrome

from medarts_ops.config import ProposalsConfig, RangeConfig, SearchConfig
from medarts_ops.tracking.evaluation import TrackedEvaluation, tracked_evaluation
from medarts_ops.tracking.search import TrackedSearch, tracked_search


class Story(NamedTuple):
    """A finished search and evaluation, and the stores that tell of them."""

    search: TrackedSearch
    evaluation: TrackedEvaluation
    tracking_uri: str
    storage: str

    @property
    def best_first(self) -> list[str]:
        """All individuals' ids, the most accurate first; ids of equal accuracy are sorted."""
        ranked = [each for stage in self.search.result.stages for each in stage.ranked]
        return [each.id for each in sorted(ranked, key=lambda each: (-each.trained.valid_accuracy, each.id))]

    def accuracy_of(self, name: str) -> float:
        """An individual's acc_valid."""
        ranked = {each.id: each for stage in self.search.result.stages for each in stage.ranked}
        return ranked[name].trained.valid_accuracy


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The stores; made once, for all tests that look at them."""
    folder = tmp_path_factory.mktemp("browser-store")
    uri, storage = f"sqlite:///{folder / 'mlflow.db'}", f"sqlite:///{folder / 'optuna.db'}"
    work = folder / "work"
    found = tracked_search(search_config(), name="tiny", tracking_uri=uri, storage=storage, work_dir=work)
    evaluated = tracked_evaluation(
        make_evaluate_config_tiny(), run_id=found.run_id, name="tiny-evaluated", tracking_uri=uri, work_dir=work
    )
    return Story(found, evaluated, uri, storage)


def search_config() -> SearchConfig:
    """Three stages that learn something in three epochs each, from hyperparameters that differ."""
    tiny = make_search_config_tiny()
    longer = {"channels": 4, "epochs": 3, "images": 400}
    stages = tuple(stage.model_copy(update=longer) for stage in tiny.stages)
    space = {"alpha_lr": RangeConfig(low=3e-4, high=6e-3), "weights_lr": RangeConfig(low=0.01, high=0.1)}
    return tiny.model_copy(update={"stages": stages, "proposals": ProposalsConfig(space=space)})


@pytest.fixture(scope="session")
def pages(browser: Chrome, story: Story) -> Iterator[Pages]:
    """MLflow's pages on the stores. Asks for the browser first: without one there is nothing to start."""
    with mlflow_pages(story.tracking_uri) as served:
        yield served


@pytest.fixture(scope="session")
def dashboard(browser: Chrome, story: Story) -> Iterator[str]:
    """Optuna's dashboard on the stores."""
    with optuna_pages(story.storage) as served:
        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """One Chromium for all tests. Without it they are skipped, or fail where MEDARTS_REQUIRE_SYSTEM=1."""
    try:
        with chromium() as driver:
            yield driver
    except FileNotFoundError as missing:
        if os.environ.get("MEDARTS_REQUIRE_SYSTEM") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def driver(browser: Chrome, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chrome]:
    """The browser as new; what it shows at the test's end is kept in MEDARTS_SCREENSHOTS, or the test's own folder."""
    forget_sites(browser)
    set_viewport(browser, 1600, 1000)
    set_colour_scheme(browser, "light")
    yield browser
    folder = Path(os.environ.get("MEDARTS_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    full_page_screenshot(browser, folder / f"{request.node.name}.png")
