"""Pictures as artifacts of the runs that they are about, in the folder `pictures` of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.individual import EvaluatedIndividual, StageResult, TrainedIndividual
from medarts_ops.observers import (
    IndividualFinished,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
)

if TYPE_CHECKING:
    from medarts_ops.config import SearchConfig
    from medarts_ops.pictures.figures import Figure
    from medarts_ops.space.search_space import SearchSpace
    from medarts_ops.tracking.mlflow_search_observer import MlflowSearchObserver
    from medarts_ops.tracking.run_store import RunStore

FOLDER = "pictures"

Draw = Callable[[], "Figure | str"]
"""Makes a figure, which becomes a PNG, or a page of HTML."""

_logger = logging.getLogger(__name__)


class PictureLog:
    """Draws what a run lacks. A picture that can't be drawn is named in a warning: no search ends for it.

    Args:
        store: where the runs are.

    Raises (from `log`):
        StoreError: the store failed; logging again makes up for it.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def log(self, run_id: str, pictures: Mapping[str, Draw]) -> None:
        """Draw and log those of the pictures, by file name, that the run does not have yet."""
        held = self._store.artifacts_in(run_id, FOLDER)
        for name, draw in pictures.items():
            path = f"{FOLDER}/{name}"
            if path in held:
                continue
            try:
                picture = draw()
            except Exception as error:  # whatever a plotting library stumbles over is not the search's fault
                _logger.warning("picture %s of run %s can't be drawn: %s", path, run_id, error)
                continue
            if isinstance(picture, str):
                self._store.log_text(run_id, path, picture)
            else:
                self._store.log_figure(run_id, path, picture)


class SearchPictures:
    """Draws individuals, stages and the search when they are finished.

    An event may be told twice: a picture that is there is not drawn again.

    Args:
        store: where the runs are.
        runs: knows the run of each individual and stage; it was told the event before.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(self, store: RunStore, runs: MlflowSearchObserver) -> None:
        self._pictures, self._runs = PictureLog(store), runs
        self._started: SearchStarted | None = None

    def notify(self, event: SearchEvent) -> None:
        """Take note of one event."""
        match event:
            case SearchStarted():
                self._started = event
            case IndividualFinished(outcome=EvaluatedIndividual(trained=trained)):
                pictures = individual_pictures(trained, self._config.space.search_space())
                self._pictures.log(self._runs.run_id_of(trained.individual.id), pictures)
            case StageFinished(result=result) if result.ranked:
                self._pictures.log(self._runs.stage_run_id(result.index), self._stage_pictures(result))
            case SearchFinished():
                self._pictures.log(self._runs.search_run_id, search_pictures(event))
            case _:
                pass

    @property
    def _config(self) -> SearchConfig:
        assert self._started is not None, "told after the start"
        return self._started.config

    def _stage_pictures(self, result: StageResult) -> dict[str, Draw]:
        from medarts_ops.pictures.cells import genotype_figure
        from medarts_ops.pictures.fronts import front_figure, front_html

        assert self._started is not None, "told after the start"
        search, chosen = self._started.search_id, chosen_from(result, self._config.stages)
        best = result.best
        return {
            "front.png": lambda: front_figure(result, search, chosen),
            "front.html": lambda: front_html(result, search, chosen, self._runs.run_ids),
            "genotype.png": lambda: genotype_figure(best.trained.genotype, f"{best.id}, the best of its stage"),
        }


def individual_pictures(trained: TrainedIndividual, space: SearchSpace) -> dict[str, Draw]:
    """The pictures of an individual, by file name; how α moved only where every epoch kept its α."""
    from medarts_ops.pictures.alpha_epochs import alpha_epochs_figure
    from medarts_ops.pictures.alphas import alpha_figure
    from medarts_ops.pictures.cells import genotype_figure
    from medarts_ops.pictures.curves import search_curves

    name, born = trained.individual.id, trained.individual.alpha
    epochs = [record.alpha for record in trained.history if record.alpha is not None]
    pictures: dict[str, Draw] = {
        "genotype.png": lambda: genotype_figure(trained.genotype, name),
        "alpha.png": lambda: alpha_figure(trained.alpha, space, name),
        "training.png": lambda: search_curves(trained.history, name),
    }
    if len(epochs) == len(trained.history):
        pictures["alpha-epochs.png"] = lambda: alpha_epochs_figure(born, epochs, space, name)
    return pictures


def search_pictures(event: SearchFinished) -> dict[str, Draw]:
    """The pictures of a whole search, by file name."""
    from medarts_ops.pictures.cells import genotype_figure
    from medarts_ops.pictures.lineage import lineage_figure

    best = event.result.best
    return {
        "lineage.png": lambda: lineage_figure(event.result),
        "genotype.png": lambda: genotype_figure(best.trained.genotype, f"{best.id} of {event.result.search_id}"),
    }
