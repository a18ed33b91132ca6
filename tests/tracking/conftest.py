"""Stores on copies of one template database (making MLflow's tables takes seconds), and a search's events."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import (
    make_dataset_summary,
    make_epoch_record,
    make_failed,
    make_genotype,
    make_individual,
    make_ranked,
    make_search_config_tiny,
    make_stage_result,
    make_trained,
)

from medarts_ops.config import SearchConfig, SpaceConfig, StageConfig
from medarts_ops.individual import RankedIndividual, SearchResult, StageResult
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    PopulationBorn,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
    StageStarted,
)
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


@pytest.fixture
def config() -> SearchConfig:
    """Two stages over DARTS's space."""
    return make_search_config_tiny().model_copy(
        update={
            "space": SpaceConfig(),
            "stages": (
                StageConfig(name="init", cells=3, channels=2, epochs=2, images=80, batch=20, population=3),
                StageConfig(name="final", cells=4, channels=2, epochs=1, images=0.5, batch=20, survivors=2, children=1),
            ),
        }
    )


@pytest.fixture
def init_stage() -> StageResult:
    """Two individuals on front 0 and one that failed."""
    ranked = (make_ranked(0, 0.9, 2e6), make_ranked(1, 0.8, 3e6))
    return make_stage_result(ranked, (make_failed(2, "loss is NaN"),))


@pytest.fixture
def final_stage() -> StageResult:
    """Two inherited individuals and their child, which dominates them."""
    child = _descendant(2, ("init-00", "init-01"), 0.95, 4e6, front=0)
    older = (_descendant(0, ("init-00",), 0.91, 2e6, front=1), _descendant(1, ("init-01",), 0.85, 3e6, front=1))
    return StageResult(index=1, name="final", ranked=(child, *older), failed=(), seconds=7200.0)


def _descendant(number: int, parents: tuple[str, ...], accuracy: float, params: float, front: int) -> RankedIndividual:
    origin = "inherited" if len(parents) == 1 else "crossover"
    individual = make_individual(number, 1, "final", origin=origin, parents=parents)
    trained = make_trained(individual, valid_accuracy=accuracy, genotype=make_genotype("skip_connect"), epochs=1)
    return make_ranked(number, accuracy, params, front=front, trained=trained)


@pytest.fixture
def events(config: SearchConfig, init_stage: StageResult, final_stage: StageResult) -> tuple[SearchEvent, ...]:
    """A whole search of two stages, in order."""
    return (
        SearchStarted(search_id="search-test", config=config, dataset=make_dataset_summary()),
        *_stage_events(init_stage, (), 80),
        *_stage_events(final_stage, ("init-00", "init-01"), 700),
        SearchFinished(result=SearchResult(search_id="search-test", stages=(init_stage, final_stage))),
    )


def _stage_events(result: StageResult, survivors: tuple[str, ...], images: int) -> tuple[SearchEvent, ...]:
    born = [ranked.trained.individual for ranked in result.ranked] + [failed.individual for failed in result.failed]
    born.sort(key=lambda individual: individual.number)
    best = result.ranked[0].id
    return (
        StageStarted(index=result.index, name=result.name, survivors=survivors, images=images),
        PopulationBorn(stage=result.index, round=0, individuals=tuple(born)),
        *(EpochFinished(individual_id=best, record=make_epoch_record(epoch)) for epoch in range(2)),
        *(IndividualFinished(outcome=ranked.evaluated) for ranked in result.ranked),
        *(IndividualFinished(outcome=failed) for failed in result.failed),
        StageFinished(result=result),
    )


@pytest.fixture
def tell(observer: MlflowSearchObserver) -> Callable[[tuple[SearchEvent, ...]], MlflowSearchObserver]:
    """Tells events to the observer and gives it back."""

    def notify(told: tuple[SearchEvent, ...]) -> MlflowSearchObserver:
        for event in told:
            observer.notify(event)
        return observer

    return notify
