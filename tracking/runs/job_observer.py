"""What all jobs' events have in common on their way into MLflow: start, epochs, metrics, stop."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from medarts_ops.errors import RunError
from medarts_ops.experiment import ExperimentStarted
from medarts_ops.individual import EpochRecord, EvaluationEpoch
from medarts_ops.observers import DatasetSummary, EvaluationStarted, Event, JobStopped, ProcessStarted, SearchStarted
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.runs.runs_by_key import RunsByKey
from medarts_ops.tracking.vocabulary import JobKind

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter

Started = TypeVar("Started", SearchStarted, EvaluationStarted, ExperimentStarted)


class JobObserver(ABC, Generic[Event, Started]):
    """Writes a job's events into a tracking store.

    An event may be told twice, to a new observer too: runs are found by the job's name, ended ones are left alone, and
    no metric is doubled. So a resumed job goes on in its own runs, stopped ones too: they are set to running again.
    Where the job does not go on, `reopens` is off: `store` is a `CompletedStore`, and ended runs get what they lack.

    An event that is told again by this process keeps the time stamp of its metrics: MLflow, which would keep both
    points, takes equal ones for one, even those that a store wrote although its answer was lost. What an earlier
    process may have written is looked up.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(self, store: RunWriter, kind: JobKind, *, reopens: bool) -> None:
        self.experiment_id = store.experiment_id()
        self._store, self._kind, self._reopens = store, kind, reopens
        self._begun: tuple[Started, RunsByKey] | None = None
        self._event: Event | None = None
        self._milliseconds = 0

    @property
    def run_id(self) -> str:
        """The job's own run id, once it has started."""
        return self._runs.id_of(self._kind)

    @property
    def known_run_id(self) -> str | None:
        """The same; None before it has started, or where the store did not take that."""
        return None if self._begun is None else self._begun[1].known(self._kind)

    @property
    def started(self) -> Started:
        """How the job began."""
        return self._start_and_runs[0]

    @property
    def _runs(self) -> RunsByKey:
        return self._start_and_runs[1]

    @property
    def _start_and_runs(self) -> tuple[Started, RunsByKey]:
        if self._begun is None:
            raise RunError(f"no {self._kind} has started: tell the event {self._kind}_started first")
        return self._begun

    def notify(self, event: Event) -> None:
        """Take note of one event."""
        if event is not self._event:
            self._event, self._milliseconds = event, int(time.time() * 1000)
        match event:
            case JobStopped() if self._begun is not None:
                self._runs.stop_all("KILLED" if event.interrupted else "FAILED", event.reason, event.cause)
            case ProcessStarted() if self._runs.is_open(self.run_id):  # a resumed run has several records
                self._store.log_json(self.run_id, f"{vocabulary.RECORDS}/{event.name}", event.record)
            case JobStopped() | ProcessStarted():
                pass
            case _:
                self._write(event)

    @abstractmethod
    def _write(self, event: Event) -> None:
        """Write down an event of one kind of job."""

    def _begin(
        self,
        event: Started,
        name: str,
        *,
        dataset: DatasetSummary,
        dataset_is_for: str,
        parent_run_id: str | None = None,
        tags: Mapping[str, str],
        params: Mapping[str, object],
        artifacts: Mapping[str, shapes.Json],
    ) -> str:
        """Find or make the job's run, with what it begins with, and give its id."""
        runs = RunsByKey(self._store, self.experiment_id, self._kind, name, reopens=self._reopens)
        self._begun = event, runs
        images = {vocabulary.DATASET_TAG: dataset.name, vocabulary.FINGERPRINT_TAG: dataset.fingerprint}
        run_id = runs.start(
            self._kind,
            kind=self._kind,
            name=name,
            parent_run_id=parent_run_id,
            tags={**images, **tags},
            params=params,
        )
        if runs.is_open(run_id):
            for path, content in {**artifacts, vocabulary.DATASET: shapes.plain(dataset)}.items():
                self._store.log_json(run_id, path, content)
            self._store.log_dataset(run_id, dataset, dataset_is_for)
        return run_id

    def _log_epoch(self, run_id: str, record: EpochRecord | EvaluationEpoch) -> None:
        if self._runs.is_open(run_id) and record.epoch > self._runs.last_epochs.get(run_id, -1):
            self._store.log_metrics(run_id, epoch_metrics(record), record.epoch, self._milliseconds)
            self._runs.last_epochs[run_id] = record.epoch

    def _log_missing(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        """Log the metrics that are not there at this step yet."""
        if self._runs.were_there:
            values = {key: value for key, value in values.items() if step not in self._store.steps(run_id, key)}
        if values:
            self._store.log_metrics(run_id, values, step, self._milliseconds)


def epoch_metrics(record: EpochRecord | EvaluationEpoch) -> dict[str, float]:
    """An epoch's numbers under the names that MLflow shows; α's loss is absent while α warms up."""
    # First, since MLflow's page that compares runs draws the first metric of all.
    tested = isinstance(record, EvaluationEpoch) and record.test_error is not None
    first = vocabulary.TEST_ERROR if tested else "valid_accuracy"
    numbers: dict[str, float] = record.model_dump(exclude={"epoch", "seconds", "alpha", "genotype"}, exclude_none=True)
    return {first: numbers[first], **numbers, vocabulary.EPOCH_SECONDS: record.seconds}
