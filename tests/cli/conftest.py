"""A real store with one finished search of two stages and an evaluation to read, and an empty one to be left so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from factories import (
    make_dataset_summary,
    make_epoch_record,
    make_evaluation_epoch,
    make_failed,
    make_genotype,
    make_individual,
    make_ranked,
    make_search_config_tiny,
    make_stage_result,
    make_trained,
)

from medarts_ops.config import EvaluateConfig, SearchConfig, SpaceConfig, StageConfig
from medarts_ops.individual import EvaluationResult, SearchResult, StageResult
from medarts_ops.observers import (
    EpochFinished,
    EvaluationEpochFinished,
    EvaluationFinished,
    EvaluationStarted,
    IndividualFinished,
    PopulationBorn,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
    StageStarted,
)
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
    stages = _two_stages()
    for event in _search_events(stages):
        search.notify(event)
    names = [ranked.id for stage in stages for ranked in stage.ranked] + ["init-02"]
    run_ids = {name: search.run_id_of(name) for name in names}
    run_ids |= {"search": search.search_run_id, "stage/0": search.stage_run_id(0)}
    evaluation = MlflowEvaluationObserver(
        store, "evaluate-test", evaluates=run_ids["final-00"], parent_run_id=search.search_run_id
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


def _config() -> SearchConfig:
    stages = (
        StageConfig(name="init", cells=3, channels=2, epochs=1, images=80, batch=20, population=3),
        StageConfig(name="final", cells=4, channels=2, epochs=1, images=80, batch=20, survivors=2, children=1),
    )
    return make_search_config_tiny().model_copy(update={"space": SpaceConfig(), "stages": stages})


def _two_stages() -> tuple[StageResult, StageResult]:
    first = make_stage_result((make_ranked(0, 0.9, 2e6), make_ranked(1, 0.8, 3e6)), (make_failed(2, "loss is NaN"),))
    child = make_individual(0, 1, "final", origin="crossover", parents=("init-00", "init-01"))
    heir = make_individual(1, 1, "final", origin="inherited", parents=("init-01",))
    ranked = (
        make_ranked(0, 0.95, 4e6, trained=make_trained(child, valid_accuracy=0.95, genotype=make_genotype())),
        make_ranked(1, 0.85, 3e6, front=1, trained=make_trained(heir, valid_accuracy=0.85)),
    )
    return first, StageResult(index=1, name="final", ranked=ranked, failed=(), seconds=4491.0)


def _search_events(stages: tuple[StageResult, StageResult]) -> list[SearchEvent]:
    events: list[SearchEvent] = [
        SearchStarted(search_id="search-told", config=_config(), dataset=make_dataset_summary())
    ]
    for stage, survivors in zip(stages, ((), ("init-00", "init-01")), strict=True):
        born = [ranked.trained.individual for ranked in stage.ranked] + [failed.individual for failed in stage.failed]
        events += [
            StageStarted(index=stage.index, name=stage.name, survivors=survivors, images=80),
            PopulationBorn(stage=stage.index, round=0, individuals=tuple(born)),
            EpochFinished(individual_id=stage.ranked[0].id, record=make_epoch_record()),
            *(IndividualFinished(outcome=ranked.evaluated) for ranked in stage.ranked),
            *(IndividualFinished(outcome=failed) for failed in stage.failed),
            StageFinished(result=stage),
        ]
    return [*events, SearchFinished(result=SearchResult(search_id="search-told", stages=stages))]


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
