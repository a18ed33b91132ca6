"""Finding the job that a name or a run id means, once, in the work directory and in the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from medarts_ops.errors import RunError, SearchError
from medarts_ops.journal import job as jobs
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.journal.lock import is_at_work
from medarts_ops.tracking.reading.relations import search_of
from medarts_ops.tracking.stores.databases import without_password
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import FAILURE_CAUSE_TAG, JOB_OF_RUN, JOBS, JobKind

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


@dataclass(frozen=True)
class Job:
    """A search, an evaluation or an experiment that was found: whoever goes on from here looks for nothing again.

    `name` is its folder's, if that is in `work_dir`. `store`, of the address `tracking_uri` and for the
    `experiment`, is given where it was opened to find the job, and `run` where it was asked for that.
    """

    kind: JobKind
    name: str
    work_dir: Path
    tracking_uri: str | None
    store: RunStore | None = None
    run: StoredRun | None = None
    experiment: str | None = None

    @property
    def folder(self) -> Path:
        """Where its folder is, or would be."""
        return self.work_dir / self.name

    @property
    def is_here(self) -> bool:
        """Whether its folder is in the work directory."""
        return job_in(self.work_dir, self.name) is not None

    def opened_store(self, *, create: bool = False) -> RunStore:
        """The store in which the job was found, or else the one of its address, opened now: call it once."""
        if self.store is not None:
            return self.store
        return open_store(self.tracking_uri, create=create, experiment=self.experiment)


def find_job(
    given: str | Job,
    *,
    tracking_uri: str | None,
    experiment: str | None = None,
    work_dir: Path,
    store: RunStore | None = None,
) -> Job:
    """The job of a name, or that the run of an id belongs to; one that was found already is given back.

    A name with a folder in `work_dir` needs no store. `store` is that of the address, where it is open already.

    Raises:
        RunError: no such job, or a run that belongs to none.
        StoreError: the store can't be reached.
    """
    if isinstance(given, Job):
        return given
    kind = job_in(work_dir, given)
    if kind is not None:
        return Job(kind, given, work_dir, tracking_uri, store, experiment=experiment)
    store = open_store(tracking_uri, create=False, experiment=experiment) if store is None else store
    found = store.find_run(given)
    run = found if found.kind in JOBS else search_of(store, found)
    kind = JOB_OF_RUN.get(found.kind if run is None else run.kind, "search")
    if run is None or JOBS[kind].name_tag not in run.tags:
        raise RunError(JOBS[kind].nameless.format(given=given, run_id=found.run_id))
    return Job(kind, job_name(run, JOBS[kind].name_tag), work_dir, tracking_uri, store, run, experiment)


def run_of_job(store: RunStore, job: Job) -> StoredRun:
    """A job's own run, the one it was found by or else that of its tag: names of runs can be edited.

    Raises:
        RunError: the store does not know the job.
    """
    if job.run is not None:
        return job.run
    words = JOBS[job.kind]
    named = store.runs_with(None, words.name_tag, job.name)
    runs = [run for run in named if run.kind == job.kind]
    if not runs:
        raise RunError(
            f"{job.kind} {job.name!r} has no run in {without_password(store.uri)}: name its store by --tracking-uri, "
            f"or tell this one of it with `medarts sync {job.name}`"
        )
    return runs[0]


def resumable_job(run: StoredRun, search: StoredRun | None, work_dir: Path) -> str | None:
    """The name of the job that a run is or belongs to, if it ended too early and can go on; None of any other.

    One that diverged is none: it would do so again. `search` is the run's, where it has one. A run that says that it is
    at work is believed, unless the job's folder is in `work_dir` and no process works on it.

    Raises:
        RunError: a tag that should name the job does not.
    """
    own = run if run.kind in JOBS else search
    if own is None or own.status == "FINISHED" or own.tags.get(FAILURE_CAUSE_TAG) == "diverged":
        return None
    if JOBS[JOB_OF_RUN[own.kind]].name_tag not in own.tags:
        return None
    name = job_name(own, JOBS[JOB_OF_RUN[own.kind]].name_tag)
    if own.status == "RUNNING" and not (is_unfinished(work_dir, name) and not is_at_work(work_dir / name)):
        return None
    return name


def home_of(store: RunStore, kind: JobKind, name: str, beside: str | None = None) -> RunStore:
    """The store for the experiment that a job's runs are in, or that of the run `beside`, which it belongs to.

    A job that goes on does so where it is, whichever experiment was given: that is for new jobs, and tells apart those
    of one name. As it is where the store knows no such job.

    Raises:
        StoreError: the experiment that was given is not there.
    """
    if beside is not None:
        with suppress(RunError):  # a search that was deleted meanwhile
            return store.within(store.find_run(beside).experiment_id)
    runs = store.within(None).runs_with(None, JOBS[kind].name_tag, name)
    if not runs:
        return store
    experiments = store.experiment_names()
    given = [run for run in runs if run.experiment_id in experiments]
    return store.within((given or runs)[0].experiment_id)


def check_name_is_free(store: RunStore, kind: JobKind, name: str) -> None:
    """Refuse, by a SearchError, the name of an older job: a new one would go on in its runs.

    The experiment that new jobs go to is made, or refused if it was deleted.
    """
    store.experiment_id()
    if store.runs_with(None, JOBS[kind].name_tag, name):
        raise SearchError(f"name {name!r} is taken in this tracking store; choose another name")


def check_no_name_begins(store: RunStore, beginning: str) -> None:
    """Refuse, by a SearchError, a name of which older jobs have names that begin so."""
    for words in JOBS.values():
        for run in store.runs_that_begin(words.name_tag, beginning):
            taken = run.tags[words.name_tag]
            raise SearchError(f"name {taken!r} is taken in this tracking store; choose another name")


def job_in(work_dir: Path, name: str) -> JobKind | None:
    """What the folder of that name holds, if anything."""
    if NAME_PATTERN.fullmatch(name) is None:
        return None
    return cast(JobKind | None, jobs.kind_in(work_dir / name))


def job_name(run: StoredRun, tag: str) -> str:
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


def is_finished(work_dir: Path, name: str) -> bool:
    """Whether the folder of that name holds a job that came to its end."""
    return job_in(work_dir, name) is not None and jobs.is_finished(work_dir / name)
