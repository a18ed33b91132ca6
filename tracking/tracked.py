"""A search and an evaluation with their tracking: the core's functions composed with MLflow and Optuna."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from optuna.storages import BaseStorage

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import ConfigError, RunError, SearchError, StoreError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.individual import EvaluationResult, SearchResult
from medarts_ops.journal.folder import check_search_name, create_search_folder
from medarts_ops.observers import EvaluationEvent, EvaluationObserver, SearchEvent, SearchObserver
from medarts_ops.search import resolve_config, run_search
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.mlflow_evaluation_observer import MlflowEvaluationObserver
from medarts_ops.tracking.mlflow_search_observer import MlflowSearchObserver
from medarts_ops.tracking.optuna_proposer import make_proposer
from medarts_ops.tracking.patient_observer import PatientObserver
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.stored_runs import chosen_individual, evaluated_search, genotype_of
from medarts_ops.tracking.study_observers import PatientProposer, search_recorder
from medarts_ops.tracking.study_storage import open_study_storage, studies_of_search
from medarts_ops.training.runtime import resolve_runtime

if TYPE_CHECKING:
    from medarts_ops.tracking.run_store import RunStore


WEIGHTS = "weights.pt"
"""Artifact of an evaluation: the trained network's state dict."""

_logger = logging.getLogger(__name__)


class TrackedSearch(NamedTuple):
    """A finished search and where MLflow holds it; `run_ids` maps an individual's id to its run.

    `waiting` is the number of events that the stores did not take, because one was away to the end: they are in the
    search's journal, `sync_search` tells them, and `run_ids` lacks the individuals that were born meanwhile.
    """

    result: SearchResult
    run_id: str
    experiment_id: str
    run_ids: Mapping[str, str]
    waiting: int


class TrackedEvaluation(NamedTuple):
    """A finished evaluation and where MLflow holds it."""

    result: EvaluationResult
    run_id: str
    experiment_id: str


def tracked_search(
    config: SearchConfig,
    *,
    name: str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    work_dir: Path = Path("medarts-work"),
    observers: Sequence[SearchObserver] = (),
) -> TrackedSearch:
    """Search an architecture; every stage and individual becomes an MLflow run, proposals and stages Optuna studies.

    Settings, data, store and storage are tried before anything is written: bad input leaves no run behind. A store
    that goes away later stops nothing: it is told when it answers again, at the end, or by `sync_search`.

    Args:
        config: all settings.
        name: the search's id: its folder, its MLflow run and its studies; made of dataset and time if None.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        storage: Optuna storage; `sqlite:///optuna.db` in the current folder if None.
        work_dir: where the search's folder is made.
        observers: told of every event, after MLflow.

    Raises:
        MedartsError: bad settings, data, store or name; or a stage in which every individual failed.
    """
    config = resolve_config(config)
    search_id = _fresh_name(config.dataset.name) if name is None else name
    check_search_name(search_id)
    data = prepare_search_data(config)
    store = open_store(tracking_uri)
    studies = open_study_storage(storage)
    mlflow = MlflowSearchObserver(store)
    _check_name_is_free(search_id, store, mlflow.experiment_id, studies)
    folder = create_search_folder(work_dir, search_id)
    try:
        proposer = make_proposer(config, search_id, studies, data.summary)
    except BaseException:
        folder.rmdir()
        raise
    patient = PatientObserver[SearchEvent](search_recorder(mlflow, studies, search_id, config, proposer))
    try:
        result = run_search(
            config, folder, data=data, proposer=PatientProposer(proposer), observers=(patient, *observers)
        )
    except BaseException:
        _say_what_waits(patient.waiting, search_id)
        raise
    return tracked_result(result, mlflow, patient.waiting)


def tracked_result(result: SearchResult, mlflow: MlflowSearchObserver, waiting: int) -> TrackedSearch:
    """A finished search with its runs."""
    return TrackedSearch(
        result=result,
        run_id=mlflow.search_run_id,
        experiment_id=mlflow.experiment_id,
        run_ids=mlflow.run_ids,
        waiting=waiting,
    )


