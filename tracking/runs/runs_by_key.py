"""A job's runs by what each stands for (its search, a stage, an individual), and which of them are still open.

Everything here may be done twice: a resumed job, or an event that is told again after the store had failed,
finds the runs that are there instead of making new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import JobKind, RunKind, RunStatus

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class RunsByKey:
    """The runs of one search or evaluation; those that an earlier, stopped process left behind are taken over.

    `reopens` says whether the job goes on: its stopped runs are then set to running again. Otherwise they are
    completed, and stay stopped unless an event ends them for good.

    Attributes:
        were_there: whether an earlier process made some of the runs.
        last_epochs: the last epoch that is in the store, by run id; a run without any has none, or -1.
    """

    def __init__(
        self, store: RunStore, experiment_id: str, kind: JobKind, job_id: str, *, reopens: bool = True
    ) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._tag, self._job_id = vocabulary.JOBS[kind].name_tag, job_id
        self._ids: dict[str, str] = {}
        self._open: set[str] = set()
        self._stopped: dict[str, list[str]] = {}
        self._without_params: set[str] = set()
        self._in_doubt: set[str] = set()
        self.last_epochs: dict[str, int] = {}
        self._reopens = reopens
        self._find()
        self.were_there = bool(self._ids)

    def _find(self, key: str | None = None) -> None:
        """Take over the runs that the store has and this does not know, or only the one for `key`."""
        for run in self._store.runs_with(self._experiment_id, self._tag, self._job_id):
            found = run.tags.get(vocabulary.KEY_TAG)
            if found is not None and found not in self._ids and key in (found, None):
                self._take_over(run)

    def _take_over(self, run: StoredRun) -> None:
        self._ids[run.tags[vocabulary.KEY_TAG]] = run.run_id
        self._store.remove_half_sent(run.run_id)
        stopped = run.tags.get(vocabulary.STOPPED_TAG) == "true"
        if run.status in ("FINISHED", "FAILED", "KILLED") and not stopped:
            return
        if stopped:
            self._stopped[run.run_id] = [
                tag for tag in (vocabulary.STOPPED_TAG, vocabulary.FAILURE_TAG) if tag in run.tags
            ]
        if self._reopens:
            self._store.reopen(run.run_id)
            self._forget_the_stop(run.run_id)
        self._open.add(run.run_id)
        if not run.params:
            self._without_params.add(run.run_id)
        if run.kind in vocabulary.TRAINED_KINDS:
            # Every epoch has its seconds; a loss that is no number is not stored.
            self.last_epochs[run.run_id] = max(self._store.steps(run.run_id, vocabulary.EPOCH_SECONDS), default=-1)

    def _forget_the_stop(self, run_id: str) -> None:
        if run_id in self._stopped:
            self._store.delete_tags(run_id, self._stopped[run_id])
            del self._stopped[run_id]

    def id_of(self, key: str) -> str:
        """The run id for a key.

        Raises:
            RunError: there was no such event in this job.
        """
        if key not in self._ids:
            raise RunError(f"{self._job_id} has no run for {key!r}: allowed are {', '.join(self._ids)}")
        return self._ids[key]

    def individuals(self) -> dict[str, str]:
        """From each individual's id to its run id."""
        return {
            key.removeprefix(vocabulary.INDIVIDUAL_PREFIX): run_id
            for key, run_id in self._ids.items()
            if key.startswith(vocabulary.INDIVIDUAL_PREFIX)
        }

    def start(
        self,
        key: str,
        *,
        kind: RunKind,
        name: str,
        parent_run_id: str | None,
        tags: Mapping[str, str],
        params: Mapping[str, object],
    ) -> str:
        """The run for a key; created unless it exists.

        A call that failed may have made the run all the same, so the next one looks for it.
        """
        if key in self._in_doubt:
            self._find(key)
            self._in_doubt.discard(key)
        if key in self._ids:
            run_id = self._ids[key]
            if run_id in self._without_params:
                self._store.log_params(run_id, params)
                self._without_params.discard(run_id)
            return run_id
        self._in_doubt.add(key)
        run_id = self._store.create_run(
            experiment_id=self._experiment_id,
            kind=kind,
            name=name,
            parent_run_id=parent_run_id,
            tags={self._tag: self._job_id, vocabulary.KEY_TAG: key, **tags},
            params=params,
        )
        self._in_doubt.discard(key)
        self._ids[key] = run_id
        self._open.add(run_id)
        return run_id

    def is_open(self, run_id: str) -> bool:
        """Whether the run was not ended yet."""
        return run_id in self._open

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run for good."""
        self._store.finish(run_id, status)
        self._forget_the_stop(run_id)
        self._open.discard(run_id)

    def stop_all(self, status: RunStatus, reason: str) -> None:
        """End all open runs, children before parents, so that a resumed job can open them again."""
        for run_id in reversed(list(self._ids.values())):
            if run_id in self._open and run_id not in self._stopped:
                self._store.set_tags(run_id, {vocabulary.FAILURE_TAG: reason, vocabulary.STOPPED_TAG: "true"})
                self.finish(run_id, status)
