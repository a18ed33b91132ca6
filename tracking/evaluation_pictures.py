"""Pictures of an evaluation: its genotype, its curves, and its error and size beside those of all others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationEvent, EvaluationFinished, EvaluationStarted
from medarts_ops.tracking.picture_log import Draw, PictureLog
from medarts_ops.tracking.reported import renew_report
from medarts_ops.tracking.tracked_run import FINGERPRINT_TAG

if TYPE_CHECKING:
    from medarts_ops.pictures.parameters import EvaluatedSize
    from medarts_ops.tracking.mlflow_evaluation_observer import MlflowEvaluationObserver
    from medarts_ops.tracking.run_store import RunStore


class EvaluationPictures:
    """Draws an evaluation when it is finished, and renews the report of the search that it belongs to.

    Told twice, it draws what is not there.

    Args:
        store: where the run is.
        evaluation: knows the run; it was told the event before.
        name: the evaluation's.
        search_run_id: the search that it belongs to, if any.
        work_dir: where that search's folder may be.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(
        self,
        store: RunStore,
        evaluation: MlflowEvaluationObserver,
        name: str,
        *,
        search_run_id: str | None,
        work_dir: Path,
    ) -> None:
        self._store, self._evaluation, self._name = store, evaluation, name
        self._search_run_id, self._work_dir = search_run_id, work_dir
        self._started: EvaluationStarted | None = None

    def notify(self, event: EvaluationEvent) -> None:
        """Take note of one event."""
        if isinstance(event, EvaluationStarted):
            self._started = event
        elif isinstance(event, EvaluationFinished):
            assert self._started is not None, "told after the start"
            pictures = self._pictures(event.result, self._started)
            PictureLog(self._store).log(self._evaluation.run_id, pictures)
            if self._search_run_id is not None:
                renew_report(self._store, self._search_run_id, self._work_dir)

    def _pictures(self, result: EvaluationResult, started: EvaluationStarted) -> dict[str, Draw]:
        from medarts_ops.pictures.cells import genotype_figure
        from medarts_ops.pictures.curves import evaluation_curves
        from medarts_ops.pictures.parameters import parameters_figure, table_of

        dataset = started.dataset
        sizes = evaluated_sizes(self._store, self._evaluation.experiment_id, dataset.fingerprint)
        return {
            "genotype.png": lambda: genotype_figure(result.genotype, self._name),
            "training.png": lambda: evaluation_curves(result.history, self._name),
            "parameters.png": lambda: parameters_figure(sizes, dataset.name, table_of(dataset.name)),
        }


def evaluated_sizes(store: RunStore, experiment_id: str, fingerprint: str) -> list[EvaluatedSize]:
    """The finished evaluations on the same images, oldest first."""
    from medarts_ops.pictures.parameters import EvaluatedSize

    return [
        EvaluatedSize(run.name, int(run.metrics["params"]), run.metrics["test_error"])
        for run in store.runs_with(experiment_id, FINGERPRINT_TAG, fingerprint)
        if run.kind == "evaluation" and run.metrics.keys() >= {"params", "test_error"}
    ]
