"""Pictures of searches and evaluations as artifacts, in the folder `pictures` of the runs that they are about."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from medarts_ops.errors import StoreError
from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.individual import EvaluatedIndividual, StageResult, Yardstick
from medarts_ops.observers import (
    EvaluationFinished,
    IndividualFinished,
    SearchEvent,
    SearchFinished,
    StageFinished,
    StageStarted,
)
from medarts_ops.tracking.vocabulary import FINGERPRINT_TAG, PARAMS, PICTURES, TEST_ERROR

if TYPE_CHECKING:
    from medarts_ops.pictures.figures import Draw
    from medarts_ops.pictures.parameters import EvaluatedSize
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.runs.experiment_runs import MlflowExperimentObserver
    from medarts_ops.tracking.runs.run_writer import RunWriter
    from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver

LARGEST = 1e15
"""Parameters beyond which a number is somebody's mistake: MLflow keeps infinity as a finite one."""

Contents = Mapping[str, Callable[[], bytes]]
"""What files hold, by name; each is made when called."""

_logger = logging.getLogger(__name__)


def log_pictures(store: RunWriter, run_id: str, pictures: Contents) -> None:
    """Make and log those pictures that a run does not have yet.

    Nothing ends for a picture, and nothing waits for it: one that can't be drawn, or that the store does not take, is
    named in a warning. Logging again, as resuming and `medarts sync` do, makes up for it.
    """
    try:
        held = store.artifacts_in(run_id, PICTURES)
    except Exception as error:
        _logger.warning("the pictures of run %s are not logged: %s", run_id, error)
        return
    for path, content in ((f"{PICTURES}/{name}", content) for name, content in pictures.items()):
        try:
            if path not in held:
                store.log_bytes(run_id, path, content())
        except Exception as error:  # a plotting library has errors of its own
            _logger.warning("picture %s of run %s is not logged: %s", path, run_id, error)


class SearchPictures:
    """Draws individuals, stages and the search when they are finished.

    An event may be told twice: a picture that is there is not drawn again. `runs` was told the event before.
    """

    def __init__(self, store: RunWriter, runs: MlflowSearchObserver) -> None:
        self._store, self._runs = store, runs
        self._yardsticks: dict[int, Yardstick | None] = {}

    def notify(self, event: SearchEvent) -> None:
        """Take note of one event."""
        match event:
            case StageStarted():
                self._yardsticks[event.index] = event.yardstick
            case IndividualFinished(outcome=EvaluatedIndividual() as evaluated):
                log_pictures(self._store, self._runs.run_id_of(evaluated.id), self._of_individual(evaluated))
            case StageFinished(result=result) if result.ranked:
                log_pictures(self._store, self._runs.stage_run_id(result.index), self._of_stage(result))
            case SearchFinished(result=found):
                from medarts_ops.pictures.gallery import pictures_of_search

                log_pictures(self._store, self._runs.run_id, pngs(pictures_of_search(found)))
            case _:
                pass

    def _of_individual(self, evaluated: EvaluatedIndividual) -> Contents:
        from medarts_ops.pictures.gallery import pictures_of_individual
        from medarts_ops.strategies.reading import reader_of

        trained, config = evaluated.trained, self._runs.started.config
        alphas = [record.alpha for record in trained.history if record.alpha is not None]
        read, yardstick = reader_of(config, trained.individual), self._yardsticks.get(trained.individual.stage)
        return pngs(pictures_of_individual(trained, alphas, config.space.search_space(), read, yardstick))

    def _of_stage(self, result: StageResult) -> Contents:
        from medarts_ops.pictures.fronts import front_html
        from medarts_ops.pictures.gallery import pictures_of_stage

        search, chosen = self._runs.started.search_id, chosen_from(result, self._runs.started.config)
        page = {"front.html": lambda: front_html(result, search, chosen, self._runs.run_ids).encode()}
        return {**pngs(pictures_of_stage(result, search, chosen)), **page}


def log_evaluation_pictures(
    store: RunWriter, evaluation: MlflowEvaluationObserver, name: str, event: EvaluationFinished
) -> None:
    """Draw what an evaluation's run lacks, as `log_pictures` does; `evaluation` was told the event before."""
    from medarts_ops.pictures.gallery import pictures_of_evaluation, pictures_of_sizes

    dataset = evaluation.started.dataset
    try:
        sizes = evaluated_sizes(store, evaluation.experiment_id, dataset.fingerprint)
    except StoreError as error:
        _logger.warning("error against size is not drawn of run %s: %s", evaluation.run_id, error)
        sizes = []
    pictures = pictures_of_evaluation(event.result, name) | pictures_of_sizes(sizes, dataset.name)
    log_pictures(store, evaluation.run_id, pngs(pictures))


def log_experiment_pictures(store: RunWriter, experiment: MlflowExperimentObserver) -> None:
    """Draw what an experiment's run lacks, as `log_pictures` does; `experiment` was told of its end."""
    from medarts_ops.pictures.experiments import experiment_figure, experiment_html

    summary = experiment.summary
    if summary.figure is not None:
        page = {"figure.html": lambda: experiment_html(summary).encode()}
        log_pictures(store, experiment.run_id, {**pngs({"figure": lambda: experiment_figure(summary)}), **page})


def evaluated_sizes(store: RunWriter, experiment_id: str, fingerprint: str) -> list[EvaluatedSize]:
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


def pngs(pictures: Mapping[str, Draw]) -> Contents:
    """The pictures as PNG files."""
    from medarts_ops.pictures.figures import drawn_png

    return {f"{name}.png": lambda draw=draw: drawn_png(draw) for name, draw in pictures.items()}  # type: ignore[misc]
