"""Going on with a tracked search: the core's resume composed with MLflow and Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medarts_ops.errors import RunError, SearchError
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.journal.journal import JOURNAL_NAME
from medarts_ops.observers import SearchEvent, SearchObserver
from medarts_ops.search import read_started, resume_search
from medarts_ops.tracking.mlflow_search_observer import MlflowSearchObserver
from medarts_ops.tracking.optuna_proposer import make_proposer
from medarts_ops.tracking.patient_observer import PatientObserver
from medarts_ops.tracking.store import open_store
from medarts_ops.tracking.stored_runs import search_of
from medarts_ops.tracking.study_observers import PatientProposer, search_recorder
from medarts_ops.tracking.study_storage import open_study_storage
from medarts_ops.tracking.tracked import TrackedSearch, tracked_result
from medarts_ops.tracking.tracked_run import SEARCH_TAG


def resumed_search(
    search: str,
    *,
    tracking_uri: str | None = None,
    storage: str | None = None,
    work_dir: Path = Path("medarts-work"),
    observers: Sequence[SearchObserver] = (),
) -> TrackedSearch:
    """Go on with a search that was stopped or killed, in its own runs and studies.

    Args:
        search: the search's name, or the id of its run or of one below it.
        tracking_uri: the MLflow store that it began with.
        storage: the Optuna storage that it began with.
        work_dir: where the search's folder is.
        observers: told of every event, after MLflow; of those that happened before, too.

    Raises:
        SearchError: no folder of that search, one that is finished, or one that another process works on.
        RunError: no such run.
        MedartsError: as for `tracked_search`.
    """
    store = open_store(tracking_uri, create=False)
    name = search
    if not _has_journal(work_dir, search):
        found = search_of(store, store.find_run(search))
        if found is None or SEARCH_TAG not in found.tags:
            raise RunError(f"run {search!r} belongs to no search, so there is no search to resume")
        name = found.tags[SEARCH_TAG]
    folder = work_dir / name
    if not _has_journal(work_dir, name):
        raise SearchError(
            f"search {name!r} has no folder in {str(work_dir)!r}: --work-dir names where it was started from"
        )
    started = read_started(folder)
    studies = open_study_storage(storage)
    mlflow = MlflowSearchObserver(store)
    proposer = make_proposer(started.config, name, studies, started.dataset)
    patient = PatientObserver[SearchEvent](search_recorder(mlflow, studies, name, started.config, proposer))
    result = resume_search(folder, proposer=PatientProposer(proposer), observers=(patient, *observers))
    return tracked_result(result, mlflow, patient.waiting)


def _has_journal(work_dir: Path, name: str) -> bool:
    return NAME_PATTERN.fullmatch(name) is not None and (work_dir / name / JOURNAL_NAME).is_file()
