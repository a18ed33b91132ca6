"""Comparing MLflow and Optuna with a job's journal, and writing what they lack: after an outage, or a loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from medarts_ops.errors import SearchError, unknown_name
from medarts_ops.experiment import ExperimentEvent, ExperimentStarted
from medarts_ops.experiments.trainings import job_name
from medarts_ops.journal.folder import check_job_name
from medarts_ops.journal.job import kind_in, read_journal, tell_again
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import KINDS
from medarts_ops.journal.lock import is_at_work, job_lock
from medarts_ops.observers import EvaluationEvent, EvaluationStarted, JobEvent, JobState, SearchEvent, SearchStarted
from medarts_ops.tracking.place import PLACE, read_place
from medarts_ops.tracking.reading.jobs import home_of, job_in
from medarts_ops.tracking.recorders import (
    evaluation_home,
    evaluation_recorder,
    experiment_recorder,
    search_recorder,
)
from medarts_ops.tracking.runs.completed_store import CompletedStore
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.runs.experiment_runs import MlflowExperimentObserver
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.studies.told_trials import trials_of, written_trials
from medarts_ops.tracking.vocabulary import JobKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class _InItsTime:
    """Tells a store that compares when each event happened, before others tell it what."""

    def __init__(self, journal: Journal[Any, Any], completed: CompletedStore) -> None:
        self._journal, self._completed = journal, completed

    def notify(self, event: JobEvent) -> None:
        """Take note of one event."""
        self._completed.moment = self._journal.moment_of(event)


class SyncedJob(NamedTuple):
    """A job that the stores hold as its journal does; `state` is how the journal ends.

    `written` is how much of what the stores lacked, such as 14 `artifacts`; empty if nothing was missing. `lost` names
    what they lack and the job's folder does not have either.
    """

    kind: JobKind
    name: str
    run_id: str
    experiment_id: str
    events: int
    state: JobState
    written: Mapping[str, int]
    lost: tuple[str, ...]


def sync_job(
    work_dir: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    storage: str | None = None,
    pictures: bool = True,
) -> SyncedJob:
    """Compare the stores with a job's journal, and write what they lack; what they hold already stays as it is.

    A run that was deleted is restored; one that is gone for good is made anew, with the times that its journal keeps
    (those of earlier releases keep none: today's), and what names it is set right. A job that did not end is synced as
    far as it came, and its open runs stay open. A job that is at work tells its stores by itself and is left to it: two
    that write the same runs would double them. With an experiment go its trainings, with a search its evaluations that
    have a folder here and are not at work.

    Args:
        work_dir: where the job has its folder, by its `name`.
        tracking_uri, experiment, storage: as for `tracked_search`; an evaluation has no studies.
        pictures: draw those that the runs lack, too; the trainings of an experiment have none.

    Raises:
        SearchError: no such job, one whose journal is empty or corrupt, or one that is at work.
        StoreError, ConfigError: a store is away (syncing again goes on where it failed), a bad name or address.
    """
    opening = cache(lambda: open_store(tracking_uri, experiment=experiment))
    return _synced(work_dir, name, opening, storage, pictures)


def _synced(
    work_dir: Path,
    name: str,
    opening: Callable[[], RunStore],
    storage: str | None,
    pictures: bool,
    home: str | None = None,
) -> SyncedJob:
    """Sync a job and those below it, whose `home` is the experiment of their search, where that is known already."""
    folder, kind = work_dir / name, _kind_of(work_dir, name)
    with job_lock(folder):
        journal = read_journal(folder, KINDS[kind])
        store = opening() if home is None else opening().within(home)
        runs, completed = _tell(kind, store, storage, journal, folder, pictures, is_home=home is not None)
    *_, (_, last) = events = journal.events()
    written, lost = dict(+completed.written), tuple(completed.lost)
    synced = SyncedJob(kind, name, runs.run_id, runs.experiment_id, len(events), last.job_state, written, lost)
    # Below their search or experiment, which has its run now; trainings without pictures, as when they were trained.
    below = _trainings(work_dir, name, journal) if kind == "experiment" else _evaluations(work_dir, kind, name)
    drawn, of_search = pictures and kind != "experiment", runs.experiment_id if kind == "search" else None
    return _together(synced, [_synced(work_dir, each, opening, storage, drawn, of_search) for each in below])


def _tell(
    kind: JobKind,
    store: RunStore,
    storage: str | None,
    journal: Journal[Any, Any],
    folder: Path,
    pictures: bool,
    *,
    is_home: bool,
) -> tuple[MlflowSearchObserver | MlflowEvaluationObserver | MlflowExperimentObserver, CompletedStore]:
    """Tell a job's events again to a store that compares: its runs, and what was written."""
    match kind:
        case "search":
            return _tell_search(store, storage, journal, folder, pictures)
        case "evaluation":
            store = store if is_home else evaluation_home(store, folder)
            return _tell_evaluation(store, journal, folder, pictures)
        case "experiment":
            return _tell_experiment(store, journal, folder, pictures)


def _tell_search(
    store: RunStore,
    storage: str | None,
    journal: Journal[SearchEvent, SearchStarted],
    folder: Path,
    pictures: bool,
) -> tuple[MlflowSearchObserver, CompletedStore]:
    store, started = home_of(store, "search", folder.name), journal.started
    completed, studies = CompletedStore(store), open_study_storage(storage)
    before = trials_of(studies, folder.name, started.config)
    recorder = search_recorder(
        store, studies, folder, started.config, started.dataset, pictures=pictures, completed=completed
    )
    tell_again(journal, folder, [_InItsTime(journal, completed), recorder.observer])
    completed.written["trials"] = written_trials(before, trials_of(studies, folder.name, started.config))
    return recorder.mlflow, completed


def _tell_evaluation(
    store: RunStore, journal: Journal[EvaluationEvent, EvaluationStarted], folder: Path, pictures: bool
) -> tuple[MlflowEvaluationObserver, CompletedStore]:
    completed = CompletedStore(store)
    recorder = evaluation_recorder(store, folder, pictures=pictures, completed=completed)
    tell_again(journal, folder, [_InItsTime(journal, completed), recorder.observer])
    return recorder.mlflow, completed


def _tell_experiment(
    store: RunStore, journal: Journal[ExperimentEvent, ExperimentStarted], folder: Path, pictures: bool
) -> tuple[MlflowExperimentObserver, CompletedStore]:
    store = home_of(store, "experiment", folder.name)
    completed = CompletedStore(store)
    recorder = experiment_recorder(store, folder, pictures=pictures, completed=completed)
    tell_again(journal, folder, [_InItsTime(journal, completed), recorder.observer])
    return recorder.mlflow, completed


def _trainings(work_dir: Path, name: str, journal: Journal[ExperimentEvent, ExperimentStarted]) -> tuple[str, ...]:
    """The jobs of an experiment's trainings that have a folder."""
    names = (job_name(name, training) for training in journal.started.plan.trainings)
    return tuple(each for each in names if job_in(work_dir, each) is not None)


def _evaluations(work_dir: Path, kind: JobKind, search: str) -> tuple[str, ...]:
    """The evaluations of a search that have a folder and stand alone; those at work tell their stores by themselves."""
    if kind != "search":
        return ()
    folders = [path.parent for path in sorted(work_dir.glob(f"*/{PLACE}")) if kind_in(path.parent) == "evaluation"]
    return tuple(each.name for each in folders if _evaluates(each, search) and not is_at_work(each))


def _evaluates(folder: Path, search: str) -> bool:
    try:
        place = read_place(folder)
    except SearchError:  # whose it is nobody knows: syncing it by its name says what is wrong
        return False
    return place.search == search and place.experiment is None


def _together(job: SyncedJob, below: Sequence[SyncedJob]) -> SyncedJob:
    """An experiment with its trainings, or a search with its evaluations: all that was told and written."""
    written: Counter[str] = Counter()
    for each in (job, *below):
        written.update(each.written)
    return job._replace(
        events=job.events + sum(each.events for each in below),
        written=dict(written),
        lost=(*job.lost, *(lost for each in below for lost in each.lost)),
    )


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
