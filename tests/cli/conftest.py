"""A real store with one finished search of two stages and an evaluation to read, and an empty one to be left so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from factories import (
    FIRST_STAGE,
    Outcome,
    make_evaluation_events,
    make_events,
    make_stages,
    make_two_stages_config,
)

from medarts_ops.observers import SearchEvent


class StoredSearch(NamedTuple):
    """Where the store is, and the run ids in it: `search`, `stage/0`, an individual's id, `evaluation`."""

    uri: str
    run_ids: dict[str, str]


@pytest.fixture(autouse=True, scope="session")
def no_pictures() -> Iterator[None]:
    """What is run here does not wait for its pictures, unless it says `--pictures`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDARTS_PICTURES", "false")
        yield


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> StoredSearch:
    """The store; made once, for all tests that only read."""
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
    from medarts_ops.tracking.stores.opening import open_store
    from medarts_ops.tracking.vocabulary import EVALUATES_TAG

    file = shutil.copy(template_database, tmp_path_factory.mktemp("cli-store"))
    uri = f"sqlite:///{Path(file).as_posix()}"
    store = open_store(uri)
    search = MlflowSearchObserver(store)
    for event in _search_events():
        search.notify(event)
    run_ids = search.run_ids | {"search": search.run_id, "stage/0": search.stage_run_id(0)}
    evaluation = MlflowEvaluationObserver(
        store, "evaluate-test", tags={EVALUATES_TAG: run_ids["final-02"]}, parent_run_id=search.run_id
    )
    for told in make_evaluation_events():
        evaluation.notify(told)
    return StoredSearch(uri, run_ids | {"evaluation": evaluation.run_id})


@pytest.fixture
def here(tmp_path: Path, template_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store in the current folder."""
    shutil.copy(template_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _search_events() -> tuple[SearchEvent, ...]:
    config = make_two_stages_config()
    last = (Outcome(0.91, 2e6), Outcome(0.85, 3e6), Outcome(0.95, 4e6))
    return make_events(config, make_stages(config, [FIRST_STAGE, last], seconds=(9.0, 4491.0)), "search-told")
