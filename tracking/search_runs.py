"""Which MLflow run stands for the search, for a stage and for an individual, and which of them are still open.

Everything here may be done twice: a resumed search, or an event that is told again after the store had failed,
finds the runs that are there instead of making new ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from medarts_ops.errors import RunError
from medarts_ops.tracking.run_store import RunStore
from medarts_ops.tracking.tracked_run import (
    FAILURE_TAG,
    SEARCH_TAG,
    STOPPED_TAG,
    RunKind,
    RunStatus,
    TrackedRun,
)

KEY_TAG = "medarts.key"
"""What a run stands for within its search: `search`, `stage/0`, `individual/init-03`."""


class SearchRuns:
    """The runs of one search; those that an earlier, stopped process left behind are taken over and opened."""

    def __init__(self, store: RunStore, experiment_id: str, search_id: str) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._search_id = search_id
        self._ids: dict[str, str] = {}
        self._open: set[str] = set()
        self._last_epochs: dict[str, int] = {}
        for run in store.runs_of_search(experiment_id, search_id):
            if KEY_TAG in run.tags:
                self._take_over(run)

    def _take_over(self, run: TrackedRun) -> None:
        self._ids[run.tags[KEY_TAG]] = run.run_id
        if run.status in ("FINISHED", "FAILED", "KILLED") and run.tags.get(STOPPED_TAG) != "true":
            return
        self._store.reopen(run.run_id)
        if STOPPED_TAG in run.tags:
            self._store.delete_tags(run.run_id, [tag for tag in (STOPPED_TAG, FAILURE_TAG) if tag in run.tags])
        self._open.add(run.run_id)
        if run.kind == "individual":
            self._last_epochs[run.run_id] = _or_before_first(self._store.last_step(run.run_id, "train_loss"))

    def id_of(self, key: str) -> str:
        """The run id for a key.

        Raises:
            RunError: there was no such event in this search.
        """
        if key not in self._ids:
            raise RunError(f"search {self._search_id} has no run for {key!r}: allowed are {', '.join(self._ids)}")
        return self._ids[key]

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
        """The run for a key; created unless it exists."""
        if key in self._ids:
            return self._ids[key]
        run_id = self._store.create_run(
            experiment_id=self._experiment_id,
            kind=kind,
            name=name,
            parent_run_id=parent_run_id,
            tags={SEARCH_TAG: self._search_id, KEY_TAG: key, **tags},
            params=params,
        )
        self._ids[key] = run_id
        self._open.add(run_id)
        return run_id

    def is_open(self, run_id: str) -> bool:
        """Whether the run was not ended yet."""
        return run_id in self._open

    def is_new_epoch(self, run_id: str, epoch: int) -> bool:
        """Whether an individual's epoch was not logged before, by this process or an earlier one."""
        return epoch > self._last_epochs.get(run_id, -1)

    def epoch_logged(self, run_id: str, epoch: int) -> None:
        """Note that an individual's epoch is in the store."""
        self._last_epochs[run_id] = epoch

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run for good."""
        self._store.finish(run_id, status)
        self._open.discard(run_id)

    def stop_all(self, status: RunStatus, reason: str) -> None:
        """End all open runs, children before parents, so that a resumed search can open them again."""
        for run_id in reversed(list(self._ids.values())):
            if run_id in self._open:
                self._store.set_tags(run_id, {FAILURE_TAG: reason, STOPPED_TAG: "true"})
                self.finish(run_id, status)


def _or_before_first(step: int | None) -> int:
    return -1 if step is None else step
