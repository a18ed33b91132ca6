"""Deleting a job with all that belongs to it: MLflow's own delete leaves children behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import optuna
from optuna.storages import BaseStorage

from medarts_ops.errors import RunError, SearchError
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.journal.lock import job_lock
from medarts_ops.journal.removal import folder_bytes, remove_folder, remove_tree, set_aside
from medarts_ops.tracking.reading.jobs import job_in
from medarts_ops.tracking.reading.relations import search_of
from medarts_ops.tracking.stores.databases import database_address, sqlite_file
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.stores.study_storage import journal_file, open_study_storage, studies_of_search, study_errors
from medarts_ops.tracking.vocabulary import JOBS, SEARCH_TAG, TRAINED_KINDS, RunKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

KINDS: tuple[RunKind, ...] = get_args(RunKind)
"""Parents before children."""


class Deleted(NamedTuple):
    """What was deleted; `artifacts_left` are the runs whose artifacts wait for the `mlflow gc` of who keeps them."""

    run_ids: tuple[str, ...]
    studies: tuple[str, ...]
    folders: tuple[str, ...]
    artifacts_left: tuple[str, ...]


@dataclass(frozen=True)
class Deletion:
    """A job, `run`, and all that goes with it: a search's evaluations, an experiment's trainings.

    Attributes:
        runs: in the order in which they are deleted: children before parents, `run` last.
        studies: the Optuna studies that are its searches' alone.
        folders: those of the jobs in the work directory.
        folder_bytes: what the files in them take.
        twins: other searches of the same name. What goes by that name, studies and folder, may be theirs and stays.
        away: the jobs that say that they run and have no folder in the work directory that could tell.
    """

    run: StoredRun
    runs: tuple[StoredRun, ...]
    studies: tuple[str, ...]
    folders: tuple[Path, ...]
    folder_bytes: int
    twins: tuple[str, ...]
    away: tuple[str, ...]
    _store: RunStore
    _storage: BaseStorage | None
    _leftovers: tuple[Path, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many runs of each kind there are, searches first."""
        counted = Counter(run.kind for run in self.runs)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def carry_out(self) -> Deleted:
        """Delete it all. What was cut off in the middle is found again, since `run` goes last.

        Raises:
            StoreError: a store failed.
            SearchError: a folder can't be removed.
        """
        for study in self.studies:
            assert self._storage is not None, "studies are found in a storage"
            with study_errors(), suppress(KeyError):  # KeyError: somebody else was faster
                optuna.delete_study(study_name=study, storage=self._storage)
        *below, last = self.runs
        left = [run.run_id for run in below if not self._store.delete_run(run.run_id)]
        for folder in self.folders:
            remove_folder(folder)
        for leftover in self._leftovers:
            remove_tree(leftover)
        if not self._store.delete_run(last.run_id):
            left.append(last.run_id)
        run_ids = tuple(run.run_id for run in self.runs)
        return Deleted(run_ids, self.studies, tuple(map(str, self.folders)), artifacts_left=tuple(left))


@contextmanager
def deletion_of(
    given: str,
    *,
    tracking_uri: str | None,
    experiment: str | None = None,
    storage: str | None,
    work_dir: Path,
    keep_work_dir: bool = False,
) -> Iterator[Deletion]:
    """What would be deleted; nothing is before `carry_out`. While the block lasts, nobody else works on these jobs.

    Args:
        given: a run id, or the name of a search or an evaluation.
        tracking_uri, experiment, storage: as for `tracked_search`; one that is not there is not made.
        work_dir, keep_work_dir: where the jobs' folders are, and whether they stay.

    Raises:
        RunError: no such run, or a stage or individual, without which its search would be broken.
        SearchError: a job is at work, named by pid and host; a folder of a job's name holds one of another kind.
        StoreError: a store can't be reached.
    """
    store = open_store(tracking_uri, create=False, experiment=experiment)
    # Everywhere from here on: a search may share name and studies with one in another experiment.
    run, store = store.find_run(given), store.within(None)
    _check_is_whole(store, run)
    twins = _twins(store, run)
    runs = _tree(store, run, by_name=not twins)
    jobs = {name: job for job in runs if (name := _job_name(job)) and not (twins and job is run)}
    folders = _folders(jobs, work_dir, keep_work_dir)
    searches = [job for job in runs if job.kind == "search" and not twins]
    studies_at = open_study_storage(storage) if searches and _exists(storage) else None
    with _locked(folders):
        yield Deletion(
            run=run,
            runs=runs,
            studies=() if studies_at is None else _studies_of(store, searches, studies_at),
            folders=() if keep_work_dir else folders,
            folder_bytes=0 if keep_work_dir else sum(map(folder_bytes, folders)),
            twins=twins,
            away=tuple(n for n, job in jobs.items() if job.status == "RUNNING" and work_dir / n not in folders),
            _store=store,
            _storage=studies_at,
            _leftovers=() if keep_work_dir else tuple(set_aside(work_dir / name) for name in jobs),
        )


