"""Telling MLflow and Optuna what a job's journal holds: after an outage, or into stores that were lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medarts_ops.errors import SearchError, unknown_name
from medarts_ops.journal.folder import check_job_name
from medarts_ops.journal.job import kind_in, read_journal, tell_again
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import KINDS
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import JobState
from medarts_ops.tracking.reading.jobs import job_in
from medarts_ops.tracking.recorders import (
    EvaluationRecorder,
    SearchRecorder,
    evaluation_recorder,
    read_place,
    search_recorder,
)
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.vocabulary import JobKind


class SyncedJob(NamedTuple):
    """A job that the stores hold as its journal does; `state` is how the journal ends."""

    kind: JobKind
    name: str
    run_id: str
    experiment_id: str
    events: int
    state: JobState


class Stores(NamedTuple):
    """Where a job is written down: addresses of stores, and whether pictures are."""

    tracking_uri: str | None
    storage: str | None
    pictures: bool


def sync_job(
    work_dir: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    storage: str | None = None,
    pictures: bool = True,
) -> SyncedJob:
    """Tell the stores all events of a job's journal; what they hold already stays as it is.

    A job that did not end is synced as far as it came, and its open runs stay open. Runs that are made here begin
    now, not when the job began. A job that is at work tells its stores by itself and is left to it: two that write
    the same runs would double them.

    Args:
        work_dir: where the job's folder is.
        name: the job's name.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        storage: Optuna storage; `sqlite:///optuna.db` in the current folder if None. An evaluation has no studies.
        pictures: draw those that the runs lack, too.

    Raises:
        SearchError: no such job, one whose journal is empty or corrupt, or one that is at work.
        StoreError: a store is away; syncing again goes on where it failed.
        ConfigError: a bad name or address.
    """
    check_job_name(name)
    folder = work_dir / name
    kind = job_in(work_dir, name)
    if kind is None:
        raise _no_such_job(work_dir, name)
    with job_lock(folder):
        journal = read_journal(folder, KINDS[kind])
        recorder = RECORDERS[kind](journal, folder, Stores(tracking_uri, storage, pictures))
        tell_again(journal, folder, [recorder.observer])
        *_, (_, last) = events = journal.events()
        return SyncedJob(kind, name, recorder.run_id, recorder.mlflow.experiment_id, len(events), last.job_state)


def _search_recorder(journal: Journal[Any, Any], folder: Path, stores: Stores) -> SearchRecorder:
    started = journal.started
    store, studies = open_store(stores.tracking_uri), open_study_storage(stores.storage)
    return search_recorder(
        store, studies, folder, started.config, started.dataset, pictures=stores.pictures, reopens=False
    )


def _evaluation_recorder(journal: Journal[Any, Any], folder: Path, stores: Stores) -> EvaluationRecorder:
    place = read_place(folder)
    return evaluation_recorder(open_store(stores.tracking_uri), folder, place, pictures=stores.pictures, reopens=False)


RECORDERS: Mapping[JobKind, Callable[[Journal[Any, Any], Path, Stores], SearchRecorder | EvaluationRecorder]] = {
    "search": _search_recorder,
    "evaluation": _evaluation_recorder,
}
"""Who writes each kind of job down, from its journal."""


def _no_such_job(work_dir: Path, name: str) -> SearchError:
    known = [path.parent.name for path in work_dir.glob(f"*/{JOURNAL_NAME}") if kind_in(path.parent)]
    if not known:
        return SearchError(f"no search has a journal in {str(work_dir)!r}; name another folder by --work-dir")
    return SearchError(f"{unknown_name('search', name, known)}; its folder is named by --work-dir")
