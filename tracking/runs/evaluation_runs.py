"""An evaluation in MLflow: one run, below the search that it evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.journal.evaluation_folder import RESULT, STARTED
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationStarted,
    EvaluationStopped,
)
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.runs.metric_log import MetricLog
from medarts_ops.tracking.runs.reproducibility_log import ReproducibilityLog
from medarts_ops.tracking.runs.runs_by_key import RunsByKey

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class MlflowEvaluationObserver:
    """Writes an evaluation's events into a tracking store.

    An event may be told twice, to a new observer too: the run is found by the evaluation's id, and no metric is
    doubled. So a resumed evaluation goes on in its own run, a stopped one too: it is set to running again, unless
    `reopens` is off because the evaluation does not go on.

    Args:
        store: where the run goes.
        evaluation_id: the evaluation's name, which is the run's.
        evaluates: the run whose genotype is trained.
        parent_run_id: the search that it belongs to; both are None for a genotype that was given by hand.
        experiment: the experiment's name.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(
        self,
        store: RunStore,
        evaluation_id: str,
        *,
        evaluates: str | None,
        parent_run_id: str | None,
        experiment: str = "medarts",
        reopens: bool = True,
    ) -> None:
        self._store = store
        self._evaluation_id = evaluation_id
        self._experiment_id = store.experiment_id(experiment)
        self._evaluates = evaluates
        self._parent_run_id = parent_run_id
        self._reopens = reopens
        self._own: RunsByKey | None = None
        self._metrics = MetricLog(store)
        self._reproducibility = ReproducibilityLog(store)

    @property
    def experiment_id(self) -> str:
        """The experiment that holds the run."""
        return self._experiment_id

    @property
    def run_id(self) -> str:
        """The evaluation's run id, once it has started."""
        return self._runs.id_of(vocabulary.EVALUATION)

    def notify(self, event: EvaluationEvent) -> None:
        """Take note of one event."""
        self._metrics.begin(event)
        match event:
            case EvaluationStarted():
                self._evaluation_started(event)
            case EvaluationEpochFinished(record=record):
                self._epoch_finished(record)
            case EvaluationFinished():
                self._evaluation_finished(event)
            case EvaluationStopped():
                if self._own is not None:
                    self._own.stop_all("KILLED" if event.interrupted else "FAILED", event.reason)

    @property
    def _runs(self) -> RunsByKey:
        if self._own is None:
            raise RunError("no evaluation has started: tell the event evaluation_started first")
        return self._own

    def _evaluation_started(self, event: EvaluationStarted) -> None:
        runs = self._own = RunsByKey(
            self._store, self._experiment_id, "evaluation", self._evaluation_id, reopens=self._reopens
        )
        self._metrics.looks_first = runs.were_there
        evaluates = {} if self._evaluates is None else {vocabulary.EVALUATES_TAG: self._evaluates}
        run_id = runs.start(
            vocabulary.EVALUATION,
            kind="evaluation",
            name=self._evaluation_id,
            parent_run_id=self._parent_run_id,
            tags={
                vocabulary.GENOTYPE_TAG: event.genotype.identity,
                vocabulary.DATASET_TAG: event.dataset.name,
                vocabulary.FINGERPRINT_TAG: event.dataset.fingerprint,
                **evaluates,
            },
            params={**shapes.flattened(event.config), "parameters": event.parameters},
        )
        if runs.is_open(run_id):
            self._store.log_json(run_id, vocabulary.CONFIG, shapes.plain(event.config))
            self._store.log_json(run_id, vocabulary.DATASET, shapes.plain(event.dataset))
            self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(event.genotype))
            self._store.log_dataset(run_id, event.dataset, "evaluate-train")
            if self._reopens:  # whoever only tells what happened elsewhere did not make it
                self._reproducibility.log(run_id, event.config, event.dataset)

    def _epoch_finished(self, record: EvaluationEpoch) -> None:
        run_id = self.run_id
        if self._runs.is_open(run_id) and self._runs.is_new_epoch(run_id, record.epoch):
            self._metrics.log(run_id, evaluation_metrics(record), step=record.epoch)
            self._runs.epoch_logged(run_id, record.epoch)

    def _evaluation_finished(self, event: EvaluationFinished) -> None:
        run_id, result = self.run_id, event.result
        if not self._runs.is_open(run_id):
            return
        if event.weights_file is not None:
            weights = Path(event.weights_file)
            # With what the folder says of them, so that the network can be built from the run alone.
            for file in (weights, weights.with_name(STARTED), weights.with_name(RESULT)):
                self._store.log_file(run_id, file)
        hours = result.seconds / SECONDS_PER_HOUR
        # At the last epoch's step, so that MLflow's "last value" of test_error is the result.
        metrics = {
            vocabulary.BEST_TEST_ERROR: result.best_test_error,
            vocabulary.PARAMS: float(result.parameters),
            vocabulary.HOURS: hours,
        }
        self._metrics.log_missing(run_id, metrics, step=result.history[-1].epoch)
        self._store.log_json(run_id, vocabulary.HISTORY, shapes.history_json(result.history))
        note = (
            f"Test error **{100 * result.test_error:.2f} %** after {len(result.history)} epochs "
            f"({result.parameters / 1e6:.2f} M parameters, {hours:.2f} h); "
            f"best of any epoch {100 * result.best_test_error:.2f} %, which was chosen on the test set."
        )
        self._store.set_tags(run_id, {vocabulary.NOTE_TAG: note})
        self._runs.finish(run_id, "FINISHED")


def evaluation_metrics(record: EvaluationEpoch) -> dict[str, float]:
    """An epoch's numbers under the names that MLflow shows."""
    numbers: dict[str, float] = record.model_dump(exclude={"epoch", "seconds"})
    # First, since MLflow's page that compares runs draws the first metric of all.
    return {vocabulary.TEST_ERROR: record.test_error, **numbers, vocabulary.EPOCH_SECONDS: record.seconds}
