"""Telling MLflow and Optuna what a search's journal holds: after an outage, or into stores that were lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medarts_ops.errors import SearchError, unknown_name
from medarts_ops.journal.folder import check_job_name
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import SearchEvent, SearchState, SearchStopped, state_after
from medarts_ops.tracking.reading.jobs import job_in
from medarts_ops.tracking.recorders import SearchRecorder, search_recorder
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.vocabulary import JOBS


class SyncedSearch(NamedTuple):
    """A search that the stores hold as its journal does; `state` is how the journal ends."""

    search_id: str
    run_id: str
    experiment_id: str
    events: int
    state: SearchState


def sync_search(
    work_dir: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    storage: str | None = None,
    pictures: bool = True,
) -> SyncedSearch:
    """Tell both stores all events of a search's journal; what they hold already stays as it is.

    A search that did not end is synced as far as it came, and its open runs stay open. Runs that are made here begin
    now, not when the search began. A search that is at work tells its stores by itself and is left to it: two that
    write the same runs would double them.

    Args:
        work_dir: where the search's folder is.
        name: the search's name.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        storage: Optuna storage; `sqlite:///optuna.db` in the current folder if None.
        pictures: draw those that the runs lack, too.

    Raises:
        SearchError: no such search, one whose journal is empty or corrupt, or one that is at work.
        StoreError: a store is away; syncing again goes on where it failed.
        ConfigError: a bad name or address.
    """
    check_job_name(name)
    folder = work_dir / name
    kind = job_in(work_dir, name)
    if kind is None:
        raise _no_such_search(work_dir, name)
    if (verb := JOBS[kind].telling_verb) != "sync":
        raise SearchError(f"{name!r} is an {kind}, which has no journal: `medarts {verb} {name}` tells its store")
    with job_lock(folder):
        journal = Journal.open(folder)
        started = journal.started
        events = [event for _, event in journal.events()]
        store, studies = open_store(tracking_uri), open_study_storage(storage)
        recorder = search_recorder(
            store, studies, folder, started.config, started.dataset, pictures=pictures, reopens=False
        )
        return _tell(folder.name, events, recorder)


def _tell(search_id: str, events: Sequence[SearchEvent], recorder: SearchRecorder) -> SyncedSearch:
    *earlier, last = events
    for event in earlier:
        if not isinstance(event, SearchStopped):  # the search went on after that
            recorder.observer.notify(event)
    recorder.observer.notify(last)
    return SyncedSearch(
        search_id=search_id,
        run_id=recorder.mlflow.search_run_id,
        experiment_id=recorder.mlflow.experiment_id,
        events=len(events),
        state=state_after(last),
    )


def _no_such_search(work_dir: Path, name: str) -> SearchError:
    known = [path.parent.name for path in work_dir.glob(f"*/{JOURNAL_NAME}")]
    if not known:
        return SearchError(f"no search has a journal in {str(work_dir)!r}; name another folder by --work-dir")
    return SearchError(f"{unknown_name('search', name, known)}; its folder is named by --work-dir")