@contextmanager
def _locked(folders: Sequence[Path]) -> Iterator[None]:
    """These jobs are nobody else's while the block lasts."""
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(job_lock(folder))
        yield


def _check_is_whole(store: RunStore, run: StoredRun) -> None:
    """Refuse, by a RunError, a run that is only a part of a job."""
    if run.kind in JOBS:
        return
    search = search_of(store, run)
    whole = "its search" if search is None else f"the whole search with `medarts delete {search.run_id}`"
    raise RunError(
        f"run {run.run_id} ({run.name}) is of kind {run.kind}, and its search would be broken without it: allowed are "
        f"{' and '.join(JOBS)}; delete {whole}"
    )


def _twins(store: RunStore, run: StoredRun) -> tuple[str, ...]:
    """The other searches that carry a search's name; nobody but a user who edits tags makes them."""
    if run.kind != "search" or SEARCH_TAG not in run.tags:
        return ()
    return tuple(
        other.run_id
        for other in store.all_of_kind("search")
        if other.run_id != run.run_id and other.tags.get(SEARCH_TAG) == run.tags[SEARCH_TAG]
    )


def _tree(store: RunStore, run: StoredRun, by_name: bool) -> tuple[StoredRun, ...]:
    """A run and all below it, children before parents.

    A deletion that was cut off may have left an individual without its stage, so a search's runs are found by its
    name as well.
    """
    below: dict[str, StoredRun] = {}
    waiting = [run]
    while waiting:
        parent = waiting.pop()
        if parent.kind in TRAINED_KINDS:  # nothing lies below these
            continue
        found = store.children(parent)
        if parent.kind == "search" and by_name and SEARCH_TAG in parent.tags:
            found += store.runs_of_search(parent.experiment_id, parent.tags[SEARCH_TAG])
        new = {each.run_id: each for each in found if each.run_id not in {run.run_id, *below}}
        below |= new
        waiting += new.values()
    depths = {run_id: KINDS.index(each.kind) if each.kind in KINDS else len(KINDS) for run_id, each in below.items()}
    return (*sorted(below.values(), key=lambda each: depths[each.run_id], reverse=True), run)


def _job_name(run: StoredRun) -> str | None:
    """The name of the folder that a run's job has; None for a run that is only a part of a job."""
    name = next((run.tags.get(words.name_tag, "") for kind, words in JOBS.items() if kind == run.kind), "")
    # Tags can be edited by anybody, and what they name is removed.
    return name if NAME_PATTERN.fullmatch(name) else None


def _folders(jobs: Mapping[str, StoredRun], work_dir: Path, keep_work_dir: bool) -> tuple[Path, ...]:
    """The folders of jobs; one that holds what is not the run's is somebody's work, and its name a coincidence."""
    held = {name: job_in(work_dir, name) for name in jobs}
    for name, kind in held.items():
        if kind not in (None, jobs[name].kind) and not keep_work_dir:
            raise SearchError(
                f"{str(work_dir / name)!r} is of kind {kind}, and run {jobs[name].run_id} of that name is of kind "
                f"{jobs[name].kind}: rename the folder, or give --keep-work-dir to delete what is in the store alone"
            )
    return tuple(work_dir / name for name, kind in held.items() if kind == jobs[name].kind)


def _studies_of(store: RunStore, searches: Sequence[StoredRun], storage: BaseStorage) -> tuple[str, ...]:
    """The studies of these searches, without any that another search proposes from, too."""
    own = {search.run_id for search in searches}
    shared = {other.params.get("proposals.study") for other in store.all_of_kind("search") if other.run_id not in own}
    names = {
        name
        for search in searches
        if SEARCH_TAG in search.tags
        for name in studies_of_search(storage, search.tags[SEARCH_TAG])
    }
    return tuple(sorted(name for name in names if name not in shared))


def _exists(storage: str | None) -> bool:
    address = database_address(storage, "optuna.db")
    file = journal_file(storage) if address is None else sqlite_file(address)
    # Whether there is a database elsewhere, its server says; whether it is an address, opening it.
    return file is None or file.is_file()
