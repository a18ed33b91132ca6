"""A job's runs by what each stands for (its search, a stage, an individual), and which of them are still open.

Everything here may be done twice: a resumed job, or an event that is told again after the store had failed,
finds the runs that are there instead of making new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from medarts_ops.errors import FailureCause, RunError
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.stores.stored_run import LONGEST_PARAM, StoredRun
from medarts_ops.tracking.vocabulary import JobKind, RunKind, RunStatus

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter


class RunsByKey:
    """The runs of one job; those that an earlier, stopped process left behind are taken over.

    `reopens` says whether the job goes on: its stopped runs are then set to running again. Otherwise all runs are
    completed, ended ones too, by a store that leaves alone what is there; deleted ones are restored, and stopped ones
    stay so unless an event ends them for good.

    Attributes:
        were_there: whether an earlier process made some of the runs.
        last_epochs: the last epoch that is in the store, by run id; a run without any, or one that is completed, has
            none, or -1.
    """

    def __init__(
        self, store: RunWriter, experiment_id: str, kind: JobKind, job_id: str, *, reopens: bool = True
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
        self._parents: set[str | None] = set()
        self._find()
        self.were_there = bool(self._ids)
        self._deleted: list[StoredRun] = []
        if not reopens:
            self._deleted = store.runs_with(experiment_id, self._tag, job_id, deleted=True)

    def _find(self, key: str | None = None) -> None:
        """Take over the runs that the store has and this does not know, or only the one for `key`."""
        for run in self._store.runs_with(self._experiment_id, self._tag, self._job_id):
            self._parents.add(run.parent_run_id)
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
            said = (vocabulary.STOPPED_TAG, vocabulary.FAILURE_TAG, vocabulary.FAILURE_CAUSE_TAG)
            self._stopped[run.run_id] = [tag for tag in said if tag in run.tags]
        if self._reopens:
            self._store.reopen(run.run_id)
            self.forget_the_stop(run.run_id)
        self._open.add(run.run_id)
        if not run.params:
            self._without_params.add(run.run_id)
        if self._reopens and run.kind in vocabulary.TRAINED_KINDS:
            # Every epoch has its seconds; a loss that is no number is not stored.
            self.last_epochs[run.run_id] = max(self._store.steps(run.run_id, vocabulary.EPOCH_SECONDS), default=-1)

    def forget_the_stop(self, run_id: str) -> None:
        """Take off a run what says that its job stopped."""
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

    def known(self, key: str) -> str | None:
        """The run id for a key, if there is one."""
        return self._ids.get(key)

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
        """The run for a key; created unless it exists, or was deleted and can be restored.

        A call that failed may have made the run all the same, so the next one looks for it.
        """
        tags = {self._tag: self._job_id, vocabulary.KEY_TAG: key, **tags}
        if key in self._in_doubt:
            self._find(key)
            self._in_doubt.discard(key)
        if key not in self._ids:
            self._restore(key, parent_run_id, params)
        if key in self._ids:
            run_id = self._ids[key]
            if not self._reopens:
                below = {} if parent_run_id is None else {vocabulary.PARENT_TAG: parent_run_id}
                self._store.set_tags(run_id, {vocabulary.KIND_TAG: kind, **tags, **below})
            if run_id in self._without_params or not self._reopens:
                self._store.log_params(run_id, params)
                self._without_params.discard(run_id)
            return run_id
        self._in_doubt.add(key)
        run_id = self._store.create_run(
            experiment_id=self._experiment_id,
            kind=kind,
            name=name,
            parent_run_id=parent_run_id,
            tags=tags,
            params=params,
        )
        self._in_doubt.discard(key)
        self._ids[key] = run_id
        self._open.add(run_id)
        return run_id

    def _restore(self, key: str, parent_run_id: str | None, params: Mapping[str, object]) -> None:
        """Take back the run for a key that somebody deleted: what lies below it and what names it is right again.

        A job of the same name may have been deleted before, and this one begun anew. So a restored run lies below a run
        of this job, or has runs of it below it, or else is the newest; and it was made with the same parameters.
        """
        told = {name: str(value)[:LONGEST_PARAM] for name, value in params.items()}
        found = [
            run
            for run in self._deleted
            if run.tags.get(vocabulary.KEY_TAG) == key
            and run.parent_run_id == parent_run_id
            and all(told.get(name, value) == value for name, value in run.params.items())
        ]
        if found:
            run = max(found, key=lambda run: (run.run_id in self._parents, run.started))
            self._store.restore(run.run_id)
            self._take_over(run)

    def is_open(self, run_id: str) -> bool:
        """Whether the run is written to: it was not ended yet, or it is completed."""
        return run_id in self._open or not self._reopens

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run for good."""
        self._store.finish(run_id, status)
        self.forget_the_stop(run_id)
        self._open.discard(run_id)

    def stop_all(self, status: RunStatus, reason: str, cause: FailureCause | None = None) -> None:
        """End all open runs, children before parents, so that a resumed job can open them again."""
        why = {vocabulary.FAILURE_TAG: reason, vocabulary.STOPPED_TAG: "true"}
        if cause is not None:
            why[vocabulary.FAILURE_CAUSE_TAG] = cause
        for run_id in reversed(list(self._ids.values())):
            if run_id in self._open and run_id not in self._stopped:
                self._store.set_tags(run_id, why)
                self.finish(run_id, status)
