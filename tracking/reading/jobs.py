"""Finding the search or evaluation that a name or a run id means, in the work directory and in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medarts_ops.errors import RunError
from medarts_ops.journal import job as jobs
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.tracking.reading.stored_runs import search_of
from medarts_ops.tracking.stores.databases import without_password
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.tracked_run import EVALUATION_TAG, JOB_TAGS, SEARCH_TAG, TrackedRun

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

JobKind = str


class Job(NamedTuple):
    """A search or an evaluation; `run_id` is its run's where the store was asked for it."""

    kind: JobKind
    name: str
    run_id: str | None


def find_job(given: str, *, tracking_uri: str | None, work_dir: Path) -> Job:
    """The job of a name, or that a run belongs to. A name with a folder in `work_dir` needs no store.

    Raises:
        RunError: no such job, or a run that belongs to none.
        StoreError: the store can't be reached.
    """
    kind = job_in(work_dir, given)
    if kind is not None:
        return Job(kind, given, None)
    store = open_store(tracking_uri, create=False)
    run = store.find_run(given)
    if run.kind == "evaluation":
        if EVALUATION_TAG not in run.tags:
            raise RunError(f"evaluation {run.run_id} was made by a release that could not resume: evaluate again")
        return Job("evaluation", job_name(run, EVALUATION_TAG), run.run_id)
    search = search_of(store, run)
    if search is None or SEARCH_TAG not in search.tags:
        raise RunError(f"run {given!r} belongs to no search, so there is nothing to resume")
    return Job("search", job_name(search, SEARCH_TAG), search.run_id)


def run_of_job(store: RunStore, job: Job) -> TrackedRun:
    """A job's own run, by its id or else by its tag: names of runs can be edited.

    Raises:
        RunError: the store does not know the job.
    """
    if job.run_id is not None:
        return store.find_run(job.run_id)
    named = store.runs_with(store.experiment_id(), JOB_TAGS[job.kind], job.name)
    runs = [run for run in named if run.kind == job.kind]
    if not runs:
        verb = "sync" if job.kind == "search" else "resume"
        raise RunError(
            f"{job.kind} {job.name!r} has no run in {without_password(store.uri)}: name its store by --tracking-uri, "
            f"or tell this one of it with `medarts {verb} {job.name}`"
        )
    return runs[0]


def job_in(work_dir: Path, name: str) -> JobKind | None:
    """What the folder of that name holds, if anything."""
    if NAME_PATTERN.fullmatch(name) is None:
        return None
    return jobs.kind_in(work_dir / name)


def job_name(run: TrackedRun, tag: str) -> str:
    """The name of a run's job, by which its folder is found.

    Raises:
        RunError: the tag, which anybody can edit, is no name of a folder of ours.
    """
    name = run.tags.get(tag, "")
    if NAME_PATTERN.fullmatch(name) is None:
        raise RunError(f"a run names its job {name[:120]!r}, which is no name of ours; mend its tag")
    return name


def is_unfinished(work_dir: Path, name: str) -> bool:
    """Whether the folder of that name holds a job that can be resumed."""
    return job_in(work_dir, name) is not None and jobs.is_unfinished(work_dir / name)
