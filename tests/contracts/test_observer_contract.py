"""Every observer that a command gives a job bears what resuming asks of it: an event told twice, and to a new one."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from experiment_outcomes import make_networks, make_result, make_setting
from factories import (
    make_dataset_summary,
    make_evaluate_config_tiny,
    make_evaluation_epoch,
    make_genotype,
    make_pruned_events,
)
from journals import held_of, make_proposed_events, write_journal
from rich.console import Console

from medarts_ops.cli.experiment_progress import ExperimentProgress
from medarts_ops.cli.progress import EvaluationProgress, ProgressBoard, SearchProgress
from medarts_ops.experiment import ExperimentFinished, ExperimentStarted, TrainingFinished
from medarts_ops.experiments.network import plan_networks
from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationFinished,
    EvaluationStarted,
    SearchStarted,
)
from medarts_ops.tracking.place import Place, write_place
from medarts_ops.tracking.recorders import evaluation_recorder, experiment_recorder, search_recorder
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.vocabulary import EVALUATION_TAG, EXPERIMENT_TAG

NAME = "mine"
SEARCH = make_proposed_events(NAME, make_pruned_events)
HISTORY = tuple(make_evaluation_epoch(epoch) for epoch in range(2))
RESULT = EvaluationResult(genotype=make_genotype(), parameters=3_000_000, history=HISTORY, seconds=20.0)
EVALUATION = (
    EvaluationStarted(
        config=make_evaluate_config_tiny(),
        genotype=make_genotype(),
        parameters=3_000_000,
        dataset=make_dataset_summary(),
    ),
    *(EvaluationEpochFinished(record=record) for record in HISTORY),
    EvaluationFinished(result=RESULT),
)

COMPARED = plan_networks(
    "table4", make_networks("g_init", "g_best"), {"": make_setting()}, seeds=[0, 1], scale="own", workers=1
)
EXPERIMENT = (
    ExperimentStarted(plan=COMPARED),
    *(
        TrainingFinished(outcome=outcome)
        for outcome in make_result(COMPARED, lambda each: 0.25 + 0.1 * each.seed).outcomes
    ),
    ExperimentFinished(),
)


class Watched(NamedTuple):
    """An observer anew with each call of `make`, the events of its job, and what it has written down so far."""

    make: Callable[[], Any]
    events: Sequence[Any]
    held: Callable[[], Any]


def search_in_stores(folder: Path) -> Watched:
    store, studies = open_store(f"sqlite:///{folder / 'mlflow.db'}"), open_study_storage(f"sqlite:///{folder / 'o.db'}")
    write_journal(folder, NAME, SEARCH)
    started = SEARCH[0]
    assert isinstance(started, SearchStarted)

    def make() -> Any:
        return search_recorder(store, studies, folder / NAME, started.config, started.dataset, pictures=True).observer

    def held() -> Any:
        trials = [
            (
                study.study_name,
                [(trial.state, trial.values, trial.user_attrs) for trial in studies.get_all_trials(study._study_id)],
            )
            for study in studies.get_all_studies()
        ]
        pictures = {
            run.name: sorted(store.artifacts_in(run.run_id, "pictures")) for run in store.all_of_kind("individual")
        }
        return held_of(store, NAME), trials, pictures

    return Watched(make, SEARCH, held)


def evaluation_in_a_store(folder: Path) -> Watched:
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    (folder / NAME).mkdir()
    write_place(folder / NAME, Place())

    def held() -> Any:
        return [
            (
                run.name,
                run.status,
                dict(run.params),
                {
                    key: [(p.step, p.value) for p in store._client.get_metric_history(run.run_id, key)]
                    for key in run.metrics
                },
                sorted(store.artifacts_in(run.run_id, "")),
                sorted(store.artifacts_in(run.run_id, "pictures")),
            )
            for run in store.runs_with(store.experiment_id(), EVALUATION_TAG, NAME)
        ]

    return Watched(lambda: evaluation_recorder(store, folder / NAME, pictures=True).observer, EVALUATION, held)


def on_a_terminal(progress: type[Any], events: Sequence[Any]) -> Callable[[Path], Watched]:
    def watched(folder: Path) -> Watched:
        def make() -> Any:
            return progress(ProgressBoard(Console(file=io.StringIO(), width=100)))

        return Watched(make, events, lambda: None)

    return watched


def experiment_in_a_store(folder: Path) -> Watched:
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    (folder / NAME).mkdir()

    def held() -> Any:
        return [
            (run.name, run.status, dict(run.params), dict(run.metrics), dict(run.tags).keys(), artifacts)
            for run in store.runs_with(store.experiment_id(), EXPERIMENT_TAG, NAME)
            for artifacts in [
                sorted({**store.artifacts_in(run.run_id, ""), **store.artifacts_in(run.run_id, "pictures")})
            ]
        ]

    return Watched(lambda: experiment_recorder(store, folder / NAME, pictures=True).observer, EXPERIMENT, held)


OBSERVERS = {
    "experiment-recorder": experiment_in_a_store,
    "experiment-progress": on_a_terminal(ExperimentProgress, EXPERIMENT),
    "search-recorder": search_in_stores,
    "evaluation-recorder": evaluation_in_a_store,
    "search-progress": on_a_terminal(SearchProgress, SEARCH),
    "evaluation-progress": on_a_terminal(EvaluationProgress, EVALUATION),
}


class ToldOnce(NamedTuple):
    """What an observer holds of a job that was told to it once, and the events before and after as JSON."""

    held: str
    before: list[str]
    after: list[str]


@pytest.fixture(scope="module", params=sorted(OBSERVERS))
def watched_in(request: pytest.FixtureRequest) -> Callable[[Path], Watched]:
    return OBSERVERS[request.param]


@pytest.fixture(scope="module")
def once(
    watched_in: Callable[[Path], Watched], tmp_path_factory: pytest.TempPathFactory, template_database: Path
) -> ToldOnce:
    """What every other way of telling is compared with; told once, as all its pictures are drawn."""
    folder = tmp_path_factory.mktemp("once")
    shutil.copy(template_database, folder / "mlflow.db")
    watched = watched_in(folder)
    before = [event.model_dump_json() for event in watched.events]
    held = tell(watched, watched.events)
    return ToldOnce(without_ids(held), before, [event.model_dump_json() for event in watched.events])


@pytest.fixture
def watched(watched_in: Callable[[Path], Watched], tmp_path: Path, template_database: Path) -> Watched:
    shutil.copy(template_database, tmp_path / "mlflow.db")
    return watched_in(tmp_path)


def tell(watched: Watched, events: Sequence[Any]) -> Any:
    observer = watched.make()
    for event in events:
        observer.notify(event)
    return watched.held()


def without_ids(held: Any) -> str:
    """What is held, as text without the ids that each store gives."""
    return re.sub(r"[0-9a-f]{32}", "ID", repr(held))


def test_an_event_that_is_told_twice_is_written_once(watched, once):
    doubled = [event for event in watched.events for _ in range(2)]
    assert without_ids(tell(watched, doubled)) == once.held


@pytest.mark.parametrize("known", [1, 3, None])
def test_a_new_observer_may_be_told_what_an_earlier_one_knew(watched, once, known):
    tell(watched, watched.events[:known])
    assert without_ids(tell(watched, watched.events)) == once.held


def test_it_leaves_events_as_they_are(once):
    assert once.after == once.before
