"""A search with its tracking: the core's function composed with MLflow and Optuna."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from optuna.storages import BaseStorage
from pydantic import JsonValue

from medarts_ops.bench.within_budget import FittedSearch, search_within_budget
from medarts_ops.config import ResolvedObjective, SearchConfig
from medarts_ops.errors import ConfigError, SearchError
from medarts_ops.individual import SearchResult
from medarts_ops.journal.folder import check_job_name, fresh_name
from medarts_ops.journal.job import new_folder
from medarts_ops.observers import SearchEvent, SearchObserver
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.proposal_outcomes import PatientProposer
from medarts_ops.resolving import resolve_search_config
from medarts_ops.search import run_search
from medarts_ops.tracking.artifacts.shapes import evaluate_tags
from medarts_ops.tracking.reading.jobs import check_name_is_free
from medarts_ops.tracking.recorders import SearchRecorder, search_recorder
from medarts_ops.tracking.stores.opening import open_store, resolve_tracking_uri
from medarts_ops.tracking.stores.stored_run import LONGEST_TAG
from medarts_ops.tracking.stores.study_storage import open_study_storage, studies_of_search

_logger = logging.getLogger(__name__)


class TrackedSearch(NamedTuple):
    """A finished search and where MLflow holds it; `run_ids` maps an individual's id to its run.

    `waiting` is the number of events that the stores did not take, because one was away to the end: they are in the
    search's journal, `sync_job` tells them, and `run_ids` lacks the individuals that were born meanwhile.
    `fitted` is how a search that was begun now, with a budget, came to its plan.
    """

    result: SearchResult
    run_id: str
    experiment_id: str
    run_ids: Mapping[str, str]
    waiting: int
    first_objective: ResolvedObjective
    fitted: FittedSearch | None = None


def tracked_search(
    config: SearchConfig,
    *,
    name: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    work_dir: str | Path = "medarts-work",
    pictures: bool = True,
    system_metrics: bool = False,
    observers: Sequence[SearchObserver] = (),
    evaluate: Mapping[str, JsonValue] = MappingProxyType({}),
    on_fitted: Callable[[FittedSearch], None] = lambda _: None,
    began: float | None = None,
) -> TrackedSearch:
    """Search an architecture; every stage and individual becomes an MLflow run, proposals and stages Optuna studies.

    Settings, data, store and storage are tried before anything is written: bad input leaves no run behind. A store
    that goes away later stops nothing: it is told when it answers again, at the end, or by `sync_job`.

    Args:
        config: all settings.
        name: the search's id: its folder, its MLflow run and its studies; made of dataset and time if None.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        experiment: MLflow's experiment, by its id or name; a new one is made. `medarts` if None.
        storage: Optuna storage; `sqlite:///optuna.db` in the current folder if None.
        work_dir: where the search's folder is made.
        pictures: log pictures and the report, too; a second or two for each individual.
        system_metrics: log how busy the machine is while the job runs, too, on the job's own run.
        observers: told of every event, after MLflow.
        evaluate: settings of evaluations, kept with the search: `medarts evaluate` begins from them.
        on_fitted: told to what plan a search with a budget (`runtime.budget`) was fitted, before it begins.
        began: when its time began, on the monotonic clock; now if None.

    Raises:
        MedartsError: bad settings, data, store or name; or a stage in which every individual failed.
    """
    began = time.monotonic() if began is None else began
    search_id = fresh_name("search", config.dataset.name) if name is None else name
    check_job_name(search_id)
    if any(len(tag) > LONGEST_TAG for tag in evaluate_tags(evaluate).values()):
        raise ConfigError(f"the settings of evaluations have more than {LONGEST_TAG} characters: keep settings only")
    resolved, data = resolve_search_config(config)
    fitted, data = search_within_budget(resolved, data, began)
    if fitted is not None:
        resolved = fitted.config
        on_fitted(fitted)
    resolve_tracking_uri(tracking_uri)  # whether it is an address at all, before anything is made
    studies = open_study_storage(storage)  # first, as a fresh store makes its tables for seconds
    store = open_store(tracking_uri, experiment=experiment)
    check_name_is_free(store, "search", search_id)
    _check_studies_are_free(search_id, studies)
    with new_folder(Path(work_dir), search_id) as folder:
        recorder = search_recorder(
            store, studies, folder, resolved, data.summary, pictures=pictures, system_metrics=system_metrics
        )
        patient, proposer = PatientObserver[SearchEvent](recorder.observer), PatientProposer(recorder.proposer)
        with _warning_of_what_waits(search_id, patient):
            listeners = (patient, *observers)
            result = run_search(resolved, folder, data=data, proposer=proposer, observers=listeners, evaluate=evaluate)
    return finished_search(result, recorder, patient.waiting)._replace(fitted=fitted)


def finished_search(result: SearchResult, recorder: SearchRecorder, waiting: int) -> TrackedSearch:
    """A finished search with its runs."""
    mlflow = recorder.mlflow
    first_objective = mlflow.started.config.objectives[0]
    return TrackedSearch(result, mlflow.run_id, mlflow.experiment_id, mlflow.run_ids, waiting, first_objective)


@contextmanager
def _warning_of_what_waits(search_id: str, patient: PatientObserver[SearchEvent]) -> Iterator[None]:
    """A search that ends by an error has no result that could say it."""
    try:
        yield
    except BaseException:
        if patient.waiting:
            _logger.warning(
                "%d events of search %s wait in its journal: run `medarts sync %s` with this search's stores and work "
                "directory",
                *(patient.waiting, search_id, search_id),
            )
        raise


def _check_studies_are_free(search_id: str, studies: BaseStorage) -> None:
    """A search of an older one's name would take its proposals and stage records for its own."""
    if studies_of_search(studies, search_id):
        raise SearchError(f"name {search_id!r} is taken in this study storage; choose another name")
