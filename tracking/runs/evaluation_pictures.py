"""Pictures of an evaluation: its genotype, its curves, and its error and size beside those of all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medarts_ops.observers import EvaluationFinished
from medarts_ops.tracking.runs.picture_log import log_pictures, pngs
from medarts_ops.tracking.vocabulary import FINGERPRINT_TAG, PARAMS, TEST_ERROR

if TYPE_CHECKING:
    from medarts_ops.pictures.parameters import EvaluatedSize
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.stores.run_store import RunStore

LARGEST = 1e15
"""Parameters beyond which a number is somebody's mistake: MLflow keeps infinity as a finite one."""


def log_evaluation_pictures(
    store: RunStore, evaluation: MlflowEvaluationObserver, name: str, event: EvaluationFinished
) -> None:
    """Draw what an evaluation's run lacks, as `log_pictures` does; `evaluation` was told the event before."""
    from medarts_ops.pictures.figures import drawn_png
    from medarts_ops.pictures.gallery import picture_of_sizes, pictures_of_evaluation

    dataset = evaluation.started.dataset

    def sizes() -> bytes:
        points = evaluated_sizes(store, evaluation.experiment_id, dataset.fingerprint)
        return drawn_png(picture_of_sizes(points, dataset.name))

    pictures = {**pngs(pictures_of_evaluation(event.result, name)), "parameters.png": sizes}
    log_pictures(store, evaluation.run_id, pictures)


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
