"""Telling MLflow and Optuna what a job's journal holds: after an outage, or into stores that were lost."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from medarts_ops.errors import SearchError, unknown_name
from medarts_ops.journal.folder import check_job_name
from medarts_ops.journal.job import kind_in, read_journal, tell_again
from medarts_ops.journal.journal import JOURNAL_NAME
from medarts_ops.journal.kinds import KINDS
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import JobState
from medarts_ops.tracking.reading.jobs import job_in
from medarts_ops.tracking.recorders import (
    EvaluationRecorder,
    SearchRecorder,
    evaluation_home,
    evaluation_recorder,
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


def sync_job(
    work_dir: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    pictures: bool = True,
) -> SyncedJob:
    """Tell the stores all events of a job's journal; what they hold already stays as it is.

    A job that did not end is synced as far as it came, and its open runs stay open. Runs that are made here begin
    now, not when the job began. A job that is at work tells its stores by itself and is left to it: two that write
    the same runs would double them.

    Args:
        work_dir: where the job has its folder, by its `name`.
        tracking_uri, experiment, storage: as for `tracked_search`; an evaluation has no studies.
        pictures: draw those that the runs lack, too.

    Raises:
        SearchError: no such job, one whose journal is empty or corrupt, or one that is at work.
        StoreError: a store is away; syncing again goes on where it failed.
        ConfigError: a bad name or address.
    """
    folder, kind = work_dir / name, _kind_of(work_dir, name)
    with job_lock(folder):
        journal = read_journal(folder, KINDS[kind])
        store, started = open_store(tracking_uri, experiment=experiment), journal.started
        recorder: SearchRecorder | EvaluationRecorder
        match kind:
            case "search":
                studies = open_study_storage(storage)
                recorder = search_recorder(
                    store, studies, folder, started.config, started.dataset, pictures=pictures, reopens=False
                )
            case "evaluation":
                store = evaluation_home(store, folder)
                recorder = evaluation_recorder(store, folder, pictures=pictures, reopens=False)
        tell_again(journal, folder, [recorder.observer])
        *_, (_, last) = events = journal.events()
        return SyncedJob(kind, name, recorder.mlflow.run_id, recorder.mlflow.experiment_id, len(events), last.job_state)


def _kind_of(work_dir: Path, name: str) -> JobKind:
    """What kind of job that name has; raises as `sync_job`."""
    check_job_name(name)
    kind = job_in(work_dir, name)
    if kind is not None:
        return kind
    known = [path.parent.name for path in work_dir.glob(f"*/{JOURNAL_NAME}") if kind_in(path.parent)]
    if not known:
        raise SearchError(f"no search has a journal in {str(work_dir)!r}; name another folder by --work-dir")
    raise SearchError(f"{unknown_name('search', name, known)}; its folder is named by --work-dir")
