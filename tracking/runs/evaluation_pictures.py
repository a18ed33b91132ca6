"""Pictures of an evaluation: its genotype, its curves, and its error and size beside those of all others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationEvent, EvaluationFinished, EvaluationStarted
from medarts_ops.tracking.runs.picture_log import Contents, PictureLog, pngs
from medarts_ops.tracking.runs.report_log import renew_report
from medarts_ops.tracking.vocabulary import FINGERPRINT_TAG, PARAMS, TEST_ERROR

if TYPE_CHECKING:
    from medarts_ops.pictures.parameters import EvaluatedSize
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.stores.run_store import RunStore

LARGEST = 1e15
"""Parameters beyond which a number is somebody's mistake: MLflow keeps infinity as a finite one."""


class EvaluationPictures:
    """Draws an evaluation when it is finished, and renews the report of the search that it belongs to.

    Told twice, it draws what is not there. Nothing ends for a picture (`PictureLog`).

    Args:
        store: where the run is.
        evaluation: knows the run; it was told the event before.
        name: the evaluation's.
        search_run_id: the search that it belongs to, if any.
        work_dir: where that search's folder may be.
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
        self._pictures = PictureLog(store)
        self._started: EvaluationStarted | None = None

    def notify(self, event: EvaluationEvent) -> None:
        """Take note of one event."""
        if isinstance(event, EvaluationStarted):
            self._started = event
        elif isinstance(event, EvaluationFinished):
            self._pictures.log(self._evaluation.run_id, self._of_evaluation(event.result))
            if self._search_run_id is not None:
                renew_report(self._store, self._search_run_id, self._work_dir)

    def _of_evaluation(self, result: EvaluationResult) -> Contents:
        from medarts_ops.pictures.figures import drawn_png
        from medarts_ops.pictures.gallery import picture_of_sizes, pictures_of_evaluation

        assert self._started is not None, "told after the start"
        dataset, experiment = self._started.dataset, self._evaluation.experiment_id

        def sizes() -> bytes:
            points = evaluated_sizes(self._store, experiment, dataset.fingerprint)
            return drawn_png(picture_of_sizes(points, dataset.name))

        return {**pngs(pictures_of_evaluation(result, self._name)), "parameters.png": sizes}


def evaluated_sizes(store: RunStore, experiment_id: str, fingerprint: str) -> list[EvaluatedSize]:
    """The finished evaluations on the same images, oldest first; without those whose numbers are none."""
    from medarts_ops.pictures.parameters import EvaluatedSize

    runs = store.runs_with(experiment_id, FINGERPRINT_TAG, fingerprint)
    found = [
        (run.name, run.metrics.get(PARAMS, math.nan), run.metrics.get(TEST_ERROR, math.nan))
        for run in runs
        if run.kind == "evaluation"
    ]
    return [
        EvaluatedSize(name, int(parameters), error)
        for name, parameters, error in found
        if 1 <= parameters < LARGEST and math.isfinite(error)
    ]
