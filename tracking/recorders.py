"""Who writes a job down: what a search, and what an evaluation, tells its stores through."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple

from optuna.storages import BaseStorage
from pydantic import ValidationError

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.observers import (
    DatasetSummary,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationObserver,
    Event,
    FanOut,
    SearchEvent,
    SearchFinished,
    SearchObserver,
    StageFinished,
)
from medarts_ops.proposal_outcomes import ProposalRecorder
from medarts_ops.proposers import Proposer
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.reading.jobs import home_of
from medarts_ops.tracking.runs.completed_store import CompletedStore
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.runs.journal_copy import JournalCopy
from medarts_ops.tracking.runs.picture_log import SearchPictures, log_evaluation_pictures
from medarts_ops.tracking.runs.report_log import renew_report
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.studies import stage_record
from medarts_ops.tracking.studies.proposer import make_proposer
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)

PLACE = "tracking.json"
"""File in an evaluation's folder: below which runs its own belongs, for the process that resumes it."""


class SearchRecorder(NamedTuple):
    """Who writes a search down: `observer` is told its events, `mlflow` knows its runs, `proposer` its study."""

    observer: FanOut[SearchEvent]
    mlflow: MlflowSearchObserver
    proposer: Proposer


class EvaluationRecorder(NamedTuple):
    """Who writes an evaluation down: `observer` is told its events, `mlflow` knows its run."""

    observer: FanOut[EvaluationEvent]
    mlflow: MlflowEvaluationObserver


@dataclass(frozen=True)
class When(Generic[Event]):
    """An observer that calls a function with each event of one kind."""

    kind: type[Event]
    call: Callable[[Event], None]

    def notify(self, event: object) -> None:
        """Take note of one event."""
        if isinstance(event, self.kind):
            self.call(event)


class Place(Value):
    """Where an evaluation's run belongs: the individual that it evaluates and the search that it is shown below.

    Both are None for a genotype that was given by hand. `search` and `individual` are their names, which stay when a
    store is filled anew; None in evaluations that began before these were kept.
    """

    format: Literal["medarts-evaluation-place"] = "medarts-evaluation-place"
    version: Literal[1] = 1
    evaluates: str | None = None
    parent_run_id: str | None = None
    search: str | None = None
    individual: str | None = None


def search_recorder(
    store: RunStore,
    studies: BaseStorage,
    folder: Path,
    config: ResolvedSearchConfig,
    dataset: DatasetSummary,
    *,
    pictures: bool,
    completed: CompletedStore | None = None,
) -> SearchRecorder:
    """Whoever writes a search down, in order: the others' records and pictures belong to runs that MLflow has made.

    Its runs go into `store`, its studies into `studies`; its `folder` bears its name. With `pictures` the report is
    logged, too. A search that does not go on is told to `completed`, which is of that store: its runs get what they
    lack, and stay stopped.

    Raises:
        ConfigError: the study of its proposals was filled under other settings.
        StoreError: a store failed.
    """
    writer = completed or store
    mlflow = MlflowSearchObserver(writer, reopens=completed is None)
    proposer = make_proposer(config, folder.name, studies, dataset)

    def record(event: StageFinished) -> None:
        stage = mlflow.stage_run_id(event.result.index)
        stage_record.record_stage(studies, folder.name, event.result, config, mlflow.run_id_of, stage)

    def report(event: SearchFinished) -> None:
        renew_report(store, mlflow.run_id, folder.parent, completed)

    observers: list[SearchObserver] = [mlflow, JournalCopy(writer, folder, lambda: mlflow.run_id)]
    observers += [ProposalRecorder(proposer), When(StageFinished, record)]
    if pictures:
        observers += [SearchPictures(writer, mlflow), When(SearchFinished, report)]
    return SearchRecorder(FanOut[SearchEvent](observers), mlflow, proposer)


def evaluation_recorder(
    store: RunStore, folder: Path, *, pictures: bool, completed: CompletedStore | None = None
) -> EvaluationRecorder:
    """Whoever writes an evaluation down, below the runs that its folder names, in order as for `search_recorder`.

    To a `completed` store, which may have been lost and filled anew, the runs are those of the names in the folder.

    Raises:
        SearchError: the folder does not say where the evaluation's run belongs.
        StoreError: the store failed.
    """
    place = read_place(folder)
    writer = completed or store
    if completed is not None:
        place = place_in(completed, place)
    evaluates, parent = place.evaluates, place.parent_run_id
    mlflow = MlflowEvaluationObserver(
        writer, folder.name, evaluates=evaluates, parent_run_id=parent, reopens=completed is None
    )

    def draw(event: EvaluationFinished) -> None:
        log_evaluation_pictures(writer, mlflow, folder.name, event)
        if parent is not None:
            renew_report(store, parent, folder.parent, completed)

    observers: list[EvaluationObserver] = [mlflow, When(EvaluationFinished, draw)] if pictures else [mlflow]
    return EvaluationRecorder(FanOut[EvaluationEvent](observers), mlflow)


def evaluation_home(store: RunStore, folder: Path) -> RunStore:
    """The store for the experiment of the search that an evaluation which goes on belongs to, or of its own run.

    Raises: as for `evaluation_recorder`.
    """
    return home_of(store, "evaluation", folder.name, read_place(folder).parent_run_id)


def write_place(folder: Path, place: Place) -> None:
    """Keep an evaluation's place in its folder."""
    (folder / PLACE).write_text(place.model_dump_json(), encoding="utf-8")


def place_in(store: CompletedStore, place: Place) -> Place:
    """The same place by the runs that the store has of it now."""
    if place.search is None:
        return place
    runs = {
        run.tags.get(vocabulary.KEY_TAG): run.run_id
        for run in store.runs_with(None, vocabulary.SEARCH_TAG, place.search)
    }
    if "search" not in runs:
        _logger.warning("search %s has no run here: `medarts sync` it first, then this again", place.search)
    evaluated = runs.get(vocabulary.individual_key(place.individual or ""), place.evaluates)
    return place.model_copy(update={"evaluates": evaluated, "parent_run_id": runs.get("search", place.parent_run_id)})


def read_place(folder: Path) -> Place:
    """The place that an evaluation's folder keeps.

    Raises:
        SearchError: there is none that can be read.
    """
    try:
        return Place.model_validate_json((folder / PLACE).read_bytes())
    except (OSError, ValidationError) as error:
        raise SearchError(
            f"{str(folder / PLACE)!r} can't be read ({str(error).splitlines()[0]}): restore it, or evaluate again"
        ) from error
