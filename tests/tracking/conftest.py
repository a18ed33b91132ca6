"""Stores on copies of one template database (making MLflow's tables takes seconds), and a search's events."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import FIRST_STAGE, Outcome, make_events, make_genotype, make_stages, make_two_stages_config

from medarts_ops.config import SearchConfig
from medarts_ops.observers import SearchEvent
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore


@pytest.fixture
def store(tmp_path: Path, template_database: Path) -> RunStore:
    """An empty store of the test's own."""
    shutil.copy(template_database, tmp_path / "mlflow.db")
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def observer(store: RunStore) -> MlflowSearchObserver:
    """An observer that writes into `store`."""
    return MlflowSearchObserver(store)


@pytest.fixture(scope="session")
def config() -> SearchConfig:
    """Two stages over DARTS's space."""
    return make_two_stages_config()


@pytest.fixture(scope="session")
def events(config: SearchConfig) -> tuple[SearchEvent, ...]:
    """A whole search of two stages, in order: two heirs, and their child, which dominates them."""
    skips = make_genotype("skip_connect")
    last = [Outcome(0.91, 2e6, skips), Outcome(0.85, 3e6, skips), Outcome(0.95, 4e6, skips)]
    stages = make_stages(config, [FIRST_STAGE, last], seconds=(9.0, 7200.0))
    return make_events(config, stages, images=(80, 700), epochs=2)


@pytest.fixture
def tell(observer: MlflowSearchObserver) -> Callable[[tuple[SearchEvent, ...]], MlflowSearchObserver]:
    """Tells events to the observer and gives it back."""

    def notify(told: tuple[SearchEvent, ...]) -> MlflowSearchObserver:
        for event in told:
            observer.notify(event)
        return observer

    return notify
