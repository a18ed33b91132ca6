"""A real store with one finished search of two stages and an evaluation to read, and an empty one to be left so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from factories import (
    FIRST_STAGE,
    Outcome,
    make_dataset_summary,
    make_evaluation_epoch,
    make_events,
    make_genotype,
    make_stages,
    make_two_stages_config,
)

from medarts_ops.config import EvaluateConfig
from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationEpochFinished, EvaluationFinished, EvaluationStarted, SearchEvent
from medarts_ops.resolving import resolve_evaluate_config


class StoredSearch(NamedTuple):
    """Where the store is, and the run ids in it: `search`, `stage/0`, an individual's id, `evaluation`."""

    uri: str
    run_ids: dict[str, str]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run a search of their own don't wait for its pictures; fixtures of whole modules do."""
    monkeypatch.setenv("MEDARTS_PICTURES", "false")


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> StoredSearch:
    """The store; made once, for all tests that only read."""
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
    from medarts_ops.tracking.stores.opening import open_store

    file = shutil.copy(template_database, tmp_path_factory.mktemp("cli-store"))
    uri = f"sqlite:///{Path(file).as_posix()}"
    store = open_store(uri)
    search = MlflowSearchObserver(store)
    for event in _search_events():
        search.notify(event)
    run_ids = search.run_ids | {"search": search.run_id, "stage/0": search.stage_run_id(0)}
    evaluation = MlflowEvaluationObserver(
        store, "evaluate-test", evaluates=run_ids["final-02"], parent_run_id=search.run_id
    )
    for told in _evaluation_events():
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


def _evaluation_events() -> tuple[EvaluationStarted, EvaluationEpochFinished, EvaluationFinished]:
    record = make_evaluation_epoch()
    genotype = make_genotype()
    result = EvaluationResult(genotype=genotype, parameters=123456, history=(record,), seconds=10.0)
    started = EvaluationStarted(
        config=resolve_evaluate_config(EvaluateConfig(epochs=1)),
        genotype=genotype,
        parameters=123456,
        dataset=make_dataset_summary(),
    )
    return started, EvaluationEpochFinished(record=record), EvaluationFinished(result=result)