def _say_what_waits(waiting: int, search_id: str) -> None:
    """A search that ends by an error has no result that could say it."""
    if waiting:
        _logger.warning(
            "%d events of search %s wait in its journal: run `medarts sync %s` with this search's stores and work "
            "directory",
            *(waiting, search_id, search_id),
        )


def _fresh_name(dataset: str) -> str:
    """The time for people, and two random bytes for searches that start in the same second on one store."""
    return f"search-{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _check_name_is_free(search_id: str, store: RunStore, experiment_id: str, storage: BaseStorage) -> None:
    """A search of an older one's name would go on in its runs and take its proposals and stage records for its own."""
    if store.runs_of_search(experiment_id, search_id):
        raise SearchError(f"search name {search_id!r} is taken in this tracking store; choose another name")
    if studies_of_search(storage, search_id):
        raise SearchError(f"search name {search_id!r} is taken in this study storage; choose another name")


def tracked_evaluation(
    config: EvaluateConfig,
    *,
    run_id: str | None = None,
    genotype: Genotype | None = None,
    tracking_uri: str | None = None,
    observers: Sequence[EvaluationObserver] = (),
) -> TrackedEvaluation:
    """Train a genotype at full size; the evaluation becomes an MLflow run, under the search whose genotype it is.

    Settings and data are tried before the store is opened: bad input leaves no run behind. The trained weights are
    the run's artifact `weights.pt`, a state dict.

    Args:
        config: all settings.
        run_id: a search, stage (its front 0's highest acc_valid) or individual whose genotype is trained; or
        genotype: one given by hand. One of the two.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        observers: told of every event, after MLflow.

    Raises:
        ConfigError: both or none of `run_id` and `genotype`.
        RunError: no such run, one of the wrong kind, or one that has no genotype yet.
        StoreError: the store is away at the start or the end; the trained weights are kept in the current folder.
        MedartsError: bad settings, data or store, or a loss that diverged.
    """
    if (run_id is None) == (genotype is None):
        raise ConfigError("an evaluation needs a run id or a genotype, one of the two")
    config = config.model_copy(update={"runtime": resolve_runtime(config.runtime)})
    dataset = load_dataset(config.dataset)
    store = open_store(tracking_uri, create=run_id is None)
    evaluates = search = None
    if run_id is not None:
        search, evaluates, genotype = _stored_genotype(store, run_id)
    assert genotype is not None
    mlflow = MlflowEvaluationObserver(store, evaluates=evaluates, parent_run_id=search)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        patient = PatientObserver[EvaluationEvent](mlflow)
        result = run_evaluation(
            config, genotype, dataset=dataset, weights_file=weights, observers=(patient, *observers)
        )
        if patient.waiting:
            raise _untold_evaluation(result, weights, mlflow.run_id, patient.waiting)
    return TrackedEvaluation(result=result, run_id=mlflow.run_id, experiment_id=mlflow.experiment_id)


def _untold_evaluation(result: EvaluationResult, weights: Path, run_id: str, waiting: int) -> StoreError:
    # An evaluation has no journal, and what was trained for hours must not go with a temporary folder.
    kept = shutil.move(weights, Path.cwd() / f"{run_id}-{WEIGHTS}")
    return StoreError(
        f"the tracking store is away: the evaluation is over (test error {result.test_error:.4f}), but its last "
        f"{waiting} events are not in run {run_id}; the trained weights are kept in {str(kept)!r}"
    )


def _stored_genotype(store: RunStore, run_id: str) -> tuple[str, str, Genotype]:
    """The search's run id, the individual's run id, and the individual's genotype."""
    run = store.find_run(run_id)
    search = evaluated_search(store, run)
    individual = chosen_individual(store, run)
    found = None if individual is None else genotype_of(store, individual)
    if individual is None or found is None:
        raise RunError(
            f"run {run.run_id} ({run.name}) has no genotype: it is {run.status.lower()}; allowed are finished "
            "searches, stages and individuals, see `medarts show`"
        )
    return search.run_id, individual.run_id, found
