"""An evaluation in MLflow: one run, below the search that it evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError
from medarts_ops.individual import EvaluationEpoch, EvaluationResult
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationStarted,
    EvaluationStopped,
)
from medarts_ops.tracking import artifacts
from medarts_ops.tracking.metric_log import MetricLog
from medarts_ops.tracking.tracked_run import FAILURE_TAG, NOTE_TAG

if TYPE_CHECKING:
    from medarts_ops.tracking.run_store import RunStore

SECONDS_PER_HOUR = 3600


class MlflowEvaluationObserver:
    """Writes an evaluation's events into a tracking store.

    `evaluates` is the run whose genotype is trained, `parent_run_id` the search that it belongs to; both are None
    for a genotype that was given by hand.

    Raises (from `notify`):
        StoreError: the store failed.
    """

    def __init__(
        self, store: RunStore, *, evaluates: str | None, parent_run_id: str | None, experiment: str = "medarts"
    ) -> None:
        self._store = store
        self._experiment_id = store.experiment_id(experiment)
        self._evaluates = evaluates
        self._parent_run_id = parent_run_id
        self._run_id: str | None = None
        self._metrics = MetricLog(store)

    @property
    def experiment_id(self) -> str:
        """The experiment that holds the run."""
        return self._experiment_id

    @property
    def run_id(self) -> str:
        """The evaluation's run id, once it has started."""
        if self._run_id is None:
            raise RunError("no evaluation has started: tell the event evaluation_started first")
        return self._run_id

    def notify(self, event: EvaluationEvent) -> None:
        """Take note of one event; told again after it failed half-way, it doubles no metric."""
        self._metrics.begin(event)
        match event:
            case EvaluationStarted():
                self._evaluation_started(event)
            case EvaluationEpochFinished(record=record):
                self._metrics.log(self.run_id, evaluation_metrics(record), step=record.epoch)
            case EvaluationFinished(result=result, weights_file=weights_file):
                if weights_file is not None:
                    self._store.log_file(self.run_id, Path(weights_file))
                self._evaluation_finished(result)
            case EvaluationStopped():
                self._evaluation_stopped(event)

    def _evaluation_started(self, event: EvaluationStarted) -> None:
        evaluates = {} if self._evaluates is None else {"medarts.evaluates": self._evaluates}
        self._run_id = self._store.create_run(
            experiment_id=self._experiment_id,
            kind="evaluation",
            name=f"evaluate-{event.genotype.identity}",
            parent_run_id=self._parent_run_id,
            tags={
                "medarts.genotype_hash": event.genotype.identity,
                "medarts.dataset": event.dataset.name,
                "medarts.fingerprint": event.dataset.fingerprint,
                **evaluates,
            },
            params={**artifacts.flattened(event.config), "parameters": event.parameters},
        )
        self._store.log_json(self.run_id, artifacts.CONFIG, artifacts.plain(event.config))
        self._store.log_json(self.run_id, artifacts.DATASET, artifacts.plain(event.dataset))
        self._store.log_json(self.run_id, artifacts.GENOTYPE, artifacts.genotype_json(event.genotype))
        self._store.log_dataset(self.run_id, event.dataset, "evaluate-train")

    def _evaluation_finished(self, result: EvaluationResult) -> None:
        hours = result.seconds / SECONDS_PER_HOUR
        # At the last epoch's step, so that MLflow's "last value" of test_error is the result.
        metrics = {
            "best_test_error": result.best_test_error,
            "params": float(result.parameters),
            "hours": hours,
        }
        self._metrics.log(self.run_id, metrics, step=result.history[-1].epoch)
        self._store.log_json(self.run_id, artifacts.HISTORY, artifacts.history_json(result.history))
        note = (
            f"Test error **{100 * result.test_error:.2f} %** after {len(result.history)} epochs "
            f"({result.parameters / 1e6:.2f} M parameters, {hours:.2f} h); "
            f"best of any epoch {100 * result.best_test_error:.2f} %, which was chosen on the test set."
        )
        self._store.set_tags(self.run_id, {NOTE_TAG: note})
        self._store.finish(self.run_id, "FINISHED")

    def _evaluation_stopped(self, event: EvaluationStopped) -> None:
        if self._run_id is not None:
            self._store.set_tags(self._run_id, {FAILURE_TAG: event.reason})
            self._store.finish(self._run_id, "KILLED" if event.interrupted else "FAILED")


def evaluation_metrics(record: EvaluationEpoch) -> dict[str, float]:
    """An epoch's numbers under the names that MLflow shows."""
    numbers: dict[str, float] = record.model_dump(exclude={"epoch", "seconds"})
    return {**numbers, "epoch_seconds": record.seconds}
