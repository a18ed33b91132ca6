"""Deleting a search or an evaluation with all that belongs to it: MLflow's own delete leaves children behind."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import optuna
from optuna.storages import BaseStorage

from medarts_ops.errors import RunError, SearchError
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.journal.lock import job_lock
from medarts_ops.tracking.reading.jobs import job_in
from medarts_ops.tracking.reading.stored_runs import search_of
from medarts_ops.tracking.stores.databases import absolute_sqlite, default_sqlite, scheme_of, sqlite_file
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage, studies_of_search, study_errors
from medarts_ops.tracking.stores.tracked_run import JOB_TAGS, SEARCH_TAG, TrackedRun

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

KINDS = ("search", "stage", "individual", "evaluation")
CHILDREN_FIRST = ("evaluation", "individual", "stage", "search")


class Deleted(NamedTuple):
    """What was deleted; `artifacts_left` are the runs whose artifacts wait for the `mlflow gc` of who keeps them."""

    run_ids: tuple[str, ...]
    studies: tuple[str, ...]
    folders: tuple[str, ...]
    artifacts_left: tuple[str, ...]


@dataclass(frozen=True)
class Deletion:
    """A search or an evaluation, `run`, and all that goes with it.

    Attributes:
        runs: in the order in which they are deleted: children before parents, `run` last.
        studies: the Optuna studies that are the search's alone.
        folders: those of the jobs in the work directory.
        folder_bytes: what the files in them take.
        twins: other searches of the same name. What goes by that name, studies and folder, may be theirs and stays.
        away: the jobs that say that they run and have no folder in the work directory that could tell.
    """

    run: TrackedRun
    runs: tuple[TrackedRun, ...]
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
            _remove(folder)
        for leftover in self._leftovers:
            _remove_tree(leftover)
        if not self._store.delete_run(last.run_id):
            left.append(last.run_id)
        return Deleted(
            run_ids=tuple(run.run_id for run in self.runs),
            studies=self.studies,
            folders=tuple(map(str, self.folders)),
            artifacts_left=tuple(left),
        )


@contextmanager
def deletion_of(
    given: str, *, tracking_uri: str | None, storage: str | None, work_dir: Path, keep_work_dir: bool = False
) -> Iterator[Deletion]:
    """What would be deleted; nothing is before `carry_out`. While the block lasts, nobody else works on these jobs.

    Args:
        given: a run id, or the name of a search or an evaluation.
        tracking_uri: MLflow store; `sqlite:///mlflow.db` in the current folder if None.
        storage: Optuna storage; `sqlite:///optuna.db` in the current folder if None. One that is not there is not made.
        work_dir: where the jobs' folders are.
        keep_work_dir: whether these stay.

    Raises:
        RunError: no such run, or a stage or individual, without which its search would be broken.
        SearchError: a job is at work, named by pid and host.
        StoreError: a store can't be reached.
    """
    store = open_store(tracking_uri, create=False)
    run = store.find_run(given)
    _check_is_whole(store, run)
    twins = _twins(store, run)
    runs = _tree(store, run, by_name=not twins)
    jobs = {name: job for job in runs if (name := _job_name(job)) and not (twins and job.kind == "search")}
    folders = tuple(work_dir / name for name in jobs if job_in(work_dir, name) is not None)
    away = tuple(name for name, job in jobs.items() if job.status == "RUNNING" and work_dir / name not in folders)
    studies_at = open_study_storage(storage) if run.kind == "search" and _exists(storage) else None
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(job_lock(folder))
        yield Deletion(
            run=run,
            runs=runs,
            studies=() if studies_at is None or twins else _own_studies(store, run, studies_at),
            folders=() if keep_work_dir else folders,
            folder_bytes=0 if keep_work_dir else sum(map(_bytes, folders)),
            twins=twins,
            away=away,
            _store=store,
            _storage=studies_at,
            _leftovers=() if keep_work_dir else tuple(_set_aside(work_dir / name) for name in jobs),
        )


def _check_is_whole(store: RunStore, run: TrackedRun) -> None:
    if run.kind in ("search", "evaluation"):
        return
    search = search_of(store, run)
    whole = "its search" if search is None else f"the whole search with `medarts delete {search.run_id}`"
    raise RunError(
        f"run {run.run_id} ({run.name}) is of kind {run.kind}, and its search would be broken without it: allowed are "
        f"search and evaluation; delete {whole}"
    )


def _twins(store: RunStore, run: TrackedRun) -> tuple[str, ...]:
    """The other searches that carry a search's name; nobody but a user who edits tags makes them."""
    if run.kind != "search" or SEARCH_TAG not in run.tags:
        return ()
    return tuple(
        other.run_id
        for other in store.searches()
        if other.run_id != run.run_id and other.tags.get(SEARCH_TAG) == run.tags[SEARCH_TAG]
    )


def _tree(store: RunStore, run: TrackedRun, by_name: bool) -> tuple[TrackedRun, ...]:
    """A run and all below it, children before parents.

    A deletion that was cut off may have left an individual without its stage, so a search's runs are found by its
    name as well.
    """
    if run.kind == "evaluation":
        return (run,)
    found = store.children(run)
    if by_name and SEARCH_TAG in run.tags:
        found += store.runs_of_search(run.experiment_id, run.tags[SEARCH_TAG])
    found += [child for stage in found if stage.kind == "stage" for child in store.children(stage)]
    below = {each.run_id: each for each in found if each.run_id != run.run_id}
    return (*sorted(below.values(), key=_rank), run)


def _rank(run: TrackedRun) -> int:
    return CHILDREN_FIRST.index(run.kind) if run.kind in CHILDREN_FIRST else 0


def _job_name(run: TrackedRun) -> str | None:
    """The name of the folder that a run's job has; None for a run that is only a part of a job."""
    name = run.tags.get(JOB_TAGS.get(run.kind, ""), "")
    # Tags can be edited by anybody, and what they name is removed.
    return name if NAME_PATTERN.fullmatch(name) else None


def _own_studies(store: RunStore, search: TrackedRun, storage: BaseStorage) -> tuple[str, ...]:
    """The studies of a search, without any that another search proposes from, too."""
    if SEARCH_TAG not in search.tags:
        return ()
    shared = {other.params.get("proposals.study") for other in store.searches() if other.run_id != search.run_id}
    names = studies_of_search(storage, search.tags[SEARCH_TAG])
    return tuple(sorted(name for name in names if name not in shared))


def _exists(storage: str | None) -> bool:
    address = default_sqlite("optuna.db") if storage is None else storage
    if scheme_of(address) != "sqlite":
        return True  # whether there is a database, its server says; whether it is an address, opening it
    file = sqlite_file(absolute_sqlite(address))
    return file is not None and file.is_file()


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _set_aside(folder: Path) -> Path:
    """The name of a folder on its way out, which no job can have."""
    return folder.with_name(f".{folder.name}.deleted")


def _remove(folder: Path) -> None:
    # Under its own name half a folder would be taken for a broken search; and a new one may have the name at once.
    aside = _set_aside(folder)
    _remove_tree(aside)
    try:
        folder.rename(aside)
    except OSError as error:
        raise _undeletable(folder, error) from error
    _remove_tree(aside)


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _undeletable(folder, error) from error


def _undeletable(folder: Path, error: OSError) -> SearchError:
    return SearchError(
        f"{str(folder)!r} can't be removed: {error.strerror or error}; mend that and delete again, or give "
        "--keep-work-dir"
    )
