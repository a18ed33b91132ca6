"""Going on with a tracked search: the core's resume composed with MLflow and Optuna."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import SearchError
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import IndividualFinished, SearchEvent, SearchObserver
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.search import resume_search
from medarts_ops.tracking.reading.jobs import Job, find_job, job_in
from medarts_ops.tracking.runs.journal_copy import restore_journal
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.search import TrackedSearch, tracked_result
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.studies.proposer import make_proposer
from medarts_ops.tracking.studies.recorders import PatientProposer, search_recorder

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)


def resumed_search(
    search: str,
    *,
    tracking_uri: str | None = None,
    storage: str | None = None,
    work_dir: Path = Path("medarts-work"),
    pictures: bool = True,
    observers: Sequence[SearchObserver] = (),
) -> TrackedSearch:
    """Go on with a search that was stopped or killed, in its own runs and studies.

    Where its folder is gone (another machine, a new container), it goes on from the journal that its run keeps: what
    was finished is taken over, individuals in training begin again.

    Args:
        search: the search's name, or the id of its run or of one below it.
        tracking_uri: the MLflow store that it began with.
        storage: the Optuna storage that it began with.
        work_dir: where the search's folder is.
        pictures: log pictures and the report, too.
        observers: told of every event, after MLflow; of those that happened before, too.

    Raises:
        SearchError: no folder of that search and no journal in its run, one that is finished, or one that another
            process works on.
        RunError: no such run.
        MedartsError: as for `tracked_search`.
    """
    job = find_job(search, tracking_uri=tracking_uri, work_dir=work_dir)
    if job.kind != "search":
        raise SearchError(f"{search!r} is an evaluation: `resumed_evaluation` goes on with it")
    folder = work_dir / job.name
    store = open_store(tracking_uri, create=False)
    if job_in(work_dir, job.name) is None:
        _restore(job, store, work_dir)
    started = Journal.open(folder, SEARCH).started
    studies = open_study_storage(storage)
    mlflow = MlflowSearchObserver(store)
    proposer = make_proposer(started.config, job.name, studies, started.dataset)
    recorder = search_recorder(store, mlflow, studies, folder, started.config, proposer, pictures=pictures)
    patient = PatientObserver[SearchEvent](recorder)
    result = resume_search(folder, proposer=PatientProposer(proposer), observers=(patient, *observers))
    return tracked_result(result, mlflow, patient.waiting)


def _restore(job: Job, store: RunStore, work_dir: Path) -> None:
    assert job.run_id is not None, "a search without a folder was found through its run"
    folder = restore_journal(store, job.run_id, work_dir, job.name)
    done = sum(isinstance(event, IndividualFinished) for _, event in Journal.open(folder, SEARCH).events())
    _logger.warning(
        "search %s has no folder in %s: it goes on from the %d finished individuals that its run keeps, and what was "
        "in training begins again",
        *(job.name, work_dir, done),
    )
